"""What classify does not let in: posts of another author."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Unavailable
from pipeline.wire.records import PostEvent
from tests.stages.classifier import AUTHOR, DAY, OTHER, T0, World, post_id, published
from tests.stages.fakes import Fault


async def test_an_old_post_may_be_edited_at_any_time():
    world = World()
    await world.handle([published(T0)])

    assert await world.handle([PostEvent("edited", post_id(T0), AUTHOR, T0 + DAY, body="new")]) == []


@pytest.mark.parametrize("kind", ["published", "edited", "deleted"])
@pytest.mark.parametrize("together", [True, False])
async def test_a_post_belongs_to_the_author_who_published_it(kind, together):
    """Nobody else can publish it again, edit it or delete it, in the same batch or later."""
    world, mine = World(), published(T0)
    foreign = PostEvent(kind, post_id(T0), OTHER, T0, body="not yours")

    if together:
        refused = await world.handle([mine, foreign])
    else:
        await world.handle([mine])
        refused = await world.handle([foreign])

    assert refused == [("owner", 1)]
    post = (await world.stores.posts.posts([post_id(T0)]))[post_id(T0)]
    assert (post.author_id, post.body, post.deleted) == (AUTHOR, "words", False)


async def shown(world, ms=0):
    return (await world.stores.posts.posts([post_id(T0 + ms)])).get(post_id(T0 + ms))


@pytest.mark.parametrize("sizes", [(3,), (1, 2), (2, 1), (1, 1, 1)])
async def test_what_a_stranger_sends_ahead_of_a_post_never_counts(sizes):
    """Neither a deletion nor an edit, and it takes no id: the post is its author's, as it was written."""
    world = World()
    events = [
        PostEvent("deleted", post_id(T0), OTHER, T0),
        PostEvent("edited", post_id(T0), OTHER, T0 + 5, body="not yours", visibility="private"),
        published(T0),
    ]

    for size in sizes:
        assert await world.handle(events[:size]) == []
        events = events[size:]

    post = await shown(world)
    assert (post.author_id, post.body, post.visibility) == (AUTHOR, "words", "public")
    assert (post.deleted, post.edited_at) == (False, None)


@pytest.mark.parametrize("sizes", [(4,), (1, 3), (2, 2), (3, 1), (1, 1, 1, 1)])
@pytest.mark.parametrize("crash", range(9))
async def test_what_the_author_sends_ahead_of_a_post_counts(sizes, crash):
    """The edit with the later time, and the deletion; also when the process dies at any call."""
    world, offset = World(), 0
    await world.followers(5)
    events = [
        PostEvent("edited", post_id(T0), AUTHOR, T0 + 9, body="last words"),
        PostEvent("edited", post_id(T0), AUTHOR, T0 + 5, body="other words", region="eu"),
        PostEvent("deleted", post_id(T0), AUTHOR, T0 + 7),
        published(T0),
    ]

    for size in sizes:
        batch = events[offset : offset + size]
        for fault in (Fault(crash, "half"), Fault()):
            try:
                assert await world.handle(batch, fault, first_offset=offset, now_ms=T0) == []
            except Unavailable:
                continue
        offset += size

    post = await shown(world)
    assert (post.body, post.region, post.edited_at, post.deleted) == ("", "eu", T0 + 9, True)
    assert world.outbox.of("fanout.small") == []


async def test_of_two_authors_on_two_partitions_at_once_one_has_the_id_whole():
    """Neither saw the other when it began. The later write has it, and no task is sent for the other's."""
    world, rival = World(), World()
    rival.stores = world.stores
    await world.followers(5)
    await world.followers(5, author=OTHER)
    fault = Fault()

    async def meanwhile():
        if fault.calls[-1] == "claims":
            fault.watch = None
            assert await rival.handle([replace(published(T0, OTHER), body="others")], first_offset=9) == []

    fault.watch = meanwhile
    assert await world.handle([published(T0)], fault, first_offset=3) == [("owner", 3)]

    post = await shown(world)
    assert (post.author_id, post.body) == (OTHER, "others")
    assert world.outbox.of("fanout.small") == []
    assert [one.author_id for one in rival.outbox.of("fanout.small")] == [OTHER]


claims = st.lists(
    st.builds(
        lambda kind, author, lead_ms: PostEvent(kind, post_id(T0 + lead_ms), author, T0, body="words"),
        st.sampled_from(["published", "edited", "deleted"]),
        st.sampled_from([AUTHOR, OTHER]),
        st.sampled_from([0, 0, 0, 99_000]),
    ),
    min_size=1,
    max_size=6,
)


@given(claims, st.lists(st.integers(1, 6), max_size=6))
def test_what_is_refused_does_not_depend_on_the_batches(events, sizes):
    """Cut in any way, as a replay may: the same refusals and the same posts."""

    async def run(sizes):
        world, refused, offset = World(), [], 0
        for size in [*sizes, *[1] * len(events)]:
            refused += await world.handle(events[offset : offset + size], now_ms=T0)
            offset += size
        return sorted(refused), await world.tables(AUTHOR, OTHER)

    async def both():
        assert await run(sizes) == await run([len(events)])

    asyncio.run(both())

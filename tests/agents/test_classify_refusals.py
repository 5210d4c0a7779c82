"""What classify does not let in: posts of another time, and posts of another author."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import PostEvent
from tests.agents.classifier import AUTHOR, DAY, OTHER, T0, World, post_id, published


@pytest.mark.parametrize(
    ("lead_ms", "imported", "refused"),
    [
        (10_000, False, False),
        (10_001, False, True),
        (-60_000, False, False),
        (-60_001, False, True),
        (-60_001, True, False),
        (10_001, True, True),
    ],
)
async def test_a_post_of_another_time_is_refused(lead_ms, imported, refused):
    """By the broker's time of the message; nothing of it is stored or sent."""
    world = World()
    await world.followers(30)

    found = await world.handle([published(T0 + lead_ms, imported=imported)], now_ms=T0)

    assert found == [("clock", 0)] * refused
    assert bool(await world.stores.posts.posts([post_id(T0 + lead_ms)])) != refused
    assert bool(world.outbox.sent) != refused


async def test_a_late_edit_is_not_a_clock_error():
    """An old post may be edited at any time."""
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


async def test_an_event_of_no_known_type_is_refused():
    """Its neighbours are not."""
    world = World()

    assert await world.handle([published(T0), PostEvent("reposted", post_id(T0), AUTHOR, T0)]) == [
        ("type", 1)
    ]

    assert list(await world.stores.posts.posts([post_id(T0)])) == [post_id(T0)]

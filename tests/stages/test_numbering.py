"""Numbering: posts whose ids were made never share one, and a replay gives each the id it had."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain import made_ids
from pipeline.errors import Unavailable
from pipeline.stages import numbering
from pipeline.wire.records import PostEvent
from tests.stages.classifier import AUTHOR, OTHER, T0, World
from tests.stages.fakes import Fault, deliver


def clash(author=AUTHOR, body="a", n=0):
    """A post as publish sends it, but that all of them come with one id, which was made for none of them."""
    return PostEvent(
        "published", made_ids.post_id_of(0, T0), author, T0, "public", "", f"{body}{n}", (), made=True
    )


async def shown(world, authors):
    """By author and text, the ids under which it can be read."""
    found = {}
    for author in authors:
        rows = await world.stores.posts.recent(author, 0, 2**63 - 1, 1000)
        for post in (await world.stores.posts.posts([row.post_id for row in rows])).values():
            assert post.author_id == author
            found.setdefault((author, post.body), []).append(post.post_id)
    return found


POSTS = [clash(AUTHOR, "a"), clash(OTHER, "a"), clash(AUTHOR, "b"), clash(9, "c"), clash(OTHER, "a", 1)]


@given(st.permutations(POSTS), st.lists(st.integers(1, 3), max_size=5))
def test_every_post_is_stored_once_however_it_is_batched_and_replayed(posts, sizes):
    """Of different authors, of different texts of one author; the second time with other batches."""

    async def run():
        world = World()
        offset = 0
        for size in [*sizes, *[2] * len(posts)]:
            assert await world.handle(posts[offset : offset + size], first_offset=offset) == []
            offset += size
        first = await shown(world, (AUTHOR, OTHER, 9))
        assert sorted(first) == sorted((post.author_id, post.body) for post in posts)
        assert all(len(ids) == 1 for ids in first.values())
        assert len({ids[0] for ids in first.values()}) == len(posts)
        for n, post in enumerate(posts):
            assert await world.handle([post], first_offset=n) == []
        assert await shown(world, (AUTHOR, OTHER, 9)) == first

    asyncio.run(run())


@pytest.mark.parametrize("how", ["before", "half", "after"])
@pytest.mark.parametrize("crash", range(1, 12))
async def test_a_crash_at_any_call_gives_nobody_a_second_id(crash, how):
    """The batch dies and is replayed, post by post."""
    world = World()
    with suppress(Unavailable):
        await world.handle(POSTS, Fault(crash, how), first_offset=0)
    for n, post in enumerate(POSTS):
        assert await world.handle([post], first_offset=n) == []

    found = await shown(world, (AUTHOR, OTHER, 9))
    assert {key: len(ids) for key, ids in found.items()} == {(p.author_id, p.body): 1 for p in POSTS}


@pytest.mark.parametrize("call", ["claims", "reserve", "put_posts"])
async def test_two_processes_that_number_at_once_give_two_ids(call):
    """The other one works between any two calls of the first."""
    world, rival, fault = World(), World(), Fault()
    rival.stores = world.stores

    async def meanwhile():
        if fault.calls[-1] == call:
            fault.watch = None
            assert await rival.handle([clash(OTHER)], first_offset=9) == []

    fault.watch = meanwhile
    assert await world.handle([clash(AUTHOR)], fault, first_offset=3) == []

    found = await shown(world, (AUTHOR, OTHER))
    assert sorted(found) == [(AUTHOR, "a0"), (OTHER, "a0")]
    assert len({post_id for ids in found.values() for post_id in ids}) == 2


async def test_ten_thousand_authors_in_one_millisecond_have_a_post_each():
    """A dozen of them share their first id with another."""
    world = World()
    posts = []
    for author in range(1, 10_001):
        digest = made_ids.digest_of(author, T0, "happy new year", ())
        made = made_ids.post_id_of(digest, T0)
        posts.append(PostEvent("published", made, author, T0, "public", "", "happy new year", (), made=True))
    assert len({post.post_id for post in posts}) < 10_000

    numbered = set()
    for start in range(0, 10_000, 500):
        done = await numbering.number(
            world.stores.posts, [deliver(post) for post in posts[start : start + 500]], ttl_s=9
        )
        assert done.refused == []
        numbered |= {(one.record.post_id, one.record.author_id) for one in done.batch}

    assert len({post_id for post_id, _ in numbered}) == 10_000


async def test_ids_that_authors_gave_themselves_are_left_as_they_are():
    """And a post whose id was made gives way to them, before it is stored and for ever."""
    world = World()
    own = replace(clash(OTHER), made=False)

    assert await world.handle([own, clash(AUTHOR)], first_offset=0) == []
    assert await world.handle([own, clash(AUTHOR)], first_offset=0) == []

    found = await shown(world, (AUTHOR, OTHER))
    assert found[OTHER, "a0"] == [own.post_id]
    assert len(found[AUTHOR, "a0"]) == 1


async def test_a_chain_has_an_end():
    """Whoever is refused at every id becomes a dead letter, not a loop."""
    world = World()
    post = clash(AUTHOR)
    ids = made_ids.chain(post.post_id, made_ids.digest_of_event(post))
    await world.handle([replace(clash(OTHER), post_id=one, made=False) for one in ids])

    assert [reason for reason, _ in await world.handle([post])] == ["owner"]

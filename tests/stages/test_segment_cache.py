"""The followers of hot segments: shared by those who come together, and never older than their limit."""

import asyncio

import pytest

from pipeline.store.ports import StoreUnavailable
from pipeline.store.values import Followers
from tests.stages.writer import AUTHOR, POST, World, plain, task
from tests.waiting import eventually_async


@pytest.mark.parametrize(("later_s", "seen"), [(0.0, False), (0.999, False), (1.0, False), (1.001, True)])
async def test_a_follow_is_seen_when_the_cache_is_older_than_its_limit(later_s, seen):
    """
    ::

        read ──────────── limit ──▶        counted from the beginning of the read
        0                  1 s
        (1,)               (1,)  (1, 2)
    """
    world = World(plain(s0=(1,)))
    await world.handle([task()])
    world.segments.followers_of = plain(s0=(1, 2))

    world.clock.now += round(later_s * 1000)
    await world.handle([task(post=POST + 1)])

    assert await world.readers(1, 2) == ([1, 2] if seen else [1])


async def test_the_age_of_a_slow_read_counts_from_its_beginning():
    """What it brings may be as old as that."""
    world = World(plain(s0=(1,)))
    world.segments.answer.clear()
    slow = asyncio.create_task(world.cache.followers(AUTHOR, 0))
    await eventually_async(lambda: world.segments.reads)
    world.segments.followers_of = plain(s0=(1, 2))
    world.clock.now += 1_001
    world.segments.answer.set()

    assert (await world.cache.followers(AUTHOR, 0)).ids == (1, 2)
    assert (await slow).ids == (1,)


async def test_a_failed_read_is_not_remembered():
    """Everybody who waited for it hears of it; the next one asks again."""
    world = World(plain(s0=(1,)))
    world.segments.away = True
    found = await asyncio.gather(
        world.cache.followers(AUTHOR, 0), world.cache.followers(AUTHOR, 0), return_exceptions=True
    )
    assert [type(one) for one in found] == [StoreUnavailable, StoreUnavailable]
    assert len(world.segments.reads) == 1

    world.segments.away = False

    assert (await world.cache.followers(AUTHOR, 0)).ids == (1,)


async def test_a_reader_who_gives_up_does_not_end_the_read_of_others():
    """A cancelled batch shares its reads with those that go on."""
    world = World(plain(s0=(1,)))
    world.segments.answer.clear()
    one, other = (asyncio.create_task(world.cache.followers(AUTHOR, 0)) for _ in range(2))
    await eventually_async(lambda: world.segments.reads)

    one.cancel()
    world.segments.answer.set()

    assert (await other).ids == (1,)
    assert one.cancelled()


async def test_the_cache_holds_so_many_segments():
    """The fourth of three pushes out the one read first."""
    world = World({})
    for segment in (0, 1, 2, 3):
        await world.cache.followers(AUTHOR, segment)
    world.segments.reads.clear()

    for segment in (3, 2, 1, 0):
        await world.cache.followers(AUTHOR, segment)

    assert world.segments.reads == [(AUTHOR, 0)]


async def test_followers_with_their_warmth_are_another_read():
    """What was read without it cannot answer who is warm."""
    world = World({(AUTHOR, 0): Followers((1, 2), {1: 5})})
    assert (await world.cache.followers(AUTHOR, 0)).warm_since == {}

    assert (await world.cache.followers(AUTHOR, 0, warm=True)).warm_since == {1: 5}

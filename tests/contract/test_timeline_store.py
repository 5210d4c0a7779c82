"""TimelineStore: rows of a push are all there, once, in order of time, as long as they live."""

import asyncio
from dataclasses import replace

import pytest

from pipeline.domain import hints
from pipeline.domain.merge import Row
from pipeline.store.values import NOT_COVERED, Push, Retraction, TimelineEntry
from tests.waiting import eventually_async

pytestmark = pytest.mark.asyncio(loop_scope="session")


def entry(post_id: int, hints: int = 1, timestamp_us: int = 1000, ttl_s: int = 1000) -> TimelineEntry:
    return TimelineEntry(post_id, 7, hints, timestamp_us, ttl_s)


async def push(stores, readers, entries) -> int:
    return await stores.timelines.push([Push(readers, entries)])


async def ids(stores, reader: int, lo: int = 0, hi: int = NOT_COVERED, limit: int = 1000) -> list[int]:
    return [row.post_id for row in await stores.timelines.timeline(reader, lo, hi, limit)]


async def test_every_entry_is_in_every_timeline(stores, fresh):
    reader = fresh()

    written = await push(stores, [reader, reader + 1], [entry(1, hints=-(2**63)), entry(2, hints=3)])

    rows = [Row(2, 7, 3), Row(1, 7, -(2**63))]
    assert written == 4
    assert await stores.timelines.timeline(reader, 0, NOT_COVERED, 10) == rows
    assert await stores.timelines.timeline(reader + 1, 0, NOT_COVERED, 10) == rows
    assert await stores.timelines.timeline(reader + 2, 0, NOT_COVERED, 10) == []


async def test_a_timeline_is_read_between_its_bounds(stores, fresh):
    reader = fresh()
    await push(stores, [reader], [entry(post) for post in (11, 12, 13, 14, 15)])

    assert await ids(stores, reader, 12, 15) == [14, 13, 12]
    assert await ids(stores, reader, limit=4) == [15, 14, 13, 12]
    assert await ids(stores, reader, limit=5) == [15, 14, 13, 12, 11]
    assert await ids(stores, reader, limit=6) == [15, 14, 13, 12, 11]


async def test_a_push_may_come_again_and_late(stores, fresh):
    reader = fresh()
    older, newer = entry(1, hints=9, timestamp_us=1000), entry(1, hints=5, timestamp_us=1001)

    for each in (newer, older, newer, older):
        await push(stores, [reader], [each])

    assert await stores.timelines.timeline(reader, 0, NOT_COVERED, 10) == [Row(1, 7, 5)]


@pytest.mark.parametrize(("ttl_s", "rows"), [(-1, 0), (0, 0), (1, 1)])
async def test_an_entry_whose_life_is_over_is_not_written(stores, fresh, ttl_s, rows):
    assert await push(stores, [fresh()], [entry(1, ttl_s=ttl_s)]) == rows


async def test_rows_live_as_long_as_their_entry(stores, fresh):
    reader = fresh()

    await push(stores, [reader], [entry(1, ttl_s=1), entry(2, ttl_s=1000), entry(3, ttl_s=0)])

    async def the_short_one_is_gone() -> bool:
        return await ids(stores, reader) == [2]

    await eventually_async(the_short_one_is_gone)


async def test_ten_thousand_rows_arrive(stores, fresh):
    readers = range(first := fresh(), first + 2000)

    assert await push(stores, readers, [entry(post) for post in range(5)]) == 10_000

    timelines = await asyncio.gather(*(ids(stores, reader) for reader in readers))
    assert timelines == [[4, 3, 2, 1, 0]] * 2000


@pytest.mark.parametrize("entries", [199, 200, 201, 450])
async def test_more_entries_than_fit_into_one_batch(stores, fresh, entries):
    reader = fresh()

    await push(stores, [reader, reader + 1], [entry(post) for post in range(entries)])

    assert await ids(stores, reader) == list(reversed(range(entries)))
    assert await ids(stores, reader + 1) == list(reversed(range(entries)))


async def test_concurrent_pushes_do_not_disturb_each_other(stores, fresh):
    reader = fresh()
    readers = range(reader, reader + 50)

    await asyncio.gather(*(push(stores, readers, [replace(entry(p), hints=p)]) for p in range(50)))

    for each in readers:
        rows = await stores.timelines.timeline(each, 0, NOT_COVERED, 100)
        assert [(row.post_id, row.hints) for row in rows] == [(p, p) for p in reversed(range(50))]


@pytest.mark.parametrize("audience", [0, 1, 7, 99, 100, 101])
async def test_pushes_of_one_call_reach_each_its_own_readers(stores, fresh, audience):
    """Small ones share batches: nobody's rows may end in another's timeline, or be lost at a batch's end."""
    first = fresh()
    readers = [range(first + 200 * n, first + 200 * n + audience) for n in range(5)]

    written = await stores.timelines.push([Push(each, [entry(n)]) for n, each in enumerate(readers)])

    assert written == 5 * audience
    for n, each in enumerate(readers):
        around = range(each.start, each.start + 200)
        timelines = await asyncio.gather(*(ids(stores, reader) for reader in around))
        assert timelines == [[n]] * audience + [[]] * (200 - audience)


async def test_a_call_without_rows_writes_nothing(stores, fresh):
    assert await stores.timelines.push([]) == 0
    assert await stores.timelines.push([Push([], [entry(1)]), Push([fresh()], [])]) == 0


@pytest.mark.parametrize(("written_us", "left"), [(0, []), (1000, []), (2000, [5])])
@pytest.mark.parametrize("late", [False, True])
async def test_a_row_goes_unless_it_was_written_after_its_retraction(stores, fresh, written_us, left, late):
    """A millisecond before, at, and after, in either order: a late push does not bring back what was removed."""
    reader = fresh()
    if not late:
        await push(stores, [reader], [entry(5, timestamp_us=written_us)])
    assert await stores.timelines.retract([Retraction([reader], [5], 1000)]) == 1
    if late:
        await push(stores, [reader], [entry(5, timestamp_us=written_us)])

    assert await ids(stores, reader) == left


async def test_what_was_taken_out_is_a_row_for_those_who_ask(stores, fresh):
    """A page reads on below it by itself: no read costs more than it asked for."""
    reader = fresh()
    await push(stores, [reader], [entry(post) for post in (1, 2, 3, 4)])
    await stores.timelines.retract([Retraction([reader], [2, 3, 4], 2000)])

    rows = await stores.timelines.timeline(reader, 0, NOT_COVERED, 2, gone=True)

    assert [(row.post_id, hints.withheld(row.hints, own=False)) for row in rows] == [(4, True), (3, True)]
    assert await ids(stores, reader, limit=1) == [1]
    assert await ids(stores, reader, lo=2) == []


async def test_what_goes_for_ever_is_not_written_again(stores, fresh):
    """As of the last write time there is."""
    reader = fresh()
    await stores.timelines.retract([Retraction([reader], [1], 2**63 - 1)])
    await push(stores, [reader], [entry(1, timestamp_us=2**62)])

    assert await ids(stores, reader) == []


async def test_a_retraction_takes_its_posts_from_its_readers_alone(stores, fresh):
    first = fresh()
    readers = range(first, first + 3)
    await push(stores, readers, [entry(post) for post in (1, 2, 3)])

    removed = await stores.timelines.retract(
        [Retraction(readers[:2], [1, 3], 2000), Retraction(readers[2:], [2], 2000), Retraction([], [1], 2000)]
    )

    assert removed == 5
    assert [await ids(stores, reader) for reader in readers] == [[2], [2], [3, 1]]
    assert await stores.timelines.retract([]) == 0


async def test_a_retraction_of_a_whole_step(stores, fresh):
    """1,000 rows, as a repair does at most."""
    first = fresh()
    readers = range(first, first + 100)
    await push(stores, readers, [entry(post) for post in range(1, 12)])

    assert await stores.timelines.retract([Retraction(readers, range(1, 11), 2000)]) == 1000

    timelines = await asyncio.gather(*(ids(stores, reader) for reader in readers))
    assert timelines == [[11]] * 100

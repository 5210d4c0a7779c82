"""Graph: follow events end as the naive model says, also when the process dies at any call of its store."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.store.ports import StoreUnavailable
from pipeline.store.values import NOT_COVERED, AuthorGraph, Edge, SegmentChange
from tests.domain.examples import at_least
from tests.stages.fakes import Fault, deliver
from tests.stages.follows import AUTHOR, BOUND, NOW, OTHER, SIZE, World, follow, logs, unfollow
from tests.twin import Clock


@at_least(150)
@given(
    logs,
    st.integers(0, 4),
    st.integers(1, 3),
    st.sampled_from(["before", "half", "after"]),
    st.integers(1, 3),
)
def test_a_crash_at_any_call_changes_nothing_in_the_end(log, start, taken, how, again):
    """The batch dies at its first call, at its second, …; then the log is replayed in batches of another size."""

    async def one_crash(at):
        world = World()
        for event in log[:start]:
            await world.handle([event])
        fault = Fault(at, how, world.check)
        survived = await world.handle(log[start : start + taken], fault)
        for offset in range(start, len(log), again):
            assert await world.handle(log[offset : offset + again], Fault(watch=world.check))
        await world.check_end(log)
        return survived

    async def every_crash():
        at = 1
        while not await one_crash(at):
            at += 1

    asyncio.run(every_crash())


@given(logs, st.randoms(use_true_random=False), st.integers(1, 4))
def test_order_repetition_and_batches_do_not_matter(log, random, taken):
    """Shuffled, some twice, in batches of any size: the same edges, members and counts."""

    async def run():
        world, again = World(), [*log, *random.choices(log, k=4)]
        world.log = list(log)
        random.shuffle(again)
        for offset in range(0, len(again), taken):
            await world.handle(again[offset : offset + taken], Fault(watch=world.check))
        await world.check_end(log)
        assert all(len(members) <= SIZE for members in await world.segments())

    asyncio.run(run())


async def calls_and_tables(world, event):
    """After each write of this event: the call, the edges as (reader, segment, bound), and the segments."""
    fault, seen = Fault(), []

    async def watch():
        edges = [(edge.reader_id, edge.segment, edge.covered_from) for edge in await world.edges()]
        seen.append((fault.calls[-1], edges, await world.segments()))

    fault.watch = watch
    await world.handle([event], fault)
    return [step for step in seen if step[0].startswith(("put", "change"))]


async def test_an_edge_is_written_before_its_segment_and_covered_after_it():
    """Pulled for from the first moment, relied upon only when the segment and the counts are durable."""
    world = World()
    await world.handle([follow(4, 2)])

    old = (2, 0, BOUND)
    assert await calls_and_tables(world, follow(5, 1)) == [
        ("put_author_graphs", [old], [[2]]),
        ("put_edges", [(1, 0, NOT_COVERED), old], [[2]]),
        ("put_edges", [(1, 0, NOT_COVERED), old], [[2]]),
        ("change_segment", [(1, 0, NOT_COVERED), old], [[1, 2]]),
        ("put_author_graphs", [(1, 0, NOT_COVERED), old], [[1, 2]]),
        ("put_edges", [(1, 0, BOUND), old], [[1, 2]]),
    ]


async def test_first_followers_are_seen_once_their_segments_are_durable():
    """Each edge is written once, and no fence is asked: there is nothing yet that two writers could differ in."""
    assert await calls_and_tables(World(), follow(5, 3, 1, 2)) == [
        ("put_author_graphs", [], [[], []]),
        ("put_first_followers", [], [[1, 3], [2]]),
        ("put_edges", [(1, 0, BOUND), (2, 1, BOUND), (3, 0, BOUND)], [[1, 3], [2]]),
        ("put_author_graphs", [(1, 0, BOUND), (2, 1, BOUND), (3, 0, BOUND)], [[1, 3], [2]]),
    ]


async def test_first_followers_that_were_cut_off_leave_before_others_come():
    """The batch dies before the edges, and comes again without the event that began it: a dead letter, say."""
    world = World()
    assert not await world.handle([follow(5, 1, 2, 3)], Fault(4, "before"))
    assert await world.segments() == [[1, 2], [3]] and not await world.edges()

    await world.handle([follow(6, 2, 4)])

    await world.check_end([follow(6, 2, 4)])


async def test_first_followers_twice_at_once_are_one():
    """A process that was frozen in its first batch goes on when another has done that batch and the next."""
    world, woken = World(), asyncio.Event()

    class Frozen:
        """Wakes up late, and from then on writes what it meant to."""

        def __getattr__(self, name):
            return getattr(world.store, name)

        async def put_first_followers(self, firsts):
            await woken.wait()
            await world.store.put_first_followers(firsts)

    zombie = asyncio.create_task(world.stage(Frozen())([deliver(follow(5, 1, 2))]))
    await asyncio.sleep(0)
    await world.handle([follow(5, 1, 2)])
    await world.handle([unfollow(6, 1)])

    woken.set()
    await zombie

    assert await world.segments() == [[2]]
    assert await world.store.segment_lives(AUTHOR, 1) == [1]
    assert [edge.reader_id for edge in await world.edges()] == [2]


@pytest.mark.parametrize(
    "last_calls", [["put_author_graphs", "put_first_followers"], ["change_segment", "put_author_graphs"]]
)
async def test_the_bound_is_one_margin_after_the_segments_are_durable(last_calls):
    """The clock is read then and not before: a slow store must not eat the margin."""
    world, fault, read_after = World(), Fault(), []
    if "change_segment" in last_calls:
        await world.handle([follow(4, 2)])

    class Watched(Clock):
        def now_ms(self):
            read_after.append(fault.calls[-2:])
            return NOW

    await world.stage(fault.wrap(world.store), clock=Watched())([deliver(follow(5, 1))])

    assert read_after == [last_calls]


async def test_followers_fill_the_lowest_segment_first():
    """Limit − 1, limit and limit + 1 followers of a segment of two; who leaves makes room for the next."""
    world = World()

    assert await world.handle([follow(5, 1)]) and await world.segments() == [[1]]
    assert await world.handle([follow(6, 2)]) and await world.segments() == [[1, 2]]
    assert await world.handle([follow(7, 3)]) and await world.segments() == [[1, 2], [3]]
    assert await world.handle([unfollow(8, 1)]) and await world.segments() == [[2], [3]]
    assert await world.handle([follow(9, 4)]) and await world.segments() == [[2, 4], [3]]


async def test_a_late_follow_of_someone_who_left_before_anyone_followed_makes_no_ghost():
    """The unfollow came first, so the author had no segment when it did."""
    world = World()
    await world.handle([unfollow(5, 1)])

    await world.handle([follow(3, 1)])

    await world.check_end([unfollow(5, 1), follow(3, 1)])


async def test_a_reader_whose_unfollow_was_cut_off_comes_back_to_one_seat():
    """
    ::

        segment 0    1 2        the unfollow of 1 dies after its edge, before its segment
        replay       unfollow and the next follow of 1 in one batch
    """
    world = World()
    await world.handle([follow(5, 1, 2)])
    assert not await world.handle([unfollow(6, 1)], Fault(7, "before"))
    assert await world.segments() == [[1, 2]]
    assert {edge.reader_id for edge in await world.edges()} == {2}

    await world.handle([unfollow(6, 1), follow(7, 1)])

    await world.check_end([follow(5, 1, 2), unfollow(6, 1), follow(7, 1)])


async def test_a_lost_race_is_decided_by_who_is_there():
    """A zombie of before the rebalance changed the segment in between: its work is found, not done twice."""
    world = World(size=5)
    await world.handle([follow(5, 1)])

    class Raced:
        """The zombie adds reader 2 just before we do."""

        def __init__(self, store):
            self.store, self.raced = store, False

        def __getattr__(self, name):
            return getattr(self.store, name)

        async def change_segment(self, change):
            if not self.raced:
                self.raced = True
                assert await self.store.change_segment(SegmentChange(AUTHOR, 0, 1, (2,)))
            return await self.store.change_segment(change)

    await world.stage(Raced(world.store), size=5)([deliver(follow(6, 2, 3))])

    await world.check_end([follow(5, 1), follow(6, 2, 3)])


async def test_nothing_of_a_failed_attempt_comes_after_it():
    """While one segment fails, the change of another is on its way: it must not land on a later state."""
    world, late = World(size=1), asyncio.Event()

    class Slow:
        """Segment 1 is away, and segment 2 takes its time."""

        def __getattr__(self, name):
            return getattr(world.store, name)

        async def change_segment(self, change):
            if change.segment == 1:
                raise StoreUnavailable("away")
            await late.wait()
            return await world.store.change_segment(change)

    await world.handle([follow(4, 3)])
    handle = World().stage(Slow(), size=1)
    with pytest.raises(StoreUnavailable):
        await handle([deliver(follow(5, 1, 2))])
    await world.handle([follow(5, 1, 2)])
    await world.handle([unfollow(6, 1, 2)])

    late.set()
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)

    await world.check_end([follow(4, 3), unfollow(6, 1, 2)])


async def test_authors_of_one_batch_do_not_meet():
    """Each has its own segments and counts; the first event about one is applied before the others."""
    world = World()

    await world.handle([follow(5, 1, 2, 3), follow(5, 1, author=OTHER), unfollow(6, 2)])

    graphs = await world.store.author_graphs([AUTHOR, OTHER])
    assert graphs == {AUTHOR: AuthorGraph(AUTHOR, 2, 2), OTHER: AuthorGraph(OTHER, 1, 1)}


async def test_a_newer_follow_moves_the_edge_and_keeps_the_rest():
    """Its seat, its bound and its warmth."""
    world = World()
    await world.handle([follow(NOW + 5, 1)])
    await world.store.put_edges([Edge(1, AUTHOR, True, NOW + 6, 0, 100, 200)])

    await world.handle([follow(NOW + 9, 1)])

    assert await world.edges() == [Edge(1, AUTHOR, True, NOW + 9, 0, covered_from=100, warm_since=200)]


async def test_at_one_time_the_later_on_the_partition_counts_and_its_rows_stay():
    """Left and back within a second of a clock that has no more: rows are written as of after the removal."""
    world = World()
    for event in (follow(NOW - 9, 1), unfollow(NOW, 1), follow(NOW, 1)):
        await world.handle([event])

    (back,) = await world.edges()
    assert (back.reader_id, back.at, back.place) == (1, NOW, 2)
    (removal,) = world.outbox.of("fanout.retract")
    assert removal.at < world.outbox.of("fanout.backfill")[-1].at == NOW + 1

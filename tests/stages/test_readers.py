"""Readers: what is known of a reader is what the newest events say."""

import asyncio
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.snowflake import first_id
from pipeline.errors import Unavailable
from pipeline.kafka.emit import Emit
from pipeline.stages.active_readers import ActiveReaders
from pipeline.stages.sweep import Sweep
from pipeline.store.memory import memory_stores
from pipeline.store.values import NOT_COVERED, ReaderState
from pipeline.wire.records import AccountEvent, ActivityEvent, ReaderCohort, RepairTask
from tests.domain.examples import at_least
from tests.stages.fakes import Fault, RecordingOutbox, deliver
from tests.twin import Clock, shaped, stage

NOW, MARGIN = 1_700_000_000_000, 60_000
BOUND = first_id(NOW + MARGIN)
MINUTE = shaped(margin_seconds=60.0)

EVENTS = [
    AccountEvent("registered", 1, "eu", False, NOW + 5),
    AccountEvent("updated", 1, "us", True, NOW + 6),
    ActivityEvent("opened", 1, NOW + 9),
    ActivityEvent("engaged", 1, NOW + 7, author_id=3, post_id=4),
    ActivityEvent("opened", 2, NOW + 8),
]


def a_stage():
    """The stage and its store."""
    stores = memory_stores(lambda: 0.0)
    return stage("readers", stores, topology=MINUTE), stores.readers


async def state_after(events, taken):
    """Readers 1, 2 and 3 after these events, in batches of so many."""
    handle, store = a_stage()
    for offset in range(0, len(events), taken):
        assert await handle([deliver(event) for event in events[offset : offset + taken]]) == []
    return [await store.reader(reader) for reader in (1, 2, 3)]


async def test_a_reader_is_what_the_newest_events_say():
    """Region and protection of the last update, the first registration, the last time seen; unknown: defaults."""
    assert await state_after(EVENTS, 5) == [
        ReaderState(
            *(1, "us", True),
            registered_at=NOW + 5,
            last_seen=NOW + 9,
            active=True,
            covered_from=BOUND,
            cohort_at=NOW + 5,
        ),
        ReaderState(2, last_seen=NOW + 8, active=True, covered_from=BOUND, cohort_at=NOW + 8),
        ReaderState(3),
    ]


async def test_an_update_changes_what_it_names():
    """And at one time the later one on the partition counts: the second update has the next offset."""
    events = [
        AccountEvent("registered", 1, "de", True, NOW),
        AccountEvent("updated", 1, "fr", False, NOW, ("region",)),
        AccountEvent("updated", 1, "us", False, NOW, ("region",)),
    ]
    handle, store = a_stage()

    for _ in range(2):
        assert await handle([deliver(event, offset=n) for n, event in enumerate(events)]) == []

    assert (await store.reader(1)).region == "us"
    assert (await store.reader(1)).protected


async def test_order_repetition_and_batches_do_not_matter():
    """The last time a reader was seen never goes back, and an old account never comes back.

    Only the version of the cohort is that of whichever event woke the reader first.
    """
    wanted = [replace(state, cohort_at=0) for state in await state_after(EVENTS, 5)]

    for order in permutations(EVENTS):
        for taken in (1, 3):
            found = await state_after([*order, order[0]], taken)
            assert [replace(state, cohort_at=0) for state in found] == wanted


async def test_a_replay_of_everything_changes_nothing():
    """Not even the version of a cohort."""
    assert await state_after([*EVENTS, *EVENTS], 2) == await state_after(EVENTS, 5)


class World:
    """The stage with what it has said. Each batch takes a second."""

    def __init__(self):
        self.stores, self.outbox, self.now = memory_stores(lambda: 0.0), RecordingOutbox(), NOW

    async def handle(self, events, fault=None):
        """One batch; False when the process died in it."""
        fault = fault or Fault()
        self.now += 1000
        how = {"clock": Clock(self.now), "topology": MINUTE, "fault": fault}
        handle = stage("readers", self.stores, self.outbox, **how)
        try:
            assert await handle([deliver(event) for event in events]) == []
        except Unavailable:
            return False
        return True

    async def watch(self):
        """What is true after every single call."""
        for reader in (1, 2):
            state = await self.stores.readers.reader(reader)
            told = [record for record in self.outbox.of("reader.cohorts") if record.reader_id == reader]
            bounds = {
                task.covered_from for task in self.outbox.of("fanout.backfill") if reader in task.reader_ids
            }
            if state.active:
                assert any(record.active and record.at == state.cohort_at for record in told)
                assert state.covered_from in bounds
                assert told[-1].active, "writers were told to stop while the reader relies on them"
            assert [r.at for r in told] == sorted(r.at for r in told)


EVENT = st.builds(
    lambda kind, reader, at: (
        AccountEvent(kind, reader, "", False, at) if kind == "registered" else ActivityEvent(kind, reader, at)
    ),
    st.sampled_from(["registered", "opened", "engaged", "lapsed", "lapsed", "rebuild"]),
    st.sampled_from([1, 1, 2]),
    st.integers(1, 9),
)


@at_least(150)
@given(
    st.lists(EVENT, min_size=1, max_size=7), st.integers(1, 3), st.sampled_from(["before", "half", "after"])
)
def test_a_crash_at_any_call_leaves_nothing_relied_upon_that_nobody_was_told(log, taken, how):
    """Whenever the row says active, the topic has said so and the backfill is sent; dormant: row first."""

    async def one_crash(at):
        world = World()
        survived = await world.handle(log[:taken], Fault(at, how, world.watch))
        for offset in range(0, len(log), taken):
            assert await world.handle(log[offset : offset + taken], Fault(watch=world.watch))
        await world.watch()
        for reader in (1, 2):
            state = await world.stores.readers.reader(reader)
            told = [record for record in world.outbox.of("reader.cohorts") if record.reader_id == reader]
            assert (told[-1].active if told else None) == state.active
        return survived

    async def every_crash():
        at = 1
        while not await one_crash(at):
            at += 1

    asyncio.run(every_crash())


async def test_who_comes_back_is_pushed_to_one_margin_ahead_and_backfilled_below():
    """All who wake in one batch share a task, whenever each of them did."""
    world = World()

    await world.handle([ActivityEvent("opened", 1, 5), *(ActivityEvent("opened", r, 6) for r in (2, 3))])

    bound = first_id(world.now + MARGIN)
    assert world.outbox.of("reader.cohorts") == [
        ReaderCohort(1, True, first_id(5), 5),
        ReaderCohort(2, True, first_id(6), 6),
        ReaderCohort(3, True, first_id(6), 6),
    ]
    assert world.outbox.of("fanout.backfill") == [
        RepairTask(0, (1, 2, 3), 0, -1, 0, bound, at=6, covered_from=bound),
    ]
    states = await world.stores.readers.readers([1, 2])
    assert [states[n] for n in (1, 2)] == [
        ReaderState(1, last_seen=5, active=True, covered_from=bound, cohort_at=5),
        ReaderState(2, last_seen=6, active=True, covered_from=bound, cohort_at=6),
    ]


async def test_a_new_bound_is_above_any_that_was_fulfilled():
    """Also when this clock is behind that of an earlier process."""
    world = World()
    ahead = first_id(NOW + 10 * MARGIN)
    await world.stores.readers.put_readers_caught_up([1], ahead, ttl_s=1000)

    await world.handle([ActivityEvent("opened", 1, 5)])

    assert (await world.stores.readers.reader(1)).bound == ahead + 1


async def test_who_lapses_is_pulled_for_and_a_rebuild_starts_again():
    world = World()
    await world.handle([ActivityEvent("opened", 1, 5)])
    await world.handle([ActivityEvent("lapsed", 1, 6)])
    dormant = await world.stores.readers.reader(1)
    assert (dormant.active, dormant.bound) == (False, NOT_COVERED)

    await world.handle([ActivityEvent("rebuild", 1, 7)])
    assert (await world.stores.readers.reader(1)) == dormant

    await world.handle([ActivityEvent("opened", 1, 8)])
    bound = (await world.stores.readers.reader(1)).covered_from
    await world.stores.readers.put_readers_caught_up([1], bound, ttl_s=1000)
    await world.handle([ActivityEvent("rebuild", 1, 9)])
    assert (await world.stores.readers.reader(1)).bound > bound


async def test_the_sweep_says_who_lapses_and_the_stage_decides():
    """Active and away for longer than they may; whoever is seen meanwhile stays."""
    world = World()
    await world.handle([ActivityEvent("opened", n, NOW + n) for n in (1, 2, 3)])
    await world.handle([ActivityEvent("lapsed", 3, NOW + 9)])
    world.now = NOW + 2 + 100

    sweep = Sweep(world.stores.readers, Emit(world.outbox, "readers"), Clock(world.now), 100)
    assert await sweep.once() == 1
    assert world.outbox.of("reader.marks") == [ActivityEvent("lapsed", 1, world.now)]

    await world.handle([ActivityEvent("opened", 1, world.now + 1), *world.outbox.of("reader.marks")])
    assert (await world.stores.readers.reader(1)).active


async def test_a_sweep_of_many_sends_each_once():
    """In portions: limit − 1, limit, limit + 1."""
    for count in (999, 1000, 1001):
        world = World()
        states = [ReaderState(n, active=True, covered_from=BOUND, cohort_at=1) for n in range(1, count + 1)]
        await world.stores.readers.put_cohorts(states)
        sweep = Sweep(world.stores.readers, Emit(world.outbox, "readers"), Clock(NOW), 100)

        assert await sweep.once() == count

        assert [event.reader_id for event in world.outbox.of("reader.marks")] == list(range(1, count + 1))


@pytest.mark.parametrize(("age_s", "pushed"), [(0.0, (1, 4)), (1.0, (1, 4)), (1.1, (5, 4, 2, 1))])
def test_an_old_view_of_cohorts_pushes_to_everyone(age_s, pushed):
    """Limit and limit + 1; a view that was never filled is as old as can be."""
    active = ActiveReaders(max_age_s=1.0)
    assert active.among((5, 4, 2, 1)) == (5, 4, 2, 1)
    for reader in (1, 2, 4, 2**62):
        active.put(b"%d" % reader, ReaderCohort(reader, True, 0, 0))
    active.put(b"2", ReaderCohort(2, False, 0, 0))
    active.put(b"1", None)
    active.put(b"1", ReaderCohort(1, True, 0, 0))
    active.put(b"9", None)

    active.age_s = lambda: age_s

    assert active.among((5, 4, 2, 1)) == pushed

"""Counters: a reader counts once an hour for a post, whatever order, repetition or crash events come in."""

import asyncio
from collections import defaultdict
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.engagement import HOUR_MS, RETENTION_HOURS
from pipeline.kafka.messages import Delivery, Incoming
from pipeline.store.memory import memory_stores
from pipeline.store.ports import StoreUnavailable
from pipeline.wire.records import ActivityEvent
from tests.domain.examples import at_least
from tests.stages.fakes import Fault
from tests.twin import Clock, stage

HOUR = 472_222
NOW = HOUR * HOUR_MS + 1_800_000
OLDEST = NOW - (RETENTION_HOURS + 1) * HOUR_MS

kinds = st.sampled_from(["engaged"] * 6 + ["opened", "hidden", "lapsed", "invented"])
times = st.integers(0, 3).map(lambda hours: NOW - hours * HOUR_MS)
events = st.builds(ActivityEvent, kinds, st.integers(1, 5), times, st.just(9), st.integers(100, 102))
logs = st.lists(events, min_size=1, max_size=12)


def deliveries(log, part):
    """A partition of the topic: offsets are places in the log."""
    return [
        Delivery(event, Incoming("activity", part, n, b"", b"", (), NOW), NOW) for n, event in enumerate(log)
    ]


def oracle(parts, since):
    """Exact sets of readers, by post, hour and partition."""
    sets = defaultdict(set)
    for part, log in enumerate(parts):
        for event in log:
            if event.type == "engaged" and event.at >= since * HOUR_MS:
                sets[event.post_id, event.at // HOUR_MS, part].add(event.reader_id)
    counts = defaultdict(int)
    for (post, _, _), readers in sets.items():
        counts[post] += len(readers)
    return dict(counts)


class World:
    """The table, and stages on it."""

    def __init__(self, now=NOW):
        self.stores, self.now = memory_stores(lambda: 0.0), now

    def stage(self, fault=None):
        """Another process."""
        return stage("counters", self.stores, clock=Clock(self.now), fault=fault)

    async def counts(self, since=HOUR - 9):
        return await self.stores.counters.engaged([100, 101, 102], since)


async def handled(handle, batch):
    """Whether the process lives on."""
    try:
        assert await handle(batch) == []
    except StoreUnavailable:
        return False
    return True


@at_least(150)
@given(
    st.lists(logs, min_size=1, max_size=2), st.randoms(use_true_random=False), st.integers(HOUR - 4, HOUR + 1)
)
def test_counts_are_those_of_exact_sets_in_any_order_of_delivery(parts, random, since):
    """Two partitions interleaved; batches of any size, some twice, all of it replayed from anywhere."""

    async def run():
        world = World()
        handle = world.stage()
        for _ in range(2):
            places, rewinds = [0 for _ in parts], 3
            while any(place < len(log) for place, log in zip(places, parts, strict=True)):
                part = random.randrange(len(parts))
                taken = deliveries(parts[part], part)[places[part] : places[part] + random.randint(1, 5)]
                assert await handle(taken + taken * random.randint(0, 1)) == []
                places[part] = min(len(parts[part]), places[part] + len(taken))
                if rewinds and random.random() > 0.9:
                    places[part], rewinds = random.randint(0, places[part]), rewinds - 1
            assert await world.counts(since) == oracle(parts, since)

    asyncio.run(run())


@given(logs, st.randoms(use_true_random=False))
def test_what_is_stored_is_the_same_whatever_order_readers_came_in(log, random):
    """Published again in another order: the same bytes, not only the same counts."""

    async def run():
        worlds = World(), World()
        shuffled = random.sample(log, len(log))
        for world, order in zip(worlds, (log, [*shuffled, *log]), strict=True):
            for one in deliveries(order, 0):
                await world.stage()([one])
        one, other = (vars(world.stores.counters)["_windows"] for world in worlds)
        assert {post: one.rows(post) for post in one.partitions()} == {
            post: other.rows(post) for post in other.partitions()
        }

    asyncio.run(run())


@at_least(100)
@given(logs, st.integers(1, 4), st.sampled_from(["before", "half", "after"]))
def test_a_crash_at_any_call_changes_nothing_in_the_end(log, taken, how):
    """The batch that died is delivered again, in batches of another size."""

    async def one_crash(at):
        world, batch = World(), deliveries(log, 0)
        survived = await handled(world.stage(Fault(at, how)), batch[:taken])
        for one in batch if not survived else batch[taken:]:
            assert await handled(world.stage(), [one])
        assert await world.counts() == oracle([log], HOUR - 9)
        return survived

    async def every_crash():
        at = 1
        while not await one_crash(at):
            at += 1

    asyncio.run(every_crash())


one_window = st.lists(
    st.integers(1, 9).map(lambda reader: ActivityEvent("engaged", reader, NOW, 9, 100)),
    min_size=2,
    max_size=9,
)


@at_least(150)
@given(one_window, st.randoms(use_true_random=False))
def test_one_who_lost_the_partition_and_goes_on_makes_nothing_smaller(log, random):
    """
    ::

        committed ──┬── zombie   reads   ┊ a b c ┊ writes, some time or other
                    └── successor  a   b   c   d   e …

    Both begin at the commit and work on until they are through; a call of either comes at any time.
    """

    async def run():
        world, batch, calls = World(), deliveries(log, 0), []
        commit = random.randint(0, len(batch))
        await world.stage()(batch[:commit])

        async def turn(method, args):
            ready = asyncio.get_running_loop().create_future()
            calls.append(ready)
            await ready
            return await method(*args)

        class Port:
            def __getattr__(self, name):
                return lambda *args: turn(getattr(world.stores.counters, name), args)

        async def work(end):
            handle, place = (
                stage("counters", replace(memory_stores(), counters=Port()), clock=Clock(NOW)),
                commit,
            )
            while place < end:
                size = random.randint(1, 4)
                await handle(batch[place : min(end, place + size)])
                place += size

        zombie = asyncio.create_task(work(random.randint(commit, len(batch))))
        successor = asyncio.create_task(work(len(batch)))
        while not (zombie.done() and successor.done()):
            await asyncio.sleep(0)
            if calls:
                calls.pop(random.randrange(len(calls))).set_result(None)
        await asyncio.gather(zombie, successor)
        assert await world.counts() == oracle([log], HOUR - 9)

    asyncio.run(run())


async def test_batches_in_flight_at_once_take_nothing_from_each_other():
    """Both are of one window; neither reads before the other has written."""
    world = World()
    handle = world.stage(Fault())
    batches = [[ActivityEvent("engaged", reader, NOW, 9, 100)] for reader in range(1, 9)]

    await asyncio.gather(*(handle(deliveries(batch, 0)) for batch in batches))

    assert await world.counts() == {100: 8}


@pytest.mark.parametrize(
    ("at", "counted"),
    [
        (OLDEST - HOUR_MS // 2 - 1, False),
        (OLDEST - HOUR_MS // 2, False),
        (OLDEST + HOUR_MS // 2, True),
        (NOW, True),
        (-(2**62), False),
    ],
)
async def test_who_comes_after_the_life_of_a_window_is_not_counted(at, counted):
    """Limit − 1, limit and far behind it."""
    world = World()

    await world.stage()(deliveries([ActivityEvent("engaged", 1, at, 9, 100)], 0))

    assert await world.stores.counters.engaged([100], -(2**62)) == ({100: 1} if counted else {})


async def test_an_engagement_that_names_no_post_counts_nowhere():
    """It is no failure: the author alone warms an edge."""
    world = World()

    await world.stage()(deliveries([ActivityEvent("engaged", 1, NOW, 9)], 0))

    assert await world.counts() == {}


async def test_what_has_not_grown_is_not_written_again():
    """A replay reads, and that is all."""
    world, written = World(), []
    batch = deliveries([ActivityEvent("engaged", reader, NOW, 9, 100) for reader in (1, 2)], 0)
    await world.stage()(batch)

    class Store:
        sketches = world.stores.counters.sketches

        async def put_sketches(self, engaged):
            written.extend(engaged)

    await stage("counters", replace(world.stores, counters=Store()), clock=Clock(NOW))(batch)

    assert written == []

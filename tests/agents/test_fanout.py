"""Fan-out: a task becomes the rows of one segment, and the rest of its range goes back into the queue."""

import asyncio

import pytest

from pipeline.agents.fanout import Fanout
from pipeline.agents.segment_cache import SegmentCache
from pipeline.domain import segments
from pipeline.domain.snowflake import first_id
from pipeline.kafka.emit import Emit
from pipeline.kafka.outbox import NotDelivered
from pipeline.records import AuthorClass, FanoutTask
from pipeline.store.memory import memory_stores
from pipeline.store.ports import Followers, StoreUnavailable, TimelineEntry
from tests.agents.fakes import Fault, RecordingOutbox, deliver
from tests.waiting import eventually_async

AUTHOR, OTHER, NOW, DAY = 7, 8, 1_700_000_000_000, 86_400_000
POST, SHARDS, HINTS = first_id(NOW), 5, 77
PUSH, PARTIAL, PULL = AuthorClass.PUSH, AuthorClass.PARTIAL, AuthorClass.PULL


class Segments:
    """The followers of each segment, as the graph store would read them; counts its reads, fails when told."""

    def __init__(self, followers):
        self.followers_of, self.reads, self.away = followers, [], False
        self.answer = asyncio.Event()
        self.answer.set()

    async def followers(self, author_id, segment, *, warm=False):
        self.reads.append((author_id, segment))
        found, away = self.followers_of.get((author_id, segment), Followers((), {})), self.away
        await self.answer.wait()
        if away:
            raise StoreUnavailable("away")
        return found if warm else Followers(found.ids, {})


class Clock:
    """Seconds that pass when a test says so."""

    now = 1000.0

    def __call__(self):
        return self.now


class World:
    """A writer on an in-memory timeline store."""

    def __init__(self, followers, now_ms=NOW):
        self.segments, self.clock, self.outbox = Segments(followers), Clock(), RecordingOutbox()
        self.timelines, self.now_ms, self.offset = memory_stores(lambda: 0.0).timelines, now_ms, 0
        self.cache = SegmentCache(self.segments, size=3, max_age_s=1.0, clock=self.clock)

    async def handle(self, tasks, fault=None, first_offset=None):
        fault, offset = fault or Fault(), self.offset if first_offset is None else first_offset
        stage = Fanout(
            tier="small",
            topic="fanout.small",
            shards=SHARDS,
            timelines=fault.wrap(self.timelines),
            followers=self.cache,
            emit=Emit(fault.wrap(self.outbox), "fanout.small"),
            now_ms=lambda: self.now_ms,
            window_ms=30 * DAY,
        )
        batch = [
            deliver(task, offset=offset + n, at_ms=NOW, topic="fanout.small") for n, task in enumerate(tasks)
        ]
        self.offset = offset + len(batch)
        assert await stage.handle(batch) == []

    async def rows(self, *readers):
        """Author, post and hints of every row of these readers."""
        return {reader: await self.timelines.timeline(reader, 0, 2**63 - 1, 1000) for reader in readers}

    async def readers(self, *readers):
        """Which of them have a row."""
        return [reader for reader, rows in (await self.rows(*readers)).items() if rows]


def task(first=0, last=0, post=POST, author_class=PUSH, author=AUTHOR):
    return FanoutTask(post, author, author_class, first, last, HINTS)


def plain(**segments_of):
    """Segments of plain followers: `plain(s0=(1, 2), s1=(3,))`."""
    return {(AUTHOR, int(name[1:])): Followers(ids, {}) for name, ids in segments_of.items()}


async def test_every_follower_of_the_segment_gets_the_post():
    """Those of the task's first segment and nobody else, with author and hints."""
    world = World(plain(s0=(1, 2), s1=(3,)))

    await world.handle([task(0, 0)])

    assert await world.readers(1, 2, 3) == [1, 2]
    ((row,), _) = (await world.rows(1, 2)).values()
    assert (row.post_id, row.author_id, row.hints) == (POST, AUTHOR, HINTS)


@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 1), (3, 9)])
async def test_what_is_put_back_covers_the_rest_segment_by_segment(first, last):
    """One message costs one segment; each message of the rest sits on the shard of its first segment."""
    world = World({(AUTHOR, n): Followers((100 + n,), {}) for n in range(12)})

    waiting, done = [task(first, last)], []
    while waiting:
        await world.handle(waiting)
        done.append(waiting[0].first_segment)
        waiting = world.outbox.of("fanout.small")[len(done) - 1 :]
        assert len(waiting) <= 1

    assert done == list(range(first, last + 1))
    assert await world.readers(*range(100, 112)) == [100 + n for n in done]
    rest = zip(world.outbox.of("fanout.small"), world.outbox.sent, strict=True)
    assert all(m.partition == segments.shard(AUTHOR, one.first_segment, SHARDS) for one, m in rest)
    assert len({dict(message.headers)["ce_id"] for message in world.outbox.sent}) == last - first


async def test_the_rest_is_put_back_once_however_often_the_store_is_away():
    """The loop tries a batch again without end; each try must not leave another rest in the topic."""
    world = World(plain(s0=(1,), s1=(2,)))
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await world.handle([task(0, 1)], Fault(1))

    await world.handle([task(0, 1)])

    assert world.outbox.of("fanout.small") == [task(1, 1)]


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("how", ["before", "after"])
async def test_a_crash_at_any_call_and_a_replay_write_the_same_rows(at, how):
    """The rows of the segment once, and the rest at least once."""
    calm, world = World(plain(s0=(1,), s1=(2,))), World(plain(s0=(1,), s1=(2,)))
    await calm.handle([task(0, 1)])

    with pytest.raises((StoreUnavailable, NotDelivered)):
        await world.handle([task(0, 1)], Fault(at, how))
    await world.handle([task(0, 1)], first_offset=0)

    assert await world.rows(1, 2) == await calm.rows(1, 2)
    assert {(m.value, *m.headers) for m in world.outbox.sent} == {
        (m.value, *m.headers) for m in calm.outbox.sent
    }


@pytest.mark.parametrize(("warm_since", "pushed"), [(POST - 1, True), (POST, True), (POST + 1, False)])
async def test_a_partial_post_goes_to_warm_edges(warm_since, pushed):
    """Warm at or before the post; a cold edge has no entry at all."""
    world = World({(AUTHOR, 0): Followers((1, 2), {1: warm_since})})

    await world.handle([task(author_class=PARTIAL)])

    assert await world.readers(1, 2) == [1] * pushed


@pytest.mark.parametrize(("author_class", "readers"), [(PUSH, [1, 2]), (PARTIAL, [1]), (PULL, [])])
async def test_the_class_of_the_task_decides(author_class, readers):
    """Push to all, whether warm or not; pull to none."""
    world = World({(AUTHOR, 0): Followers((1, 2), {1: 5})})

    await world.handle([task(author_class=author_class)])

    assert await world.readers(1, 2) == readers


class Pushed:
    """A timeline store that shows what it is asked to write."""

    def __init__(self):
        self.entries = []

    async def push(self, pushes):
        self.entries += [entry for push in pushes for entry in push.entries]
        return 0


@pytest.mark.parametrize(
    ("age_ms", "ttl_s"),
    [
        (0, 2_592_000),
        (1, 2_591_999),
        (DAY, 2_505_600),
        (30 * DAY - 1_000, 1),
        (30 * DAY - 999, 0),
        (30 * DAY, 0),
    ],
)
async def test_a_row_lives_to_the_end_of_the_posts_window(age_ms, ttl_s):
    """As of the post's time, so that a late push or a replay can neither outlive it nor undo what came later."""
    world = World(plain(s0=(1,)), now_ms=NOW + age_ms)
    world.timelines = Pushed()

    await world.handle([task()])

    assert world.timelines.entries == [TimelineEntry(POST, AUTHOR, HINTS, NOW * 1000, ttl_s)]


@pytest.mark.parametrize(("age_ms", "readers"), [(30 * DAY - 1_000, [1]), (30 * DAY, []), (31 * DAY, [])])
async def test_a_post_from_before_the_window_leaves_no_row(age_ms, readers):
    """It would never expire, or live for no time at all."""
    world = World(plain(s0=(1,)), now_ms=NOW + age_ms)

    await world.handle([task()])

    assert await world.readers(1) == readers


async def test_tasks_of_one_segment_share_its_read():
    """A burst of an author's posts costs one read a segment, also when the batches come together."""
    world = World(plain(s0=(1,)))
    world.segments.answer.clear()

    both = asyncio.gather(
        world.handle([task(), task(post=POST + 1)]), world.handle([task(post=POST + 2), task(author=OTHER)])
    )
    await eventually_async(lambda: len(world.segments.reads) == 2)
    world.segments.answer.set()
    await both

    assert sorted(world.segments.reads) == [(AUTHOR, 0), (OTHER, 0)]
    assert [row.post_id for row in (await world.rows(1))[1]] == [POST + 2, POST + 1, POST]


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

    world.clock.now += later_s
    await world.handle([task(post=POST + 1)])

    assert await world.readers(1, 2) == ([1, 2] if seen else [1])


async def test_the_age_of_a_slow_read_counts_from_its_beginning():
    """What it brings may be as old as that."""
    world = World(plain(s0=(1,)))
    world.segments.answer.clear()
    slow = asyncio.create_task(world.cache.followers(AUTHOR, 0))
    await eventually_async(lambda: world.segments.reads)
    world.segments.followers_of = plain(s0=(1, 2))
    world.clock.now += 1.001
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

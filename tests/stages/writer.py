"""A fan-out writer on an in-memory timeline store, for `test_fanout` and `test_segment_cache`."""

import asyncio

from pipeline.domain.snowflake import first_id
from pipeline.kafka.emit import Emit
from pipeline.stages.active_readers import ActiveReaders
from pipeline.stages.fanout import Fanout
from pipeline.stages.segment_cache import SegmentCache
from pipeline.store.memory import memory_stores
from pipeline.store.ports import StoreUnavailable
from pipeline.store.values import Followers
from pipeline.wire.records import AuthorClass, FanoutTask
from tests.stages.fakes import Fault, RecordingOutbox, deliver

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
        self.active = ActiveReaders(max_age_s=1.0)  # never filled, so too old: everyone is pushed to
        self.rows_took = []
        self.cache = SegmentCache(self.segments, size=3, max_age_s=1.0, clock=self.clock)

    async def handle(self, tasks, fault=None, first_offset=None):
        fault, offset = fault or Fault(), self.offset if first_offset is None else first_offset
        stage = Fanout(
            tier="small",
            topic="fanout.small",
            shards=SHARDS,
            timelines=fault.wrap(self.timelines),
            followers=self.cache,
            active=self.active,
            emit=Emit(fault.wrap(self.outbox), "fanout.small"),
            now_ms=lambda: self.now_ms,
            life_ms=30 * DAY,
            rows_took=lambda seconds, rows: self.rows_took.append((seconds >= 0, rows)),
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

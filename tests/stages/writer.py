"""A fan-out writer on an in-memory timeline store, for `test_fanout` and `test_segment_cache`."""

import asyncio
from dataclasses import replace

from pipeline.domain.cursor import VALID_MS
from pipeline.domain.snowflake import first_id
from pipeline.runtime.memory import broker
from pipeline.stages.segment_cache import SegmentCache
from pipeline.store.memory import memory_stores
from pipeline.store.ports import StoreUnavailable
from pipeline.store.values import Followers
from pipeline.wire.records import AuthorClass, FanoutTask
from tests.stages.fakes import Fault, RecordingOutbox, deliver
from tests.twin import Clock, shaped, stage

AUTHOR, OTHER, NOW, DAY = 7, 8, 1_700_000_000_000, 86_400_000
POST, SHARDS, HINTS = first_id(NOW), 5, 77
SHAPE = shaped(window_ms=30 * DAY - VALID_MS, margin_seconds=2.0, partitions={"fanout.small": SHARDS})
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


class _Now:
    """A port as a world has it now, with its fault."""

    def __init__(self, world, name):
        self._world, self._name = world, name

    def __getattr__(self, method):
        return getattr(self._world.fault.wrap(getattr(self._world, self._name)), method)


class World:
    """A writer on an in-memory timeline store."""

    def __init__(self, followers, now_ms=NOW):
        self.segments, self.clock, self.outbox = Segments(followers), Clock(now_ms - 2_000), RecordingOutbox()
        self.timelines, self.offset, self.fault = memory_stores(lambda: 0.0).timelines, 0, Fault()
        self.cache = SegmentCache(self.segments, size=3, max_age_s=1.0, clock=self.clock)
        self.kafka = broker(SHAPE, self.clock, at_once=False)
        self.writer = stage(
            "fanout.small",
            replace(memory_stores(), graph=self.segments, timelines=_Now(self, "timelines")),
            _Now(self, "outbox"),
            topology=SHAPE,
            clock=self.clock,
            kafka=self.kafka,
        )
        self.clock.now = now_ms  # what it knows of readers is too old by now: everyone is pushed to

    async def handle(self, tasks, fault=None, first_offset=None):
        self.fault, offset = fault or Fault(), self.offset if first_offset is None else first_offset
        batch = [
            deliver(task, offset=offset + n, at_ms=NOW, topic="fanout.small") for n, task in enumerate(tasks)
        ]
        self.offset = offset + len(batch)
        assert await self.writer(batch) == []

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

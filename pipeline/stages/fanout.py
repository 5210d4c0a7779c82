"""Fan-out: a task becomes rows in the timelines of one segment of followers.

Reads      one tier's topic, partitioned by follower shard
Writes     timeline_by_reader; the rest of a range back to the tier's topic, on the next segment's shard
Guarantee  a task is acknowledged when its last row is; one message costs at most one segment (1,000 rows),
           so a large author's backlog and everyone else's posts take turns; dormant readers get no row
Replay     writes the same rows again: USING TIMESTAMP of the post, TTL to the end of its life
Budget     lag_budget of the tier in topology/tiers.yaml
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from prometheus_client import Histogram

from pipeline.clock import Clock
from pipeline.domain import segments, snowflake
from pipeline.domain.coverage import EdgeCover, pushed
from pipeline.kafka.emit import Emit
from pipeline.kafka.messages import Delivery, Refused
from pipeline.kafka.ports import Outgoing
from pipeline.stages.active_readers import ActiveReaders
from pipeline.stages.segment_cache import SegmentCache
from pipeline.store.ports import TimelineStore
from pipeline.store.values import Followers, Push, TimelineEntry
from pipeline.telemetry import metrics
from pipeline.wire.enums import DeliveryPath
from pipeline.wire.records import AuthorClass, FanoutTask

Task = Delivery[FanoutTask]


@dataclass(frozen=True, slots=True)
class Fanout:
    """The writer of one tier. `shards`: partitions of its topic. `life_ms`: how long rows are kept, from the
    post on: the window, and as long as a session that begins in it.
    """

    tier: str
    topic: str
    shards: int
    timelines: TimelineStore
    followers: SegmentCache
    active: ActiveReaders
    emit: Emit
    clock: Clock
    life_ms: int

    async def handle(self, batch: Sequence[Task]) -> list[Refused]:
        """Write one segment for each task of the batch; tasks of one segment share its read and its rows."""
        steps = _Steps(self.tier, self.clock.now_ms() - batch[0].message.timestamp_ms)
        by_segment: dict[tuple[int, int], list[Task]] = defaultdict(list)
        rest: list[Outgoing] = []
        for delivery in batch:
            task = delivery.record
            first, after = segments.quantum(segments.SegmentRange(task.first_segment, task.last_segment))
            by_segment[task.author_id, first].append(delivery)
            if after is not None:
                rest.append(self._requeued(delivery, after))
        await self._write(by_segment, steps)
        await self.emit.all(rest)  # not before: the loop tries a batch again until the store answers
        return []

    async def _write(self, by_segment: Mapping[tuple[int, int], Sequence[Task]], steps: "_Steps") -> None:
        """The rows of all segments in one call, so that small ones share batches.

        The loop has other batches of tasks in flight: their rows are written while these followers are read.
        """
        steps.done("expand")
        found = await asyncio.gather(
            *(self.followers.followers(*key, warm=_ask_warm(tasks)) for key, tasks in by_segment.items())
        )
        steps.done("read")
        pushes = [
            push
            for tasks, followers in zip(by_segment.values(), found, strict=True)
            for push in self._pushes(tasks, followers)
        ]
        steps.done("expand")
        written = await self.timelines.push(pushes)
        steps.done("write")
        steps.tell()
        self._measure(written, [task for tasks in by_segment.values() for task in tasks])

    def _pushes(self, tasks: Sequence[Task], followers: Followers) -> Iterator[Push]:
        """The tasks of one segment: one push for all those that go to the same readers."""
        entries: dict[tuple[int, ...], list[TimelineEntry]] = defaultdict(list)
        for task in tasks:
            entries[readers_of(task.record, followers)].append(self._entry(task.record))
        return (Push(self.active.among(readers), posts) for readers, posts in entries.items())

    def _measure(self, rows: int, tasks: Sequence[Task]) -> None:
        metrics.FANOUT_ROWS.labels(self.tier).inc(rows)
        metrics.FANOUT_TASKS.labels(self.tier).inc(len(tasks))
        written, now = metrics.PUBLISH_TO_WRITTEN.labels(self.tier), self.clock.now_ms()
        for task in tasks:
            age = (now - task.entered_ms) / 1000
            written.observe(age)
            _visible(task.record.author_class).observe(age)

    def _entry(self, task: FanoutTask) -> TimelineEntry:
        created = snowflake.time_ms(task.post_id)
        left_s = (created + self.life_ms - self.clock.now_ms()) // 1000
        return TimelineEntry(task.post_id, task.author_id, task.hints, created * 1000, left_s)

    def _requeued(self, delivery: Task, after: segments.SegmentRange) -> Outgoing:
        task = delivery.record
        whole = segments.SegmentRange(task.first_segment, task.last_segment)
        record = replace(
            task,
            first_segment=after.first,
            last_segment=after.last,
            deliveries=segments.share(task.deliveries, whole, after),
        )
        shard = segments.shard(task.author_id, after.first, self.shards)
        return self.emit.message(self.topic, str(task.author_id), record, source=delivery, partition=shard)


class _Steps:
    """Where the time of one batch goes."""

    def __init__(self, tier: str, waited_ms: int) -> None:
        self._tier, self._at = tier, time.perf_counter()
        self._took = {"fetch": waited_ms / 1000, "expand": 0.0}

    def done(self, step: str) -> None:
        """What went by since the last call was this step."""
        before, self._at = self._at, time.perf_counter()
        self._took[step] = self._took.get(step, 0.0) + self._at - before

    def tell(self) -> None:
        """Observe each step once."""
        for step, seconds in self._took.items():
            metrics.FANOUT_STEP.labels(self._tier, step).observe(seconds)


@cache
def _visible(author_class: AuthorClass) -> Histogram:
    """Dormant readers get no row."""
    return metrics.PUBLISH_TO_VISIBLE.labels(author_class, "active", DeliveryPath.PUSH)


def _ask_warm(tasks: Sequence[Task]) -> bool:
    return any(task.record.author_class is AuthorClass.PARTIAL for task in tasks)


def readers_of(task: FanoutTask, followers: Followers) -> tuple[int, ...]:
    """The readers of a segment that a post is pushed to, by the coverage rule; the whole segment as it is
    when the author is plain push, since no edge can then say otherwise.
    """
    if task.author_class is AuthorClass.PUSH:
        return followers.ids
    return tuple(
        reader
        for reader, since in followers.warm_since.items()
        if pushed(task.post_id, task.author_class, EdgeCover(covered_from=0, warm_since=since))
    )

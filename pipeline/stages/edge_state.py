"""The state of an edge beside the follow: a block and its end, warm or cold. Part of the graph stage.

Its events come on `edge.marks`, which only the pipeline writes, keyed by the author like the follows
themselves, so that an edge has one writer. Each is a register of its own: an event that is not newer than the
last of its kind, or than the follow, changes nothing.

    retracted   a block: rows may be removed, so everything older is pulled again, whoever keeps the edge in
                memory is told so, and only then they are removed
    refilled    its end: the rows are written again, as of now
    warmed      writers first, the reader's edge after it, one margin ahead
    cooled      the reader's edge first, writers after it
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from pipeline.domain import repair, snowflake
from pipeline.domain.edges import SegmentPlan
from pipeline.kafka.emit import Emit
from pipeline.kafka.messages import Delivery
from pipeline.stages import changes, repairs
from pipeline.store.ports import GraphStore
from pipeline.store.values import NOT_COVERED, Edge
from pipeline.wire.enums import EventType
from pipeline.wire.records import FollowEvent, RepairTask

ChangeSegment = Callable[[int, int, SegmentPlan, int | None], Awaitable[int | None]]


@dataclass(frozen=True, slots=True)
class EdgeState:
    """`change_segment`: the fenced change of the graph stage. `bound`: from where on writers know of now."""

    store: GraphStore
    emit: Emit
    change_segment: ChangeSegment
    bound: Callable[[], int]

    async def handle(self, batch: Sequence[Delivery[FollowEvent]]) -> None:
        """One after another: two marks of one edge come in order, and marks are rare."""
        for delivery in batch:
            event = delivery.record
            edges = await self.store.edges(event.author_id, event.follower_ids)
            followed = [edge for edge in edges.values() if edge.follows and edge.covered_from < NOT_COVERED]
            match event.type:
                case EventType.RETRACTED:
                    await self._retract(delivery, followed)
                case EventType.REFILLED:
                    await self._refill(delivery, followed)
                case EventType.WARMED | EventType.COOLED:
                    await self._temper(event, [edge for edge in followed if event.at > edge.warm_at])

    async def _retract(self, delivery: Delivery[FollowEvent], edges: Iterable[Edge]) -> None:
        event = delivery.record
        fresh = [edge for edge in edges if event.at > max(edge.at, edge.retracted_at)]
        same = [edge for edge in edges if event.at == edge.retracted_at]  # a crash may have come in between
        below = snowflake.first_id(event.at)
        await self.store.put_edges(
            [
                replace(
                    edge,
                    covered_from=max(below, edge.covered_from + 1, edge.caught_up + 1),
                    retracted_at=event.at,
                )
                for edge in fresh
            ]
        )
        readers = [edge.reader_id for edge in (*fresh, *same)]
        await changes.tell(self.emit, [delivery], readers=readers)
        tasks = repair.for_readers(event.author_id, readers, hi=below, at=event.at)
        await self._send(repairs.RETRACT, tasks, delivery)

    async def _refill(self, delivery: Delivery[FollowEvent], edges: Iterable[Edge]) -> None:
        event = delivery.record
        tasks = (
            repair.for_readers(
                event.author_id,
                [edge.reader_id],
                hi=edge.covered_from,
                at=max(event.at, edge.retracted_at + 1),  # or the retraction takes these rows as well
                covered_from=edge.covered_from,
            )
            for edge in edges
            if edge.bound
        )
        await self._send(repairs.BACKFILL, chain.from_iterable(tasks), delivery)

    async def _temper(self, event: FollowEvent, edges: Sequence[Edge]) -> None:
        for edge in edges:
            if event.type == EventType.COOLED:
                await self.store.put_edges([replace(edge, warm_since=None, warm_at=event.at)])
                await self._warm_segment(edge, None)
            else:
                await self._warm_segment(edge, edge.warm_since or self.bound())
                since = edge.warm_since or self.bound()
                await self.store.put_edges([replace(edge, warm_since=since, warm_at=event.at)])

    async def _warm_segment(self, edge: Edge, since: int | None) -> None:
        plan = SegmentPlan(warm={edge.reader_id: since}, check=True)
        lives = await self.store.segment_lives(edge.author_id, edge.segment + 1)
        await self.change_segment(edge.author_id, edge.segment, plan, lives[edge.segment])

    async def _send(self, topic: str, tasks: Iterable[RepairTask], cause: Delivery[FollowEvent]) -> None:
        key = str(cause.record.author_id)
        await self.emit.all(repairs.messages(self.emit, topic, key, tasks, cause))

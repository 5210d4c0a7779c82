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

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from pipeline.domain import repair, snowflake
from pipeline.domain.edges import SegmentPlan
from pipeline.kafka.emit import Emit
from pipeline.kafka.messages import Delivery
from pipeline.kafka.ports import Outgoing
from pipeline.stages import changes, repairs
from pipeline.stages.segment_changes import change_segment, together
from pipeline.store.ports import GraphStore
from pipeline.store.values import NOT_COVERED, Edge
from pipeline.wire.enums import EventType
from pipeline.wire.records import FollowEvent, RepairTask

Mark = Delivery[FollowEvent]
Marked = tuple[Mark, Sequence[Edge]]
"""A mark, and the edges it is about that are followed now."""


@dataclass(frozen=True, slots=True)
class EdgeState:
    """`bound`: from where on writers know of now."""

    store: GraphStore
    emit: Emit
    bound: Callable[[], int]

    async def handle(self, batch: Sequence[Mark]) -> None:
        """Marks of different edges together, two of one edge in order."""
        for marks in _rounds(batch):
            marked = await self._found(marks)
            match marks[0].record.type:
                case EventType.RETRACTED:
                    await self._retract(marked)
                case EventType.REFILLED:
                    await self._refill(marked)
                case EventType.WARMED:
                    await self._warm(_newer(marked))
                case EventType.COOLED:
                    await self._cool(_newer(marked))

    async def _found(self, marks: Sequence[Mark]) -> list[Marked]:
        readers: dict[int, list[int]] = defaultdict(list)
        for mark in marks:
            readers[mark.record.author_id] += mark.record.follower_ids
        found = await asyncio.gather(*(self.store.edges(author, some) for author, some in readers.items()))
        edges = dict(zip(readers, found, strict=True))
        return [
            (
                mark,
                [
                    edge
                    for reader in mark.record.follower_ids
                    if (edge := edges[mark.record.author_id].get(reader)) is not None
                    and edge.follows
                    and edge.covered_from < NOT_COVERED
                ],
            )
            for mark in marks
        ]

    async def _retract(self, marked: Sequence[Marked]) -> None:
        raised, tasks, readers = [], [], set()
        for mark, edges in marked:
            at, below = mark.record.at, snowflake.first_id(mark.record.at)
            fresh = [edge for edge in edges if at > max(edge.at, edge.retracted_at)]
            same = [edge for edge in edges if at == edge.retracted_at]  # a crash may have come in between
            raised += [
                replace(
                    edge, covered_from=max(below, edge.covered_from + 1, edge.caught_up + 1), retracted_at=at
                )
                for edge in fresh
            ]
            those = [edge.reader_id for edge in (*fresh, *same)]
            readers |= {*those}
            repair_tasks = repair.for_readers(mark.record.author_id, those, hi=below, at=at)
            tasks += self._messages(repairs.RETRACT, repair_tasks, mark)
        await self.store.put_edges(raised)
        await changes.tell(self.emit, [mark for mark, _ in marked], readers=readers)
        await self.emit.all(tasks)

    async def _refill(self, marked: Sequence[Marked]) -> None:
        await self.emit.all(
            message
            for mark, edges in marked
            for tasks in [
                chain.from_iterable(
                    repair.for_readers(
                        edge.author_id,
                        [edge.reader_id],
                        hi=edge.covered_from,
                        at=max(mark.record.at, edge.retracted_at + 1),  # or the retraction takes them
                        covered_from=edge.covered_from,
                    )
                    for edge in edges
                    if edge.bound
                )
            ]
            for message in self._messages(repairs.BACKFILL, tasks, mark)
        )

    async def _warm(self, edges: Sequence[tuple[Edge, int]]) -> None:
        await self._warm_segments([(edge, edge.warm_since or self.bound()) for edge, _ in edges])
        since = self.bound()
        await self.store.put_edges(
            [replace(edge, warm_since=edge.warm_since or since, warm_at=at) for edge, at in edges]
        )

    async def _cool(self, edges: Sequence[tuple[Edge, int]]) -> None:
        await self.store.put_edges([replace(edge, warm_since=None, warm_at=at) for edge, at in edges])
        await self._warm_segments([(edge, None) for edge, _ in edges])

    async def _warm_segments(self, edges: Iterable[tuple[Edge, int | None]]) -> None:
        """One change a segment, all at once."""
        plans: dict[tuple[int, int], SegmentPlan] = defaultdict(lambda: SegmentPlan(check=True))
        for edge, since in edges:
            plans[edge.author_id, edge.segment].warm[edge.reader_id] = since
        await together(self._warm_segment(*place, plan) for place, plan in plans.items())

    async def _warm_segment(self, author: int, segment: int, plan: SegmentPlan) -> None:
        lives = await self.store.segment_lives(author, segment + 1)
        await change_segment(self.store, author, segment, plan, lives[segment])

    def _messages(self, topic: str, tasks: Iterable[RepairTask], cause: Mark) -> list[Outgoing]:
        return repairs.messages(self.emit, topic, str(cause.record.author_id), tasks, cause)


def _rounds(batch: Sequence[Mark]) -> list[list[Mark]]:
    """Marks of one type and of different edges each; those of one edge in the order they came."""
    last: dict[tuple[int, int], int] = {}
    rounds: list[dict[str, list[Mark]]] = []
    for mark in batch:
        edges = [(mark.record.author_id, reader) for reader in mark.record.follower_ids]
        place = 1 + max((last.get(edge, -1) for edge in edges), default=-1)
        last |= dict.fromkeys(edges, place)
        if place == len(rounds):
            rounds.append(defaultdict(list))
        rounds[place][mark.record.type].append(mark)
    return [marks for types in rounds for marks in types.values()]


def _newer(marked: Iterable[Marked]) -> list[tuple[Edge, int]]:
    """The edges of which these marks are news, and as of when."""
    return [
        (edge, mark.record.at) for mark, edges in marked for edge in edges if mark.record.at > edge.warm_at
    ]

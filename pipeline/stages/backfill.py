"""Backfill: rows that a reader should have had: a new follow, a return, a lost timeline, a restored post.

Reads      fanout.backfill; posts_by_author, author_routes, the graph
Writes     timeline_by_reader; what is left of a task back to the topic; `caught_up` of the edge or the
           reader; page.changes
Guarantee  a bound counts as fulfilled after its last row is durable, and the read of the author's posts began
           after the bound's time: what is stored later is pushed by writers who know of the edge
Replay     writes the same rows as of the same time; a bound that was overtaken fulfils nothing
Budget     its own; it is rate-limited, and waits while a live tier is behind
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import NamedTuple

from pipeline.clock import Clock
from pipeline.domain import hints, repair, snowflake
from pipeline.domain.coverage import EdgeCover, pushed
from pipeline.domain.merge import Row
from pipeline.domain.routing import Entries, class_of, entries_of
from pipeline.kafka.emit import Emit
from pipeline.kafka.messages import Refused
from pipeline.stages import changes
from pipeline.stages.pace import Pace
from pipeline.stages.repairs import BACKFILL, Task, gone, steps
from pipeline.store.ports import Stores
from pipeline.store.values import Edge, Push, ReaderState, TimelineEntry
from pipeline.wire.records import RepairTask


@dataclass(frozen=True, slots=True)
class Backfill:
    """The backfill stage. `life_ms`: how long rows are kept."""

    stores: Stores
    emit: Emit
    pace: Pace
    clock: Clock
    life_ms: int
    margin_ms: int

    async def handle(self, batch: Sequence[Task]) -> list[Refused]:
        """One step of each task; what is left of them goes back."""
        caught_up: set[int] = set()
        await steps(batch, self.emit, BACKFILL, partial(self._step, caught_up))
        await changes.tell(self.emit, batch, readers=caught_up)
        return []

    async def _step(self, caught_up: set[int], task: RepairTask) -> list[RepairTask]:
        """One step; adds the readers of whom a bound is fulfilled now."""
        await self._until(task.covered_from)
        if task.author_id:
            left = await self._one_author(task, caught_up)
        elif len(task.reader_ids) <= repair.READERS:
            left = await self._all_authors(task, caught_up)
        else:
            return await self._in_groups(task, caught_up)
        return [left] if left else []

    async def _in_groups(self, task: RepairTask, caught_up: set[int]) -> list[RepairTask]:
        """A task for some readers each; most have just come, follow nobody yet, and lack nothing."""
        follow = await self.stores.graph.ever_followed(task.reader_ids)
        await self._fulfil(task, [reader for reader in task.reader_ids if reader not in follow], caught_up)
        return repair.groups(task, [reader for reader in task.reader_ids if reader in follow])

    async def _fulfil(self, task: RepairTask, readers: Sequence[int], caught_up: set[int]) -> None:
        """The bound of these readers."""
        await self.stores.readers.put_readers_caught_up(readers, task.covered_from, ttl_s=self._ttl_s)
        caught_up.update(readers)

    @property
    def _ttl_s(self) -> int:
        """No bound counts any more when no row of its time is left."""
        return self.life_ms // 1000

    async def _until(self, bound: int) -> None:
        """Wait for the time of a bound: from then on nothing is stored that a writer would not push."""
        wait_ms = snowflake.time_ms(bound) - self.clock.now_ms()
        if bound and wait_ms >= 0:
            await self.clock.sleep(min(wait_ms + 1, self.margin_ms) / 1000)  # a bound is set one margin ahead

    async def _one_author(self, task: RepairTask, caught_up: set[int]) -> RepairTask | None:
        """The author's posts for some readers; returns what is left."""
        audience = await self._audience(task)
        if audience:
            asked = repair.posts_a_step(len(audience))
            rows = await self._recent(task.author_id, task.lo, task.hi, asked)
            routes = await self.stores.routes.routes([task.author_id])
            await self._write(_pushes(rows, entries_of(routes, task.author_id), audience))
            left = repair.left_of_author(task, [row.post_id for row in rows], asked)
            if left is not None:
                return left
            if task.covered_from:
                await self.stores.graph.put_caught_up(task.author_id, tuple(audience), task.covered_from)
                caught_up.update(audience)
        return None

    async def _audience(self, task: RepairTask) -> "_Audience":
        """Who follows now, of the task's readers or of its segment."""
        if task.reader_ids:
            edges = await self.stores.graph.edges(task.author_id, task.reader_ids)
            return {e.reader_id: (_as_of(e, task), e.warm_since) for e in edges.values() if e.follows}
        found = await self.stores.graph.followers(task.author_id, task.first_segment, warm=True)
        return {reader: (task.at, found.warm_since.get(reader)) for reader in found.ids}

    async def _all_authors(self, task: RepairTask, caught_up: set[int]) -> RepairTask | None:
        """Some followees of some readers; returns the task for the others, None when all are done.

        Nothing is lacking of an author without a record: tasks of their first post leave after the record is
        durable, so after the time of the bound, and writers know of the readers by then.
        """
        stores, asked = self.stores, repair.POSTS_EACH
        edges, states = await asyncio.gather(
            stores.graph.followees(task.reader_ids, task.after_author, repair.FOLLOWEES),
            stores.readers.readers(task.reader_ids),
        )
        until = repair.known_until({r: [edge.author_id for edge in some] for r, some in edges.items()})
        audiences: dict[int, dict[int, tuple[int, int | None]]] = defaultdict(dict)
        for edge in chain.from_iterable(edges.values()):
            if edge.follows and edge.author_id <= until:
                at = _returned_at(states[edge.reader_id], task)
                audiences[edge.author_id][edge.reader_id] = at, edge.warm_since
        routes = await stores.routes.routes(audiences)
        turn, until = repair.next_authors(routes, until)
        found = await asyncio.gather(*(self._recent(a, task.lo, repair.below(task, a), asked) for a in turn))
        rows = dict(zip(turn, found, strict=True))
        posts = {a: [row.post_id for row in some] for a, some in rows.items()}
        done, left = repair.left_of_all(task, posts, {a: len(audiences[a]) for a in turn}, asked, until)
        await self._write(
            [
                push
                for a, taken in done.items()
                for push in _pushes(rows[a][: len(taken)], entries_of(routes, a), audiences[a])
            ]
        )
        if left is None:
            await self._fulfil(task, task.reader_ids, caught_up)
        return left

    async def _recent(self, author: int, lo: int, hi: int, most: int) -> list[Row]:
        oldest = snowflake.first_id(self.clock.now_ms() - self.life_ms)
        return await self.stores.posts.recent(author, max(lo, oldest), hi, most)

    async def _write(self, pushes: Sequence["_RowsFor"]) -> None:
        if not pushes:
            return
        hidden = await gone(self.stores.posts, list({row.post_id for push in pushes for row in push.rows}))
        due = [(push, [row for row in push.rows if row.post_id not in hidden]) for push in pushes]
        count = sum(len(push.readers) * len(rows) for push, rows in due)
        if not count:
            return
        await self.pace.take(count)
        await self.stores.timelines.push(
            [Push(push.readers, [self._entry(row, push.at) for row in rows]) for push, rows in due if rows]
        )

    def _entry(self, row: Row, at: int) -> TimelineEntry:
        created = snowflake.time_ms(row.post_id)
        left_s = (created + self.life_ms - self.clock.now_ms()) // 1000
        marks = hints.plain(row.hints)
        return TimelineEntry(row.post_id, row.author_id, marks, max(created, at) * 1000, left_s)


_Audience = Mapping[int, tuple[int, int | None]]
"""By reader, as of when (ms) their rows are written, and since when their edge is warm."""


class _RowsFor(NamedTuple):
    """Posts that some readers must have, written as of one time (ms)."""

    at: int
    readers: Sequence[int]
    rows: Sequence[Row]


def _as_of(edge: Edge, task: RepairTask) -> int:
    """Just after the follow: an unfollow of the same time, which the follow came after, must not take the
    rows away. Of an edge that was blocked since: as the task says.
    """
    return task.at if edge.retracted_at > edge.at else edge.at + 1


def _returned_at(state: ReaderState, task: RepairTask) -> int:
    """A task is for all who came back together; when each did is in the table, if it is about this return."""
    return state.cohort_at if state.covered_from == task.covered_from else task.at


def _pushes(rows: Sequence[Row], entries: Entries, audience: _Audience) -> list[_RowsFor]:
    """Who must have which of these posts, by the coverage rule; most readers have the same ones."""
    found: dict[tuple[int, tuple[int, ...]], list[Row]] = defaultdict(list)
    for row in rows:
        author_class = class_of(row.post_id, entries)
        due: dict[int, list[int]] = defaultdict(list)
        for reader, (at, warm_since) in audience.items():
            if pushed(row.post_id, author_class, EdgeCover(0, warm_since)):
                due[at].append(reader)
        for at, readers in due.items():
            found[at, tuple(readers)].append(row)
    return [_RowsFor(at, readers, some) for (at, readers), some in found.items()]

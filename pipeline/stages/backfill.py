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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pipeline.clock import Clock
from pipeline.domain import hints, repair, snowflake
from pipeline.domain.coverage import EdgeCover, pushed
from pipeline.domain.merge import Row
from pipeline.domain.policy import Entries, class_of, entries_of
from pipeline.kafka.emit import Emit
from pipeline.kafka.messages import Refused
from pipeline.stages import changes
from pipeline.stages.pace import Pace
from pipeline.stages.repairs import BACKFILL, Task, gone, steps
from pipeline.store.ports import Stores
from pipeline.store.values import Push, TimelineEntry
from pipeline.wire.records import AuthorClass, RepairTask


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
        elif len(task.reader_ids) == 1:
            left = await self._all_authors(task, caught_up)
        else:
            return await self._each_reader(task, caught_up)
        return [left] if left else []

    async def _each_reader(self, task: RepairTask, caught_up: set[int]) -> list[RepairTask]:
        """A task for each of several readers; most have just come, follow nobody yet, and lack nothing."""
        follow = await self.stores.graph.ever_followed(task.reader_ids)
        lack_nothing = [reader for reader in task.reader_ids if reader not in follow]
        await self.stores.readers.put_readers_caught_up(lack_nothing, task.covered_from, ttl_s=self._ttl_s)
        caught_up.update(lack_nothing)
        return [replace(task, reader_ids=(reader,)) for reader in follow]

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
        warmth, posts_each = await self._audience(task)
        if warmth:
            rows = await self._recent(task.author_id, task.lo, task.hi, posts_each)
            routes = await self.stores.routes.routes([task.author_id])
            await self._write(_pushes(rows, entries_of(routes, task.author_id), warmth), rows, task.at)
            left = repair.left_of_author(task, [row.post_id for row in rows], posts_each)
            if left is not None:
                return left
            if task.covered_from:
                await self.stores.graph.put_caught_up(task.author_id, tuple(warmth), task.covered_from)
                caught_up.update(warmth)
        return None

    async def _audience(self, task: RepairTask) -> tuple[Mapping[int, int | None], int]:
        """By reader who follows now, since when their edge is warm; and how many posts make a step."""
        if task.reader_ids:
            edges = await self.stores.graph.edges(task.author_id, task.reader_ids)
            warmth = {e.reader_id: e.warm_since for e in edges.values() if e.follows}
        else:
            found = await self.stores.graph.followers(task.author_id, task.first_segment, warm=True)
            warmth = {reader: found.warm_since.get(reader) for reader in found.ids}
        return warmth, repair.posts_a_step(len(warmth))

    async def _all_authors(self, task: RepairTask, caught_up: set[int]) -> RepairTask | None:
        """Some followees of one reader; returns the task for the others, None when all are done."""
        (reader,) = task.reader_ids
        edges = {edge.author_id: edge for edge in await self.stores.graph.following(reader)}
        turn = repair.next_authors(task, list(edges))
        if not turn:
            await self.stores.readers.put_readers_caught_up([reader], task.covered_from, ttl_s=self._ttl_s)
            caught_up.add(reader)
            return None
        asked = repair.POSTS_EACH
        found, routes = await asyncio.gather(
            asyncio.gather(*(self._recent(a, task.lo, repair.below(task, a), asked) for a in turn)),
            self.stores.routes.routes(turn),
        )
        posts = {a: [row.post_id for row in rows] for a, rows in zip(turn, found, strict=True)}
        done, left = repair.left_of_all(task, turn, posts, asked)
        for author, rows in zip(done, found, strict=False):
            entries = entries_of(routes, author)
            await self._write(_pushes(rows, entries, {reader: edges[author].warm_since}), rows, task.at)
        return left

    async def _recent(self, author: int, lo: int, hi: int, most: int) -> list[Row]:
        oldest = snowflake.first_id(self.clock.now_ms() - self.life_ms)
        return await self.stores.posts.recent(author, max(lo, oldest), hi, most)

    async def _write(
        self, pushes: Mapping[tuple[int, ...], Sequence[int]], rows: Sequence[Row], at: int
    ) -> None:
        hidden = await gone(self.stores.posts, [row.post_id for row in rows])
        pushes = {readers: [p for p in posts if p not in hidden] for readers, posts in pushes.items()}
        count = sum(len(readers) * len(posts) for readers, posts in pushes.items())
        if not count:
            return
        await self.pace.take(count)
        by_id = {row.post_id: row for row in rows}
        await self.stores.timelines.push(
            [
                Push(readers, [self._entry(by_id[post], at) for post in posts])
                for readers, posts in pushes.items()
            ]
        )

    def _entry(self, row: Row, at: int) -> TimelineEntry:
        created = snowflake.time_ms(row.post_id)
        left_s = (created + self.life_ms - self.clock.now_ms()) // 1000
        marks = hints.plain(row.hints)
        return TimelineEntry(row.post_id, row.author_id, marks, max(created, at) * 1000, left_s)


def _pushes(
    rows: Sequence[Row], entries: Entries, warmth: Mapping[int, int | None]
) -> dict[tuple[int, ...], list[int]]:
    """By audience, the posts it must have, by the coverage rule; most have the same one."""
    everyone = tuple(warmth)
    found: dict[tuple[int, ...], list[int]] = {}
    for row in rows:
        author_class = class_of(row.post_id, entries)
        audience = everyone
        if author_class is not AuthorClass.PUSH:
            covers = ((reader, EdgeCover(0, since)) for reader, since in warmth.items())
            audience = tuple(r for r, cover in covers if pushed(row.post_id, author_class, cover))
        if audience:
            found.setdefault(audience, []).append(row.post_id)
    return found

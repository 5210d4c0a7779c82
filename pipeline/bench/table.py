"""The timeline table of one contender: filled with followers, emptied, watched, counted, weighed."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.bench.workload import Row, Workload
from pipeline.errors import EngineError
from pipeline.store.cassandra import Database, connect, stores_of
from pipeline.store.ports import Stores, StoreUnavailable
from pipeline.store.values import AuthorGraph, SegmentChange

POLL_S = 0.02
"""Between two looks for a row that is not there yet: half a percent of a turn, and no load."""

FILL_TRIES = 5
"""A cold engine on a busy machine is late with the conditional writes of segments."""

STALLED_S = 60.0
"""Without a further row for this long, whoever writes them has stopped."""

_LOOK_AHEAD = 32
_FLUSH_MS = 500


@dataclass(frozen=True, slots=True)
class BenchedTable:
    """`timeline_by_reader` of one keyspace, seen from the client of the bench."""

    keyspace: str
    db: Database
    stores: Stores

    async def follow(self, workload: Workload) -> None:
        """Give every author of the workload its followers."""
        await asyncio.gather(
            *(
                self._fill(SegmentChange(author_id, number, None, add=readers))
                for author_id in workload.authors
                for number, readers in enumerate(workload.segments(author_id))
            )
        )
        await self.stores.graph.put_author_graphs(
            [
                AuthorGraph(author_id, workload.followers, len(workload.segments(author_id)))
                for author_id in workload.authors
            ]
        )

    async def _fill(self, change: SegmentChange) -> None:
        """Write a segment that was never written; when an answer was lost, the next try finds it written."""
        for left in reversed(range(FILL_TRIES)):
            try:
                await self.stores.graph.change_segment(change)
                return
            except StoreUnavailable:
                if not left:
                    raise

    async def empty(self) -> None:
        """Remove all rows, so that every turn begins with the same table."""
        await self.db.query(f"TRUNCATE {self.keyspace}.timeline_by_reader")

    async def until_readable(self, rows: Sequence[tuple[int, int]], check: Callable[[], None]) -> None:
        """Return when all of these rows, as (reader_id, post_id) in the order of their posts, can be read.

        `check` is called at each look, to raise when whoever writes them is gone. Waits on the oldest row
        that is not there; behind it, `_LOOK_AHEAD` rows are asked for at once. Raises EngineError when no
        further row has come for `STALLED_S`.
        """
        waiting = deque(rows)
        deadline = time.monotonic() + STALLED_S
        while waiting:
            check()
            if not await self._has(waiting[0]):
                if time.monotonic() > deadline:
                    raise EngineError(f"bench: {self.keyspace}: no further row in {STALLED_S:.0f} s")
                await asyncio.sleep(POLL_S)
                continue
            deadline = time.monotonic() + STALLED_S
            waiting.popleft()
            ahead = [waiting.popleft() for _ in range(min(_LOOK_AHEAD, len(waiting)))]
            there = await asyncio.gather(*map(self._has, ahead))
            waiting.extendleft(reversed([row for row, found in zip(ahead, there, strict=True) if not found]))

    async def _has(self, row: tuple[int, int]) -> bool:
        reader_id, post_id = row
        return bool(await self.stores.timelines.timeline(reader_id, post_id, post_id + 1, 1))

    async def rows(self) -> list[Row]:
        """Every row there is, by one query."""
        every = self.db.prepare("SELECT reader_id, post_id, author_id, hints FROM timeline_by_reader")
        return [(row[0], row[1], row[2], row[3]) for row in await self.db.fetch(every)]

    async def bytes_on_disk(self, sstables: Path) -> int:
        """Bytes of all files of the table once its rows are flushed: data, indexes and filters.

        A flush without nodetool: the table is told to flush each memtable of a certain age.
        """
        await self.db.query(
            f"ALTER TABLE {self.keyspace}.timeline_by_reader WITH memtable_flush_period_in_ms = {_FLUSH_MS}"
        )
        before, size = -1, 0
        while not size or size != before:
            await asyncio.sleep(3 * _FLUSH_MS / 1000)
            before, size = size, _size(sstables / self.keyspace)
        return size


@asynccontextmanager
async def table(cassandra: str, keyspace: str) -> AsyncIterator[BenchedTable]:
    """The table of a keyspace that exists; the keyspace is dropped at the end."""
    db = await connect(cassandra, keyspace)
    try:
        yield BenchedTable(keyspace, db, await stores_of(db))
    finally:
        try:
            await db.query(f"DROP KEYSPACE IF EXISTS {keyspace}")
        finally:
            await db.close()


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("timeline_by_reader-*/*") if file.is_file())

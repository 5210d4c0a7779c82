"""Timelines in memory, with the life of each row."""

from collections.abc import Sequence

from pipeline.domain.erasure import FOREVER
from pipeline.domain.hints import GONE
from pipeline.domain.merge import Row
from pipeline.store.memory.cells import Clock, MemoryTable
from pipeline.store.values import Push, Retraction, TimelineEntry

MAX_LIFE_S = 10**9
"""What is taken out stays so for longer than any row lives."""


class MemoryTimelines:
    """A `TimelineStore`."""

    def __init__(self, clock: Clock) -> None:
        self._rows = MemoryTable(clock)

    async def push(self, pushes: Sequence[Push]) -> int:
        """See `TimelineStore`."""
        written = 0
        for push in pushes:
            for entry in push.entries:
                if entry.ttl_s > 0:
                    self._write(push.readers, entry)
                    written += len(push.readers)
        return written

    def _write(self, readers: Sequence[int], entry: TimelineEntry) -> None:
        values = {"author_id": entry.author_id, "hints": entry.hints}
        for reader in readers:
            self._rows.write(reader, entry.post_id, entry.timestamp_us, values, ttl_s=entry.ttl_s)

    async def retract(self, retractions: Sequence[Retraction]) -> int:
        """See `TimelineStore`."""
        gone = {"author_id": 0, "hints": GONE}
        places = [(each, r, p) for each in retractions for r in each.readers for p in each.post_ids]
        for each, reader, post in places:
            self._rows.write(reader, post, min(each.timestamp_us + 1, FOREVER), gone, ttl_s=MAX_LIFE_S)
        return len(places)

    async def timeline(
        self, reader_id: int, lo: int, hi: int, limit: int, *, gone: bool = False
    ) -> list[Row]:
        """See `TimelineStore`."""
        rows = [Row(post, **cells) for post, cells in reversed(self._rows.rows(reader_id).items())]
        return [row for row in rows if lo <= row.post_id < hi and (gone or not row.hints & GONE)][:limit]

    async def forget_timeline(self, reader_id: int) -> None:
        """See `TimelineStore`."""
        self._rows.forget(reader_id)

"""Timelines in memory, with the life of each row."""

from collections.abc import Sequence

from pipeline.store.memory.cells import Clock, Table
from pipeline.store.ports import TimelineEntry, TimelineRow


class MemoryTimelines:
    """A `TimelineStore`."""

    def __init__(self, clock: Clock) -> None:
        self._rows = Table(clock)

    async def push(self, readers: Sequence[int], entries: Sequence[TimelineEntry]) -> int:
        """See `TimelineStore`."""
        alive = [entry for entry in entries if entry.ttl_s > 0]
        for entry in alive:
            values = {"author_id": entry.author_id, "hints": entry.hints}
            for reader in readers:
                self._rows.write(reader, entry.post_id, entry.timestamp_us, values, ttl_s=entry.ttl_s)
        return len(readers) * len(alive)

    async def timeline(self, reader_id: int, lo: int, hi: int, limit: int) -> list[TimelineRow]:
        """See `TimelineStore`."""
        rows = reversed(self._rows.rows(reader_id).items())
        return [TimelineRow(post, **cells) for post, cells in rows if lo <= post < hi][:limit]

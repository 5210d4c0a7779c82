"""Live counters in memory."""

from collections.abc import Iterable, Sequence

from pipeline.domain.engagement import Sketch, from_bytes, growth, readers, to_bytes
from pipeline.store.memory.cells import Clock, MemoryTable
from pipeline.store.values import CounterWindow, Engaged


class MemoryCounters:
    """A `CounterStore`."""

    def __init__(self, clock: Clock) -> None:
        self._windows = MemoryTable(clock)

    async def engaged(self, post_ids: Iterable[int], since: int) -> dict[int, int]:
        """See `CounterStore`."""
        found = {post: self._windows.rows(post) for post in post_ids}
        return {
            post: sum(row["readers"] for (hour, _), row in rows.items() if hour >= since)
            for post, rows in found.items()
            if any(hour >= since for hour, _ in rows)
        }

    async def sketches(self, windows: Sequence[CounterWindow]) -> dict[CounterWindow, Sketch]:
        """See `CounterStore`."""
        rows = {each: self._windows.row(each.post_id, (each.hour, each.part)) for each in windows}
        return {each: from_bytes(row["sketch"]) for each, row in rows.items() if row}

    async def put_sketches(self, engaged: Sequence[Engaged]) -> None:
        """See `CounterStore`."""
        for each in engaged:
            values = {"readers": readers(each.sketch), "sketch": to_bytes(each.sketch)}
            post, *row = each.window
            self._windows.write(post, tuple(row), growth(each.sketch), values, ttl_s=each.ttl_s)

    async def forget_counters(self, post_ids: Sequence[int]) -> None:
        """See `CounterStore`."""
        for post in post_ids:
            self._windows.forget(post)

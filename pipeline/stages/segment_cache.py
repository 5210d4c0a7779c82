"""The followers of hot segments, never older than half the margin (§5 of the design).

A follow is relied upon only one margin after its segment was written, so a cache younger than half of that
cannot lose it; an author's burst of posts then costs one read a segment, also when they come together.
"""

import asyncio
from collections import OrderedDict

from pipeline.clock import Clock
from pipeline.store.ports import GraphStore
from pipeline.store.values import Followers

Key = tuple[int, int, bool]


class SegmentCache:
    """At most `size` segments, each for at most `max_age_s` from the start of its read."""

    def __init__(self, store: GraphStore, *, size: int, max_age_s: float, clock: Clock) -> None:
        self._store, self._size, self._max_age_s, self._clock = store, size, max_age_s, clock
        self._reads: OrderedDict[Key, tuple[float, asyncio.Task[Followers]]] = OrderedDict()

    async def followers(self, author_id: int, segment: int, *, warm: bool = False) -> Followers:
        """The followers of a segment, as of at most `max_age_s` ago; raises what the store raises."""
        key, now = (author_id, segment, warm), self._clock.monotonic_s()
        known = self._reads.get(key)
        if known is None or now - known[0] > self._max_age_s or _failed(known[1]):
            known = (now, asyncio.ensure_future(self._store.followers(author_id, segment, warm=warm)))
            self._reads[key] = known
            self._reads.move_to_end(key)
            if len(self._reads) > self._size:
                self._reads.popitem(last=False)
        return await asyncio.shield(known[1])


def _failed(read: asyncio.Task[Followers]) -> bool:
    return read.done() and (read.cancelled() or read.exception() is not None)

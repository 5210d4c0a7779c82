"""The active set: which readers are pushed to (§5 of the design), a roaring bitmap in every writer.

A writer whose view of `reader.cohorts` is older than half the margin pushes to everyone: a row too many costs
space, a row too few costs a post.
"""

from collections.abc import Callable, Sequence
from threading import Lock

from pyroaring import BitMap64

from pipeline.wire.records import ReaderCohort


class ActiveReaders:
    """Filled by the thread of a topic view, asked by the event loop. `age_s`: how old the view is."""

    def __init__(self, *, max_age_s: float) -> None:
        self._active, self._lock, self._max_age_s = BitMap64(), Lock(), max_age_s
        self.age_s: Callable[[], float] = lambda: float("inf")

    def put(self, key: bytes, record: ReaderCohort | None) -> None:
        """Take note of the newest cohort of a reader; one taken out of the topic counts as never seen."""
        reader = int(key) if record is None else record.reader_id
        with self._lock:
            if record is not None and record.active:
                self._active.add(reader)
            else:
                self._active.discard(reader)

    def among(self, readers: Sequence[int]) -> tuple[int, ...]:
        """Those of these readers that have to be pushed to, in order of id; all when the view is too old."""
        if self.age_s() > self._max_age_s:
            return tuple(readers)
        asked = BitMap64(readers)
        with self._lock:
            asked &= self._active
        return tuple(asked)

"""The caches of the read path, and the changes that empty them (R10): coherent by invalidation, not by time.

    readers   edges, relations, cohort, hides        dropped by a change of the reader
    recent    an author's newest posts               dropped by a new post; as new as the route record says
    posts     canonical posts, for hydration         dropped by an edit, a deletion, a take-down
    affinity  whom a reader engages with             dropped with the reader
    counters  how many engaged with a post lately    by the tick they are of: a statistic, some seconds old
    pages     first pages that were served           valid while everything they are made of is the same

Changes come on the topic page.changes, after the tables hold them. When its view is older than half the
margin, nothing of all this is served: what is loaded then is shared for a second at most (`Cache`).
"""

import math
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.domain.merge import Row
from pipeline.query.cache import Cache
from pipeline.query.reader_view import ReaderView
from pipeline.store.values import StoredPost
from pipeline.wire.records import PageChange

LONGEST_LIFE_S = 1.0
"""What is loaded while changes are not heard of is shared for so long at most. A reader does not see it, and
a hot key costs the store one read a second, not one for each page (leases: Nishtala et al., NSDI 2013).
"""


@dataclass(frozen=True, slots=True)
class RecentPosts:
    """An author's newest posts, newest first: all with ids from `lo` on, or as many as are kept of them."""

    rows: tuple[Row, ...]
    lo: int
    complete: bool

    @property
    def newest(self) -> int:
        """The id of the newest post; 0 when there is none."""
        return self.rows[0].post_id if self.rows else 0

    def below(self, lo: int, hi: int, most: int) -> list[Row] | None:
        """The newest posts with lo <= id < hi; None when that goes further down than what is kept."""
        rows = self.rows
        first = bisect_right(rows, -hi, key=_descending) if rows and rows[0][0] >= hi else 0
        found = list(rows[first : first + most])
        if found and found[-1][0] < lo:
            found = found[: bisect_right(found, -lo, key=_descending)]
        if len(found) == most:
            return found
        if (self.complete and lo >= self.lo) or (self.rows and lo >= self.rows[-1].post_id):
            return found
        return None


def _descending(row: Row) -> int:
    return -row[0]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many entries each cache may hold."""

    readers: int = 20_000
    authors: int = 20_000
    posts: int = 100_000
    counters: int = 100_000
    pages: int = 10_000


class Caches:
    """Everything a process of the read path remembers.

    `age_s`: of the view of changes, set by whoever follows them; older than `max_age_s`, nothing is trusted.
    `life_s`: how long what is loaded is shared then.
    """

    def __init__(
        self,
        sizes: Sizes,
        max_age_s: float,
        life_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_age_s, self._life_s = max_age_s, life_s
        self.age_s: Callable[[], float] = lambda: math.inf
        trusted = self.trusted
        self.readers: Cache[int, ReaderView] = Cache("readers", sizes.readers, trusted, life_s, clock)
        self.affinity: Cache[int, Mapping[int, int]] = Cache(
            "affinity", sizes.readers, trusted, life_s, clock
        )
        self.recent: Cache[int, RecentPosts] = Cache("recent", sizes.authors, trusted, life_s, clock)
        self.posts: Cache[int, StoredPost] = Cache("posts", sizes.posts, trusted, life_s, clock)
        self.counters: Cache[tuple[int, int], int] = Cache("counters", sizes.counters, trusted, life_s, clock)
        self.pages: Cache[tuple[int, int], Any] = Cache("pages", sizes.pages, trusted, life_s, clock)

    @classmethod
    def none(cls) -> "Caches":
        """Nothing is remembered: every page reads the tables."""
        return cls(Sizes(0, 0, 0, 0, 0), 0.0)

    def trusted(self) -> bool:
        """Whether all changes up to a moment ago have been heard of."""
        return self.age_s() <= self._max_age_s

    def shares(self) -> bool:
        """Whether what is loaded serves others as well."""
        return self.trusted() or self._life_s > 0

    def put(self, key: bytes, change: PageChange | None) -> None:
        """A change that was heard of, on the thread of its view."""
        match change:
            case PageChange("reader", ids):
                self.readers.drop(ids)
                self.affinity.drop(ids)
            case PageChange("author", ids):
                self.recent.drop(ids)
            case PageChange("post", ids):
                self.posts.drop(ids)

    def clear(self) -> None:
        """Forget everything."""
        for cache in (self.readers, self.affinity, self.recent, self.posts, self.counters, self.pages):
            cache.clear()

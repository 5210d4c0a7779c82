"""Many sources, one order: newest first, each post once, never past what a source has not shown yet.

Every source says down to where it has been read (its horizon). A page may only hold posts at or above the
highest horizon; to go on, read the sources that have it. A source not read at all has its newest possible
id as horizon, so a followee whose newest post is older than the page is never read (R2), and no cap is
needed to keep the frontier narrow.

    timeline  9 8 . . 5 | horizon 5
    author A    8 7     | horizon 7     → ready: 9 8 7; read A again, not the timeline
    author B            | horizon 6 (unread: its newest id); for a page of two it never is read
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipeline.domain import hints
from pipeline.wire.enums import DeliveryPath

EXHAUSTED = 0
"""Horizon of a source with nothing left: ids are positive."""

STRIDE = 4
"""A run of 2,000 withheld rows is passed in 5 reads, and the last one reads at most 4 times too much."""


class Row(NamedTuple):
    """A post as a source holds it: no more than an order and a filter need."""

    post_id: int
    author_id: int
    hints: int = 0


class Candidate(NamedTuple):
    """A post that may go on the page, and the paths it was found on."""

    post_id: int
    author_id: int
    hints: int = 0
    paths: frozenset[str] = frozenset()

    @property
    def path(self) -> str:
        """`own`, `push`, `pull` or `push+pull`."""
        if len(self.paths) == 1:
            return next(iter(self.paths))
        if "own" in self.paths:
            return "own"
        return "+".join(path for path in ("push", "pull") if path in self.paths)


class Source(NamedTuple):
    """Where candidates come from: one path of one author (or the timeline), down to `lo`.

    Every post of the source at or above `horizon` is in `items`, newest first, but for those that the source
    knows to be withheld. `lost`: it was given up, and what it has below its horizon is not in the page.
    `stride`: how many times more rows the next read asks for: a long run of withheld ones is passed in few
    reads. `read`: whether it was asked for anything yet.
    """

    path: str
    author_id: int
    lo: int
    horizon: int
    items: Sequence[Row] = ()
    lost: bool = False
    stride: int = 1
    read: bool = False

    def extended(self, rows: Sequence[Row], asked: int) -> "Source":
        """With rows read from below the horizon, newest first.

        Fewer rows than asked for means that the source holds nothing else.
        """
        own = self.path == DeliveryPath.OWN
        shown = [row for row in rows if not hints.withheld(row[2], own=own)]
        return self._replace(
            stride=1 if 2 * len(shown) >= len(rows) else self.stride * STRIDE,
            items=(*self.items, *shown),
            horizon=rows[-1].post_id if len(rows) >= asked else EXHAUSTED,
            read=True,
        )

    def given_up(self) -> "Source":
        """Without what it has not shown yet: it holds nobody back any more."""
        return self._replace(horizon=EXHAUSTED, lost=True, read=True)

    def down_to(self, floor: int) -> "Source":
        """Without what is below this post."""
        lo = max(self.lo, floor)
        return self._replace(lo=lo, horizon=EXHAUSTED if self.horizon <= lo else self.horizon)

    def below(self, post_id: int) -> "Source":
        """Without the rows from this post up: they have been looked at."""
        return self._replace(items=[row for row in self.items if row[0] < post_id])


def frontier(sources: Iterable[Source]) -> int:
    """The lowest id down to which every source has been read."""
    return max((source.horizon for source in sources), default=EXHAUSTED)


def anything_below(sources: Iterable[Source], post_id: int) -> bool:
    """Whether a source holds, or may hold, a post below this one."""
    return any(
        source.horizon > EXHAUSTED or (source.items and source.items[-1].post_id < post_id)
        for source in sources
    )


def merge(sources: Sequence[Source], below: int, most: int | None = None) -> list[Candidate]:
    """The candidates under `below` that are safe to show now, newest first, each once with all its paths.

    `most`: the newest so many of them are enough.
    """
    floor = frontier(sources)
    rows: dict[int, Row] = {}
    paths: dict[int, frozenset[str]] = {}
    for source in sources:
        path = frozenset((source.path,))
        for row in source.items:
            post_id = row[0]
            if post_id < floor:
                break
            if post_id >= below:
                continue
            known = rows.get(post_id)
            if known is None:
                rows[post_id], paths[post_id] = row, path
            else:
                rows[post_id] = known if known[2] else row
                paths[post_id] |= path
    return [
        Candidate(post_id, rows[post_id][1], rows[post_id][2], paths[post_id])
        for post_id in sorted(rows, reverse=True)[:most]
    ]


def next_reads(sources: Sequence[Source], below: int, wanted: int, most: int) -> list[Source]:
    """The sources that hold back a page of `wanted` under `below`: highest horizon first, at most `most`.

    Exhausted ones never, and none below the last of as many candidates as are wanted: the page ends there.
    """
    known = {row[0] for source in sources for row in source.items if row[0] < below}
    end = sorted(known)[-wanted] if len(known) >= wanted else EXHAUSTED
    waiting = [source for source in sources if source.horizon > end]
    return sorted(waiting, key=lambda source: -source.horizon)[:most]

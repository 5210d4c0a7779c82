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
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class Source:
    """Where candidates come from: one path of one author (or the timeline), down to `lo`.

    Every post of the source at or above `horizon` is in `items`, newest first, but for those that the source
    knows to be withheld. `lost`: it was given up, and what it has below its horizon is not in the page.
    `stride`: how many times more rows the next read asks for: a long run of withheld ones is passed in few
    reads.
    """

    path: str
    author_id: int
    lo: int
    horizon: int
    items: list[Row] = field(default_factory=list)
    lost: bool = False
    stride: int = 1

    def extend(self, rows: Sequence[Row], asked: int) -> None:
        """Add rows read from below the horizon, newest first.

        Fewer rows than asked for means that the source holds nothing else.
        """
        own = self.path == DeliveryPath.OWN
        shown = [row for row in rows if not hints.withheld(row[2], own=own)]
        self.stride = 1 if 2 * len(shown) >= len(rows) else self.stride * STRIDE
        self.items += shown
        self.horizon = rows[-1].post_id if len(rows) >= asked else EXHAUSTED

    def give_up(self) -> None:
        """Go on without it: it holds nobody back any more."""
        self.horizon, self.lost = EXHAUSTED, True


def frontier(sources: Iterable[Source]) -> int:
    """The lowest id down to which every source has been read."""
    return max((source.horizon for source in sources), default=EXHAUSTED)


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

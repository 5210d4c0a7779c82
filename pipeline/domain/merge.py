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

EXHAUSTED = 0
"""Horizon of a source with nothing left: ids are positive."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A post that may go on the page, and the paths it was found on."""

    post_id: int
    author_id: int
    hints: int = 0
    paths: frozenset[str] = frozenset()


@dataclass(slots=True)
class Source:
    """Where candidates come from: one path of one author (or the timeline), down to `lo`.

    Every post of the source at or above `horizon` is in `items`.
    """

    path: str
    author_id: int
    lo: int
    horizon: int
    items: list[Candidate] = field(default_factory=list)

    def extend(self, rows: Sequence[tuple[int, int, int]], asked: int) -> None:
        """Add `(post_id, author_id, hints)` rows read from below the horizon, newest first.

        Fewer rows than asked for means that the source holds nothing else.
        """
        self.items += [Candidate(post, author, hints, frozenset({self.path})) for post, author, hints in rows]
        self.horizon = rows[-1][0] if len(rows) >= asked else EXHAUSTED


def frontier(sources: Iterable[Source]) -> int:
    """The lowest id down to which every source has been read."""
    return max((source.horizon for source in sources), default=EXHAUSTED)


def merge(sources: Iterable[Source], below: int) -> list[Candidate]:
    """The candidates under `below` that are safe to show now, newest first, each once with all its paths."""
    sources = list(sources)
    floor = frontier(sources)
    found: dict[int, Candidate] = {}
    for source in sources:
        for item in source.items:
            if floor <= item.post_id < below:
                known = found.get(item.post_id)
                found[item.post_id] = item if known is None else _both(known, item)
    return sorted(found.values(), key=lambda item: -item.post_id)


def _both(known: Candidate, item: Candidate) -> Candidate:
    return Candidate(known.post_id, known.author_id, known.hints or item.hints, known.paths | item.paths)


def next_reads(sources: Iterable[Source], below: int, wanted: int, most: int) -> list[Source]:
    """The sources that hold back a page of `wanted` under `below`: highest horizon first, at most `most`.

    Exhausted ones never, and none below the last of as many candidates as are wanted: the page ends there.
    """
    sources = list(sources)
    known = sorted({item.post_id for source in sources for item in source.items if item.post_id < below})
    end = known[-wanted] if len(known) >= wanted else EXHAUSTED
    waiting = [source for source in sources if source.horizon > end]
    return sorted(waiting, key=lambda source: -source.horizon)[:most]

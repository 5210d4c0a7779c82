"""Who is pushed and what is pulled: the one decision that both paths call, so that they add up to one feed.

    time      ───────────────┬──────────┬─────────────────────────────▶
    edge      pulled         │  both    │ pushed
                       covered_from    + margin

For any history of an author's classes and of an edge: every post of the window that `pushed` says no to
lies in `pull_ranges`. Around each change the two overlap by `margin`, which absorbs messages in flight and
caches that are not older than half of it; overlaps are one post in the page (§2.2 of the design).
`tests/domain/test_coverage.py` holds the rule against an oracle that knows only this paragraph.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.domain import snowflake
from pipeline.domain.routing import Entries
from pipeline.wire.records import AuthorClass


@dataclass(frozen=True, slots=True)
class EdgeCover:
    """From which bound on a reader is pushed an author's posts, and since when the edge is warm."""

    covered_from: int
    warm_since: int | None = None


def bound(edge: int, reader: int, author: int) -> int:
    """From which post id on rows of an author are in a reader's timeline, as far as their class is pushed.

    `edge`: since the follow or its backfill; `reader`: since their return; `author`: since rows of them were
    taken out (a suspension that has ended). Below the highest of them rows may be missing.
    """
    return max(edge, reader, author)


Range = tuple[int, int]
"""Post ids lo <= id < hi."""


def pushed(post_id: int, author_class: AuthorClass, edge: EdgeCover) -> bool:
    """Whether a writer must write this post, of the class it has by `routing.class_of`, for this edge.

    `covered_from` is not asked: a follower in the segment is pushed to at once, ahead of its bound.
    """
    if author_class is AuthorClass.PARTIAL:
        return edge.warm_since is not None and post_id >= edge.warm_since
    return author_class is AuthorClass.PUSH


def pull_ranges(entries: Entries, edge: EdgeCover, window_start: int, *, margin_ms: int) -> list[Range]:
    """What a query must read from the author's own posts for this edge; disjoint, oldest first."""
    ranges = [(window_start, snowflake.shift(edge.covered_from, margin_ms))]
    for lo, hi, author_class in _spans(entries):
        warm = hi if edge.warm_since is None else edge.warm_since
        cold = {AuthorClass.PUSH: lo, AuthorClass.PULL: hi, AuthorClass.PARTIAL: min(hi, warm)}
        cold_until = cold[author_class]
        if lo < cold_until:
            ranges.append((snowflake.shift(lo, -margin_ms), snowflake.shift(cold_until, margin_ms)))
        if author_class is AuthorClass.PARTIAL:  # warmth is not relied upon at once, also when it came before
            ranges.append((lo, min(hi, snowflake.shift(warm, margin_ms))))
    return union((max(lo, window_start), hi) for lo, hi in ranges)


def _spans(entries: Entries) -> list[tuple[int, int, AuthorClass]]:
    """All ids cut into spans of one class each; the first is plain push, before any entry."""
    starts = [0, *(entry.since_post_id for entry in entries)]
    ends = [*starts[1:], snowflake.MAX_ID]
    classes = [AuthorClass.PUSH, *(entry.author_class for entry in entries)]
    return list(zip(starts, ends, classes, strict=True))


def union(ranges: Iterable[Range]) -> list[Range]:
    """The same ids as disjoint ranges, oldest first; empty ranges vanish."""
    merged: list[Range] = []
    for lo, hi in sorted(r for r in ranges if r[0] < r[1]):
        if merged and lo <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(hi, merged[-1][1]))
        else:
            merged.append((lo, hi))
    return merged

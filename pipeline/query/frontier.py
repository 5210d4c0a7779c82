"""Frontier: the sources a page may need, from the reader's edges and the routes of their authors (R2).

Most followees are pushed, and their posts are rows of the timeline: they need no source. Those that do are
the ones with a route record, a bound of their own or of their author, and all of them while the reader has
one. What is older than the window has no rows, and every followee is a source (R12).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pipeline.domain import coverage, snowflake
from pipeline.domain.merge import Source
from pipeline.query.known_routes import Route
from pipeline.query.reader_view import ReaderView

PLAIN, PUSHED = Route(), coverage.EdgeCover(0)


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """What a reader's pages may have to pull while their view and the routes of their authors are these.

    `spans`: (author, lo, hi) of the posts that are not pushed, of all time; hi is just above the newest one,
    where that is known. `suspended`: followees of whom nothing is shown for now.
    """

    reader: ReaderView
    routes: Mapping[int, Route]
    spans: Sequence[tuple[int, int, int]]
    suspended: frozenset[int]

    def sources(self, window_start: int, below: int) -> list[Source]:
        """A source for each span in the window; its horizon is the newest id it can have."""
        return [
            Source("pull", author, max(lo, window_start), min(hi, below))
            for author, lo, hi in self.spans
            if hi > window_start and lo < below
        ]

    def undated(self, window_start: int) -> set[int]:
        """Authors of whom something in the window may be pulled, and whose next post no route will tell."""
        return {
            author
            for author, _, hi in self.spans
            if hi > window_start and self.routes.get(author, PLAIN).record is None
        }


def plan(reader: ReaderView, routes: Mapping[int, Route], margin_ms: int) -> SourcePlan:
    """The plan for this reader; of the routes only those of their followees count."""
    spans = []
    reader_bound = reader.state.bound
    for author in _not_simply_pushed(reader, routes):
        route, edge = routes.get(author, PLAIN), reader.covers.get(author, PUSHED)
        if route.suspended:
            continue
        newest = snowflake.MAX_ID if route.record is None else route.record.latest_post_id + 1
        bound = coverage.bound(edge.covered_from, reader_bound, route.retracted_before)
        for lo, hi in route.pull_ranges(bound, edge.warm_since, margin_ms):
            if min(hi, newest) > lo:
                spans.append((author, lo, min(hi, newest)))
    suspended = frozenset(author for author, route in routes.items() if route.suspended)
    return SourcePlan(reader, routes, spans, suspended)


def _not_simply_pushed(reader: ReaderView, routes: Mapping[int, Route]) -> Collection[int]:
    """Followees a page may have to read: with a route or a bound; all of them, while the reader has one."""
    if reader.state.bound:
        return reader.followees
    return routes.keys() | {author for author, edge in reader.covers.items() if edge.covered_from}


def archive(plan: SourcePlan, below: int) -> list[Source]:
    """What is older than the window: nothing but the authors' own posts holds it."""
    return [
        Source("own", plan.reader.reader_id, 0, below),
        *(Source("pull", author, 0, below) for author in plan.reader.followees - plan.suspended),
    ]


def nearest(sources: list[Source], affinity: Mapping[int, int], most: int) -> list[Source]:
    """At most so many authors' sources, those the reader engages with most and that posted last first."""
    order = sorted(sources, key=lambda one: (-affinity.get(one.author_id, 0), -one.horizon, one.author_id))
    return order[:most]

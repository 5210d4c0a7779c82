"""Frontier: the sources a page may need, from the reader's edges and the routes of their authors (R2).

Most followees are pushed, and their posts are rows of the timeline: they need no source. Those that do are
the ones with a route record, a bound of their own or of their author, and all of them while the reader has
one. What is older than the window has no rows, and every followee is a source (R12).
"""

from collections.abc import Collection, Mapping

from pipeline.domain import coverage
from pipeline.domain.merge import Source
from pipeline.pages.known_routes import Route
from pipeline.pages.reader_view import ReaderView

PLAIN, PUSHED = Route(), coverage.EdgeCover(0)


def pulled(
    reader: ReaderView, routes: Mapping[int, Route], window_start: int, below: int, margin_ms: int
) -> list[Source]:
    """A source for each range that is not pushed; its horizon is the newest id it can have, where known."""
    sources = []
    reader_bound = reader.state.bound
    for author in _not_simply_pushed(reader, routes, window_start):
        route, edge = routes.get(author, PLAIN), reader.covers.get(author, PUSHED)
        if route.suspended:
            continue
        record = route.record
        bound = max(edge.covered_from, reader_bound, route.retracted_before)
        newest = below if record is None else min(below, record.latest_post_id + 1)
        for lo, hi in route.pull_ranges(bound, edge.warm_since, margin_ms):
            first, horizon = max(lo, window_start), min(hi, newest)
            if horizon > first:
                sources.append(Source("pull", author, first, horizon))
    return sources


def _not_simply_pushed(reader: ReaderView, routes: Mapping[int, Route], window_start: int) -> Collection[int]:
    """Followees a page may have to read: with a route or a bound; all of them, while the reader has one."""
    if reader.state.bound > window_start:
        return reader.followees
    return routes.keys() | {author for author, edge in reader.covers.items() if edge.covered_from}


def archive(reader: ReaderView, routes: Mapping[int, Route], below: int) -> list[Source]:
    """What is older than the window: nothing but the authors' own posts holds it."""
    shown = (author for author in reader.followees if not routes.get(author, PLAIN).suspended)
    return [
        Source("own", reader.reader_id, 0, below),
        *(Source("pull", author, 0, below) for author in shown),
    ]


def nearest(sources: list[Source], affinity: Mapping[int, int], most: int) -> list[Source]:
    """At most so many authors' sources, those the reader engages with most and that posted last first."""
    order = sorted(sources, key=lambda one: (-affinity.get(one.author_id, 0), -one.horizon, one.author_id))
    return order[:most]

"""Plan: what a page will read, said before anything is read of it (R2).

Most followees are pushed, and their posts are rows of the timeline: they need no source. Those that do are
the frontier: the ones with a route record, a bound of their own or of their author, and all of them while the
reader has one. What is older than the window has no rows, and every followee is a source (R12).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pipeline.domain import coverage, snowflake
from pipeline.domain.merge import Candidate, Source
from pipeline.domain.page_request import PageRequest
from pipeline.domain.visibility import author_hidden_because, post_hidden_because
from pipeline.query.known_routes import Route
from pipeline.query.reader_view import ReaderView
from pipeline.store.values import StoredPost

PLAIN, PUSHED = Route(), coverage.EdgeCover(0)


@dataclass(frozen=True, slots=True)
class Frontier:
    """What a reader's pages may have to pull while their view and the routes of their authors are these.

    `spans`: (author, lo, hi) of the posts that are not pushed, of all time; hi is just above the newest one,
    where that is known. `suspended`: followees of whom nothing is shown for now.
    """

    reader: ReaderView
    routes: Mapping[int, Route]
    spans: Sequence[tuple[int, int, int]]
    suspended: frozenset[int]


@dataclass(frozen=True, slots=True)
class Plan:
    """One page: its reader, what is read of the timeline from `window_start` on, and what is pulled."""

    request: PageRequest
    reader: ReaderView
    frontier: Frontier
    window_start: int

    def rows(self, below: int) -> tuple[Source, ...]:
        """The timeline and one's own posts; in the archive one's own are a source as others' are."""
        if below <= self.window_start:
            return ()
        return (
            Source("push", 0, self.window_start, below),
            Source("own", self.request.reader_id, self.window_start, below),
        )

    def pulled(self, below: int) -> list[Source]:
        """A source for each span in the window; its horizon is the newest id it can have."""
        start = self.window_start
        return [
            Source("pull", author, max(lo, start), min(hi, below))
            for author, lo, hi in self.frontier.spans
            if hi > start and lo < below
        ]

    def archive(self, below: int) -> list[Source]:
        """What is older than the window: nothing but the authors' own posts holds it."""
        below = min(below, self.window_start)
        pulled = self.reader.followees - self.frontier.suspended
        return [
            Source("own", self.request.reader_id, 0, below),
            *(Source("pull", author, 0, below) for author in pulled),
        ]

    def allowed(self, candidates: Sequence[Candidate], hidden: Mapping[int, int]) -> list[Candidate]:
        """Without what is known to be hidden before a post is fetched: by the author, each of whom is asked
        about once, and by the reader; `hidden`: what they have hidden of older posts.
        """
        me, hides = self.request.reader_id, self.reader.hidden
        gone = {author for author in {one.author_id for one in candidates} if self.hides_author(author)}
        return [
            one
            for one in candidates
            if one.author_id == me
            or not (one.author_id in gone or one.post_id in hides or one.post_id in hidden)
        ]

    def hides_author(self, author_id: int) -> str | None:
        """Why nothing of this author is on the page."""
        reader = self.reader
        if author_id == self.request.reader_id:
            return None
        return author_hidden_because(
            suspended=author_id in self.frontier.suspended,
            followed=author_id in reader.follows,
            blocked=reader.relations.blocked(author_id),
            muted=author_id in reader.relations.mutes,
        )

    def hides_post(self, post: StoredPost) -> str | None:
        """Why this post is not on the page, whoever made it; of hides those that the view has.

        A row may name a post that another author has by now (two published one id at the same moment).
        """
        reader, own = self.reader, post.author_id == self.request.reader_id
        if not own and post.author_id not in reader.followees:
            return "not followed"
        return post_hidden_because(
            own=own,
            reader_region=reader.state.region,
            visibility=post.visibility,
            deleted=post.deleted,
            taken_down=post.taken_down,
            hidden=post.post_id in reader.hidden,
        )


def frontier(reader: ReaderView, routes: Mapping[int, Route], margin_ms: int) -> Frontier:
    """The frontier of this reader; of the routes only those of their followees count."""
    spans = []
    reader_bound = reader.state.bound
    for author in _not_simply_pushed(reader, reader_bound, routes):
        route, edge = routes.get(author, PLAIN), reader.covers.get(author, PUSHED)
        if route.suspended:
            continue
        newest = snowflake.MAX_ID if route.record is None else route.record.latest_post_id + 1
        bound = coverage.bound(edge.covered_from, reader_bound, route.retracted_before)
        for lo, hi in route.pull_ranges(bound, edge.warm_since, margin_ms):
            if min(hi, newest) > lo:
                spans.append((author, lo, min(hi, newest)))
    suspended = frozenset(author for author, route in routes.items() if route.suspended)
    return Frontier(reader, routes, spans, suspended)


def _not_simply_pushed(reader: ReaderView, bound: int, routes: Mapping[int, Route]) -> Collection[int]:
    """Followees a page may have to read: with a route or a bound; all of them, while the reader has one."""
    if bound:
        return reader.followees
    return routes.keys() | {author for author, edge in reader.covers.items() if edge.covered_from}

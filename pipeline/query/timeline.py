"""Query: both paths become one page.

Reads      timeline.requests (the `ask` agent); author.routes and author.suspensions as a whole, page.changes;
           the tables of the path
Writes     a TimelineReply to the topic the request names
Guarantee  no post twice, nothing skipped that a shallower source still holds; moderation wins
Replay     answers again; asking is free of side effects
Budget     the request's deadline: stages are cut, not the page, and `degraded` names each

A page is a chain: `frontier → fetch (timeline ∥ own ∥ pulled authors) → merge → filter → prune → enrich →
rank → page → hydrate`. `latest` is in order once it is merged, and skips the three in the middle. What is
known of authors is filtered before posts are fetched, what is known of posts after.

The ladder, when time is short, from the first step down:

    enrichment          ranked without live counters or affinity
    narrow prune        a third of the candidates is ranked
    pulled authors      those that did not answer are missing; `lacks` names them
    timeline only       no time was left to pull at all
    hydration           the page ends before the first post that was not fetched
    cached first page   the timeline did not answer: the last first page that was served, filtered anew

Nothing is ever shown unfiltered: when not even the reader's relations are known in time, there is no page.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from prometheus_client import Histogram

from pipeline.domain import cursor
from pipeline.domain.cursor import Cursor
from pipeline.domain.page_request import PageRequest
from pipeline.errors import Unavailable, Unprocessable
from pipeline.query import first_pages, freshness, latest, looks, ranked
from pipeline.query.deadline import Deadline
from pipeline.query.fetch import Fetch
from pipeline.query.looks import Following
from pipeline.query.page import Item, Page, Session
from pipeline.query.ranked import Ranking
from pipeline.store.values import StoredPost
from pipeline.telemetry import metrics


@dataclass(frozen=True, slots=True)
class Query:
    """Assembles pages. `cap`: posts a session may reach. `saw`: told who reads. `tier_of`: by followers."""

    fetch: Fetch
    ranking: Ranking
    cursor_keys: Sequence[bytes]
    cap: int | None = None
    saw: Callable[[int], None] = lambda reader_id: None
    tier_of: Callable[[int], str] = lambda followers: ""

    async def page(self, request: PageRequest) -> Page:
        """The page. Raises Unavailable when what a page cannot do without is not there in time."""
        self.saw(request.reader_id)
        deadline = Deadline(request.timeout_ms)
        if await self.fetch.erased(request.reader_id, deadline):
            return Page((), None)
        session = await self.fetch.begin(request, deadline)
        try:
            page = await self._assembled(session)
        except (Unavailable, Unprocessable):
            if not request.first or request.place.mode != "latest":
                raise
            served = first_pages.whatever(self.fetch.caches, session)
            if served is None:
                raise
            page = served
        if request.explain:
            told = await deadline.within(1, self._with_tiers(page.items))
            page = page if told is None else replace(page, items=told)
        metrics.PAGE_SECONDS.observe(deadline.spent())
        for step in page.degraded:
            metrics.PAGES_DEGRADED.labels(step).inc()
        freshness.saw(session, page)
        return page

    async def post(self, reader_id: int, post_id: int) -> StoredPost | None:
        """One post, as this reader may see it; None when there is none for them, whatever the reason."""
        if await self.fetch.erased(reader_id, Deadline(None)):
            return None
        return await looks.post(self.fetch, reader_id, post_id)

    async def following(self, reader_id: int, author_id: int) -> Following:
        """How the reader stands to the author."""
        if await self.fetch.erased(reader_id, Deadline(None)):
            return Following(reader_id, author_id, False, None, False, False)
        return await looks.following(self.fetch, reader_id, author_id)

    async def _assembled(self, session: Session) -> Page:
        if session.request.first and session.request.place.mode == "latest":
            return await self._first(session)
        return await self._next(session)

    async def _first(self, session: Session) -> Page:
        """The page that was served last, when it is still the same; else a new one, which is remembered."""
        caches = self.fetch.caches
        await self.fetch.newest(session)
        rows = first_pages.rows_of(session)
        known = None if session.request.explain else first_pages.unchanged(caches, session)
        if known is not None:
            return known
        page = await self._next(session)
        if not session.request.explain:
            first_pages.remember(caches, session, rows, page)
        return page

    async def _next(self, session: Session) -> Page:
        place, reader_id = session.request.place, session.reader.reader_id
        wanted = session.limit if self.cap is None else min(session.limit, max(self.cap - place.served, 0))
        if not wanted:
            return Page((), None)
        await self.fetch.widen(session, place.below)
        following: Cursor | None
        if place.mode == "ranked":
            items, following = await ranked.page(self.fetch, session, wanted, self.ranking)
        else:
            items, below = await latest.page(self.fetch, session, wanted)
            served = place.served + len(items)
            following = None if below is None else Cursor("latest", place.as_of, below, served=served)
        if following is not None and self.cap is not None and following.served >= self.cap:
            following = None
        widths = {
            "followees": len(session.reader.follows),
            "sources": len(session.sources),
            "sources_read": len(session.read),
            **session.widths,
            "items": len(items),
        }
        for step, width in widths.items():
            _width(step).observe(width)
        return Page(
            items,
            None if following is None else cursor.seal(following, reader_id, self.cursor_keys),
            tuple(session.degraded),
            widths,
            session.lacks,
            place.as_of,
        )

    async def _with_tiers(self, items: Sequence[Item]) -> list[Item]:
        graphs = await self.fetch.stores.graph.author_graphs({item.post.author_id for item in items})
        return [replace(item, tier=self.tier_of(graphs[item.post.author_id].followers)) for item in items]


@cache
def _width(step: str) -> Histogram:
    return metrics.PAGE_WIDTH.labels(step)

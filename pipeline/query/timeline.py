"""Query: both paths become one page.

Reads      timeline.requests (the `ask` agent); author.routes and author.suspensions as a whole, page.changes;
           the tables of the path
Writes     a TimelineReply to the topic the request names
Guarantee  no post twice, nothing skipped that a shallower source still holds; moderation wins
Replay     answers again; asking is free of side effects
Budget     the request's deadline: stages are cut, not the page, and `degraded` names each

A page is a chain of values, each step a function of those before it:

    request ─▶ Plan ─▶ Loaded ─▶ latest: filter                       ─▶ hydrate ─▶ Selected ─▶ Page
                        ▲   └──▶ ranked: filter, prune, enrich, rank  ─▶    │
                        └─────────────── further down, while it is not full ┘

What is known of authors is filtered before posts are fetched, what is known of posts after.

The ladder, when time is short, from the first step down:

    enrichment          ranked without live counters or affinity
    narrow prune        a third of the candidates is ranked
    pulled authors      those that did not answer are missing; `lacks` names them
    timeline only       no time was left to pull at all
    hydration           the page ends before the first post that was not fetched
    cached first page   the timeline did not answer: the last first page that was served, filtered anew

Nothing is ever shown unfiltered: when not even the reader's relations are known in time, there is no page.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pipeline.domain.page_request import PageRequest
from pipeline.errors import Unavailable, Unprocessable
from pipeline.query import first_pages, freshness, latest, looks, ranked
from pipeline.query.deadline import Deadline
from pipeline.query.load import Load, Loaded
from pipeline.query.looks import Following
from pipeline.query.page import Page, page_of
from pipeline.query.plan import Plan
from pipeline.query.ranked import Ranking
from pipeline.store.values import StoredPost
from pipeline.telemetry import metrics


@dataclass(frozen=True, slots=True)
class Query:
    """Assembles pages. `cap`: posts a session may reach. `saw`: told who reads. `tier_of`: by followers."""

    load: Load
    ranking: Ranking
    cursor_keys: Sequence[bytes]
    cap: int | None = None
    saw: Callable[[int], None] = lambda reader_id: None
    tier_of: Callable[[int], str] = lambda followers: ""

    async def page(self, request: PageRequest) -> Page:
        """The page. Raises Unavailable when what a page cannot do without is not there in time."""
        self.saw(request.reader_id)
        deadline = Deadline(None if request.timeout_ms is None else request.timeout_ms / 1000)
        plan = await self.load.plan(request, deadline)
        if plan is None:
            return Page((), None)
        newest = request.first and request.place.mode == "latest"
        loaded = Loaded(deadline)
        try:
            page, loaded = await (self._first if newest else self._next)(plan, loaded)
        except (Unavailable, Unprocessable) as error:
            page, loaded = None, loaded._replace(cut=error)
        if page is None:
            page = first_pages.stale_page(self.load.caches, plan, loaded.degraded) if newest else None
        if page is None:
            raise loaded.cut or Unavailable("no page")
        if request.explain:
            page = await self._explained(page, loaded.deadline)
        metrics.PAGE_SECONDS.observe(time.perf_counter() - deadline.began)
        for step in page.degraded:
            metrics.PAGES_DEGRADED.labels(step).inc()
        freshness.observe(plan, page)
        return page

    async def post(self, reader_id: int, post_id: int) -> StoredPost | None:
        """One post, as this reader may see it; None when there is none for them, whatever the reason."""
        return await looks.post(self.load, reader_id, post_id)

    async def following(self, reader_id: int, author_id: int) -> Following:
        """How the reader stands to the author."""
        return await looks.following(self.load, reader_id, author_id)

    async def ready(self) -> None:
        """One cheap read; raises Unavailable when the store does not answer."""
        await self.load.ready()

    async def _first(self, plan: Plan, loaded: Loaded) -> tuple[Page | None, Loaded]:
        """The page that was served last, when it is still the same; else a new one, which is remembered."""
        caches, kept = self.load.caches, not plan.request.explain
        newest = await self.load.newest(plan, loaded)
        if newest.cut:
            return None, newest
        page = first_pages.unchanged(caches, plan, newest) if kept else None
        if page is not None:
            return page, newest
        page, loaded = await self._next(plan, newest)
        if page is not None and kept:
            first_pages.remember(caches, plan, newest, loaded, page)
        return page, loaded

    async def _next(self, plan: Plan, loaded: Loaded) -> tuple[Page | None, Loaded]:
        """The page from its place on; None when there was no time to look at any post."""
        place, wanted = plan.request.place, plan.request.limit
        if self.cap is not None:
            wanted = min(wanted, max(self.cap - place.served, 0))
        if not wanted:
            return Page((), None), loaded
        if place.mode == "ranked":
            selected = await ranked.select(self.load, plan, loaded, wanted, self.ranking)
        else:
            selected = await latest.select(self.load, plan, loaded, wanted)
        if selected.loaded.cut and not selected.items and selected.following == place:
            return None, selected.loaded
        return page_of(plan, selected, self.cap, self.cursor_keys), selected.loaded

    async def _explained(self, page: Page, deadline: Deadline) -> Page:
        """With the tiers of its authors, when they come in time."""
        followers = await self.load.followers({item.post.author_id for item in page.items}, deadline)
        if followers is None:
            return page
        items = [replace(item, tier=self.tier_of(followers[item.post.author_id])) for item in page.items]
        return replace(page, items=items)

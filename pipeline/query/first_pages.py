"""First pages that were served: an unchanged refresh costs one read of the timeline, and no stage behind it.

A page is as it was while its reader's view, the rows it was made of, the newest post of every pulled author
and each post that it shows or hides are what they were: all of them are compared, none is trusted for a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.domain.merge import Row
from pipeline.domain.page_request import PageRequest
from pipeline.query.caches import Caches, RecentPosts
from pipeline.query.load import Loaded
from pipeline.query.page import Page
from pipeline.query.plan import PLAIN, Frontier, Plan
from pipeline.store.values import StoredPost

KEPT_MS = 3_600_000
"""A page is made anew after so long: its cursor ends a day after it was made."""


@dataclass(frozen=True, slots=True)
class FirstPage:
    """A page, and what it was made of, as it was then: the frontier, the rows, `recent` of authors that were
    read, `posts` that were looked at. What is remembered of them by now may be newer than the page.
    """

    page: Page
    as_of: int
    frontier: Frontier
    rows: Sequence[Row]
    recent: Mapping[int, RecentPosts]
    posts: Mapping[int, StoredPost]


def key_of(request: PageRequest) -> tuple[int, int]:
    """Under which a page is kept."""
    return request.reader_id, request.limit


def rows_of(loaded: Loaded) -> list[Row]:
    """The rows of the timeline that have been read."""
    return [row for source in loaded.sources if source.path == "push" for row in source.items]


def unchanged(caches: Caches, plan: Plan, newest: Loaded) -> Page | None:
    """The first page that was served last, if it still is the first page; the timeline has been read."""
    kept = _kept(caches, plan)
    if kept is None or plan.request.place.as_of - kept.as_of > KEPT_MS:
        return None
    items = kept.page.items
    same = (
        _same(kept.frontier, plan.frontier)
        and kept.rows == rows_of(newest)
        and caches.recent.still(kept.recent)
        and caches.posts.still(kept.posts)
        and (not items or items[-1].post.post_id >= plan.window_start)
    )
    return kept.page if same else None


def remember(caches: Caches, plan: Plan, newest: Loaded, loaded: Loaded, page: Page) -> None:
    """Keep a first page, unless it was made of more than will be compared: what is in no cache, authors whose
    next post no route will tell, or rows further down.
    """
    authors = {one.author_id for one in loaded.sources if one.read and one.path != "push"}
    rows = rows_of(newest)
    told = not (authors | _undated(plan)) - loaded.recent.keys()
    if page.degraded or not told or rows != rows_of(loaded):
        return
    as_of = plan.request.place.as_of
    kept = FirstPage(page, as_of, plan.frontier, rows, loaded.recent, loaded.posts)
    caches.pages.keep(key_of(plan.request), kept)


def stale_page(caches: Caches, plan: Plan, degraded: Sequence[str]) -> Page | None:
    """The first page that was served last, whatever has happened since, but for what may not be shown now."""
    kept = _kept(caches, plan)
    if kept is None:
        return None
    known = caches.posts.known([item.post.post_id for item in kept.page.items])
    items = [
        item
        for item in kept.page.items
        if (post := known.get(item.post.post_id)) is not None
        and plan.hides_author(post.author_id) is None
        and (post.post_id >= plan.reader.hidden_since or post.author_id == plan.request.reader_id)
        and plan.hides_post(post) is None
    ]
    return replace(kept.page, items=items, degraded=(*degraded, "cached first page"))


def _kept(caches: Caches, plan: Plan) -> FirstPage | None:
    key = key_of(plan.request)
    return caches.pages.known((key,)).get(key)


def _same(one: Frontier, other: Frontier) -> bool:
    """Of the same view of the reader, and of routes that come to the same."""
    return one is other or (
        one.reader is other.reader and one.spans == other.spans and one.suspended == other.suspended
    )


def _undated(plan: Plan) -> set[int]:
    """Authors of whom something in the window may be pulled, and whose next post no route will tell."""
    spans, routes = plan.frontier.spans, plan.frontier.routes
    return {
        author
        for author, _, hi in spans
        if hi > plan.window_start and routes.get(author, PLAIN).record is None
    }

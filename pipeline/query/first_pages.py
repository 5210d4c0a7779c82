"""First pages that were served: an unchanged refresh costs one read of the timeline, and no stage behind it.

A page is as it was while its reader's view, the rows it was made of, the newest post of every pulled author
and each post that it shows or hides are what they were: all of them are compared, none is trusted for a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.domain.merge import Row
from pipeline.domain.page_request import PageRequest
from pipeline.query.caches import Caches, RecentPosts
from pipeline.query.frontier import SourcePlan
from pipeline.query.page import Page, Session
from pipeline.store.values import StoredPost

KEPT_MS = 3_600_000
"""A page is made anew after so long: its cursor ends a day after it was made."""


@dataclass(frozen=True, slots=True)
class FirstPage:
    """A page, and what it was made of, as it was then: the plan, the rows, `recent` of authors that were
    read, `posts` that were looked at. What is remembered of them by now may be newer than the page.
    """

    page: Page
    as_of: int
    plan: SourcePlan
    rows: Sequence[Row]
    recent: Mapping[int, RecentPosts]
    posts: Mapping[int, StoredPost]


def key_of(request: PageRequest) -> tuple[int, int]:
    """Under which a page is kept."""
    return request.reader_id, request.limit


def rows_of(session: Session) -> list[Row]:
    """The rows of the timeline that have been read."""
    return [row for source in session.sources if source.path == "push" for row in source.items]


def unchanged(caches: Caches, session: Session) -> Page | None:
    """The first page that was served last, if it still is the first page. The timeline has been read."""
    kept = _kept(caches, session)
    if kept is None or session.request.place.as_of - kept.as_of > KEPT_MS:
        return None
    items = kept.page.items
    same = (
        _same(kept.plan, session.plan)
        and kept.rows == rows_of(session)
        and caches.recent.still(kept.recent)
        and caches.posts.still(kept.posts)
        and (not items or items[-1].post.post_id >= session.window_start)
    )
    return kept.page if same else None


def remember(caches: Caches, session: Session, rows: Sequence[Row], page: Page) -> None:
    """Keep a first page, unless it was made of more than will be compared: what is in no cache, authors whose
    next post no route will tell, or rows further down.
    """
    authors = {one.author_id for one in session.sources if id(one) in session.read and one.path != "push"}
    told = not (authors | session.plan.undated(session.window_start)) - session.recent.keys()
    if page.degraded or not told or rows != rows_of(session):
        return
    as_of = session.request.place.as_of
    kept = FirstPage(page, as_of, session.plan, rows, session.recent, session.looked_at)
    caches.pages.keep(key_of(session.request), kept)


def whatever(caches: Caches, session: Session) -> Page | None:
    """The first page that was served last, whatever has happened since, but for what may not be shown now."""
    kept = _kept(caches, session)
    if kept is None:
        return None
    known = caches.posts.known([item.post.post_id for item in kept.page.items])
    items = [
        item
        for item in kept.page.items
        if (post := known.get(item.post.post_id)) is not None
        and session.hides_author(post.author_id) is None
        and (post.post_id >= session.reader.hidden_since or post.author_id == session.reader.reader_id)
        and session.reader.hides_post(post) is None
    ]
    return replace(kept.page, items=items, degraded=(*session.degraded, "cached first page"))


def _kept(caches: Caches, session: Session) -> FirstPage | None:
    key = key_of(session.request)
    return caches.pages.known((key,)).get(key)


def _same(one: SourcePlan, other: SourcePlan) -> bool:
    """Of the same view of the reader, and of routes that come to the same."""
    return one is other or (
        one.reader is other.reader and one.spans == other.spans and one.suspended == other.suspended
    )

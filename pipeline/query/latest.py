"""Latest: exact reverse chronology. The merge is the order; what is hidden makes room for the next.

A page that comes out thin reads wider each time, so that a long run of hidden posts costs few reads, and goes
on below it. When its time is over it says how far down it has looked: the next page begins there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.domain.merge import STRIDE, Candidate, frontier, merge
from pipeline.errors import Unavailable
from pipeline.query.fetch import Fetch
from pipeline.query.page import Item, Session

MOST_CANDIDATES = 50_000
"""A page that had to look at more gives what it has, and a cursor to go on from there."""

WIDEST = 1_000
"""Candidates looked at together."""

CARRIED = 2_000
"""Candidates that a page keeps in its sources once it has looked at them: merging goes over all of them."""


async def page(fetch: Fetch, session: Session, wanted: int) -> tuple[list[Item], int | None]:
    """The items, and the post below which the next page goes on; None at the end of the feed.

    A first page ends with the window: what followees posted before is read for those who scroll. Raises
    Unavailable when there was no time to look at anything.
    """
    items: list[Item] = []
    start = below = session.request.place.below
    width, seen, cut = wanted, 0, False
    while True:
        candidates, cut = await _next(fetch, session, below, width)
        looked = await _visible(fetch, session, candidates, wanted - len(items))
        items += looked.items
        seen += len(candidates)
        below = min(below, looked.down_to or below)
        if cut and not looked.cut and len(items) < wanted:
            below = min(below, frontier(session.sources))
        cut = cut or looked.cut
        if cut or len(items) == wanted or seen >= MOST_CANDIDATES:
            break
        if session.anything_below(below):
            thin = 2 * len(looked.items) < len(candidates)
            width = min(width * STRIDE, WIDEST) if thin else wanted - len(items)
            if thin:
                session.passed_over()
            if seen > CARRIED:
                session.forget(below)
            continue
        if session.archived or (session.request.first and session.reader.followees):
            break
        await fetch.archive(session)
    session.widths |= {"candidates": seen}
    if cut and not items and below == start:
        raise Unavailable(f"reader {session.reader.reader_id}: no post was fetched in time")
    if cut or session.anything_below(below):
        return items, below
    return items, None if session.archived else min(below, session.window_start)


async def _next(fetch: Fetch, session: Session, below: int, width: int) -> tuple[list[Candidate], bool]:
    """The next candidates; and whether time was up before all of them were read."""
    try:
        return await fetch.collect(session, below, width), False
    except Unavailable:
        if below == session.request.place.below and frontier(session.sources) >= below:
            raise
        session.name("hydration")
        return merge(session.sources, below, width), True


@dataclass(frozen=True, slots=True)
class _Looked:
    """What may be shown of some candidates, the last post that was looked at, and whether time was up."""

    items: list[Item]
    down_to: int | None
    cut: bool


async def _visible(fetch: Fetch, session: Session, candidates: Sequence[Candidate], wanted: int) -> _Looked:
    """The first so many of these candidates that may be shown. Posts are fetched a few at a time, and more of
    them when those come out thin.
    """
    allowed = await fetch.allowed(session, candidates)
    if allowed is None:
        return _Looked([], None, True)
    items: list[Item] = []
    down_to, size = None, wanted
    while allowed:
        chunk, allowed = allowed[:size], allowed[size:]
        posts, whole = await fetch.posts(session, [one.post_id for one in chunk])
        for one in chunk:
            post = posts.get(one.post_id)
            if post is None and not whole:
                return _Looked(items, down_to, True)
            down_to = one.post_id
            if post is not None and session.reader.hides_post(post) is None:
                items.append(Item(post, path_of(one)))
                session.found += 1
                if len(items) == wanted:
                    return _Looked(items, down_to, False)
        session.passed_over()
        size *= STRIDE
    return _Looked(items, candidates[-1].post_id if candidates else None, False)


def path_of(candidate: Candidate) -> str:
    """`own`, `push`, `pull` or `push+pull`."""
    if len(candidate.paths) == 1:
        return next(iter(candidate.paths))
    if "own" in candidate.paths:
        return "own"
    return "+".join(path for path in ("push", "pull") if path in candidate.paths)

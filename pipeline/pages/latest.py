"""Latest: exact reverse chronology. The merge is the order; what is hidden makes room for the next."""

from collections.abc import Sequence

from pipeline.domain.merge import Candidate
from pipeline.pages.fetch import Fetch
from pipeline.pages.page import Item, Session

MOST_CANDIDATES = 2_000
"""A page that had to look at more gives what it has, and a cursor to go on from there."""


async def page(fetch: Fetch, session: Session, wanted: int) -> tuple[list[Item], int | None]:
    """The items, and the post below which the next page goes on; None at the end of the feed.

    A first page ends with the window: what followees posted before is read for those who scroll.
    """
    items: list[Item] = []
    below, seen, whole = session.request.place.below, 0, True
    while True:
        candidates = await fetch.collect(session, below, wanted - len(items))
        shown, examined, whole = await _visible(fetch, session, candidates)
        items += shown
        seen += len(candidates)
        below = below if examined is None else examined
        if not whole or len(items) == wanted or seen >= MOST_CANDIDATES:
            break
        if session.anything_below(below):
            continue
        if session.archived or (session.request.first and session.reader.followees):
            break
        await fetch.archive(session)
    session.widths |= {"candidates": seen}
    if not whole or session.anything_below(below):
        return items, below
    return items, None if session.archived else min(below, session.window_start)


async def _visible(
    fetch: Fetch, session: Session, candidates: Sequence[Candidate]
) -> tuple[list[Item], int | None, bool]:
    """What may be shown of these candidates, the last one that was looked at, and whether that was all."""
    hidden = session.hidden_among(candidates)
    allowed = [one for one in candidates if one.author_id not in hidden] if hidden else candidates
    posts, whole = await fetch.posts(session, [one.post_id for one in allowed])
    items: list[Item] = []
    examined = None
    for one in allowed:
        post = posts.get(one.post_id)
        if post is None and not whole:
            return items, examined, False
        if post is not None and session.reader.hides_post(post) is None:
            items.append(Item(post, path_of(one)))
        examined = one.post_id
    return items, candidates[-1].post_id if candidates else None, True


def path_of(candidate: Candidate) -> str:
    """`own`, `push`, `pull` or `push+pull`."""
    if len(candidate.paths) == 1:
        return next(iter(candidate.paths))
    if "own" in candidate.paths:
        return "own"
    return "+".join(path for path in ("push", "pull") if path in candidate.paths)

"""Latest: exact reverse chronology. The merge is the order; what is hidden makes room for the next.

    load candidates ─▶ filter ─▶ hydrate ─▶ enough, or further down: wider, or in the archive

A page that comes out thin reads wider each time, so that a long run of hidden posts costs few reads, and goes
on below it. When its time is over it says how far down it has looked: the next page begins there.
"""

from pipeline.domain.cursor import Cursor
from pipeline.domain.merge import EXHAUSTED, STRIDE, anything_below, frontier
from pipeline.query import hydrate
from pipeline.query.load import Load, Loaded
from pipeline.query.page import Item, Selected
from pipeline.query.plan import Plan

MAX_CANDIDATES = 50_000
"""A page that had to look at more gives what it has, and a cursor to go on from there."""

WIDEST = 1_000
"""Candidates looked at together."""

CARRIED = 2_000
"""Candidates that a page keeps in its sources once it has looked at them: merging goes over all of them."""


async def select(load: Load, plan: Plan, loaded: Loaded, wanted: int) -> Selected:
    """The items, and where the next page goes on; None at the end of the feed.

    A first page ends with the window: what followees posted before is read for those who scroll. Where there
    was no time to look at anything, the next page goes on where this one began.
    """
    place = plan.request.place
    items: list[Item] = []
    below, width, seen = place.below, wanted, 0
    loaded = await load.opened(plan, loaded, below)
    while True:
        loaded = await load.candidates(plan, loaded, below, width)
        short = loaded.cut
        if short and below == place.below and frontier(loaded.sources) >= below:
            return Selected((), place, loaded)
        loaded, looked, down_to = await _looked(load, plan, loaded, wanted - len(items))
        items += looked
        seen += len(loaded.candidates)
        below = min(below, down_to or below)
        if short:
            if not loaded.cut and len(items) < wanted:
                below = min(below, frontier(loaded.sources))
            loaded = loaded.named("hydration")._replace(cut=short)
        if loaded.cut or len(items) == wanted or seen >= MAX_CANDIDATES:
            break
        if anything_below(loaded.sources, below):
            thin = 2 * len(looked) < len(loaded.candidates)
            width = min(width * STRIDE, WIDEST) if thin else wanted - len(items)
            loaded = loaded.passed_over() if thin else loaded
            if seen > CARRIED:
                loaded = loaded._replace(sources=[one.below(below) for one in loaded.sources])
        elif loaded.archived or (plan.request.first and plan.reader.followees):
            break
        else:
            loaded = await load.archive(plan, loaded)
    if not loaded.cut and not anything_below(loaded.sources, below):
        below = EXHAUSTED if loaded.archived else min(below, plan.window_start)
    served = place.served + len(items)
    following = Cursor("latest", place.as_of, below, served=served) if below else None
    widths = {"sources_read": sum(source.read for source in loaded.sources), "candidates": seen}
    return Selected(items, following, loaded, widths)


async def _looked(
    load: Load, plan: Plan, loaded: Loaded, wanted: int
) -> tuple[Loaded, list[Item], int | None]:
    """What may be shown of the candidates, and the last post that was looked at."""
    loaded, allowed = await load.allowed(plan, loaded)
    if loaded.cut:
        return loaded, [], None
    loaded, shown, left = await hydrate.visible(load, plan, loaded, allowed, wanted, in_order=True)
    looked = allowed[: len(allowed) - len(left)] if left or len(shown) == wanted else loaded.candidates
    items = [Item(post, one.path) for one, post in shown]
    return loaded, items, looked[-1].post_id if looked else None

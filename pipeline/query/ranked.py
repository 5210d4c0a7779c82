"""Ranked: the best of a round first. A round is the newest `candidates` posts; the next one begins below it.

    candidates 2,000 ─ filter ─▶ ─ prune ─▶ 300 ─ enrich ─ rank ─▶ in order ─ page ─ hydrate ─▶ 20

Every page ranks its round anew, as of the session's beginning, and leaves out what the session has shown: a
score that moves between two pages can neither repeat a post nor skip one (decision 12).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.domain import hints, ranking, snowflake
from pipeline.domain.cursor import Cursor
from pipeline.domain.merge import EXHAUSTED, Candidate, Source, anything_below
from pipeline.query import hydrate
from pipeline.query.load import Load, Loaded
from pipeline.query.page import Item, Selected
from pipeline.query.plan import Plan

NARROW = 3
"""A page short of time ranks one candidate of so many."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """How to rank: the model, and the widths of the chain. `counted_ms`: how far back engagement counts."""

    ranker: ranking.Ranker
    candidates: int
    pruned: int
    frontier: int
    diversity: float
    counted_ms: int


async def select(load: Load, plan: Plan, loaded: Loaded, wanted: int, how: Ranking) -> Selected:
    """The items, and where the next page goes on; None at the end of the feed.

    A round of which nothing may be shown makes room for the next one, while there is time. Where there was no
    time for any post, the next page goes on where this round began.
    """
    place, read = plan.request.place, 0
    while True:
        made = await _round(load, plan, loaded, place, wanted, how)
        loaded, following = made.loaded, made.following
        read += sum(source.read for source in loaded.sources)
        made = replace(made, widths={"sources_read": read, **made.widths})
        if made.items or following is None:
            return made
        if loaded.cut:
            return replace(made, following=place, loaded=loaded.named("hydration"))
        place = following
        loaded = loaded.passed_over()._replace(sources=(), archived=False)


async def _round(
    load: Load, plan: Plan, loaded: Loaded, place: Cursor, wanted: int, how: Ranking
) -> Selected:
    """What a round has to show of what this session has not shown of it, and where to go on."""
    loaded = await load.opened(plan, loaded, place.below)
    loaded, affinity = await load.affinity(plan, loaded)
    sources, widths = _narrowed(loaded.sources, affinity, how.frontier, place.floor)
    loaded = loaded._replace(sources=sources)
    below = min(place.below, snowflake.first_id(place.as_of + 1))
    most = how.candidates * (2 if place.floor else 1)  # a round is as deep as it was, whatever came late
    loaded = await load.candidates(plan, loaded, below, most)
    if not (loaded.cut or loaded.candidates or plan.reader.followees or loaded.archived):
        loaded = await load.archive(plan, loaded)  # one's own, and nobody else's
        loaded = await load.candidates(plan, loaded, below, most)
    allowed: list[Candidate] = []
    if not loaded.cut:
        loaded, allowed = await load.allowed(plan, loaded)
    if loaded.cut:
        return Selected((), place, loaded, widths)
    candidates, floor = loaded.candidates, place.floor or _floor(plan, loaded)
    loaded, ranked, more = await _ranked(load, plan, loaded, allowed, affinity, how)
    widths |= more | {"candidates": len(candidates), "filtered": len(allowed), "ranked": len(ranked)}
    shown_before = set(place.shown)
    unseen = [one for one in ranked if one.post_id not in shown_before]
    loaded, shown, left = await hydrate.visible(load, plan, loaded, unseen, wanted, in_order=False)
    paths = {one.post_id: one for one in allowed}
    items = [Item(post, paths[one.post_id].path, one.score, one.parts) for one, post in shown]
    served = place.served + len(items)
    seen = (*place.shown, *(item.post.post_id for item in items))
    if left:
        following = Cursor("ranked", place.as_of, place.below, floor, served, seen)
    elif loaded.archived and floor == EXHAUSTED:
        following = None
    else:
        early = tuple(post_id for post_id in seen if post_id < floor)  # of a round that had another floor
        following = Cursor("ranked", place.as_of, floor, 0, served, early)
    return Selected(items, following, loaded, widths)


def _narrowed(
    sources: Sequence[Source], affinity: Mapping[int, int], most: int, floor: int
) -> tuple[list[Source], dict[str, int]]:
    """Keep the authors whom the reader is closest to, and of all sources what is inside the round; and how
    many there are, and were.
    """
    pulled = [source for source in sources if source.path == "pull"]
    pulled.sort(key=lambda one: (-affinity.get(one.author_id, 0), -one.horizon, one.author_id))
    kept = [*(source for source in sources if source.path != "pull"), *pulled[:most]]
    return [source.down_to(floor) for source in kept], {"frontier": len(kept), "frontier_of": len(sources)}


def _floor(plan: Plan, loaded: Loaded) -> int:
    """Where the round ends: at its last candidate, or where the window does, or all that was ever posted."""
    candidates = loaded.candidates
    if candidates and anything_below(loaded.sources, candidates[-1].post_id):
        return candidates[-1].post_id
    return EXHAUSTED if loaded.archived else plan.window_start


async def _ranked(
    load: Load,
    plan: Plan,
    loaded: Loaded,
    allowed: Sequence[Candidate],
    affinity: Mapping[int, int],
    how: Ranking,
) -> tuple[Loaded, list[ranking.Ranked], dict[str, int]]:
    """Features, the cheap cut, live counters, the order. A model that fails leaves the order of time."""
    as_of, widths = plan.request.place.as_of, {}
    negative = Counter({**plan.reader.hidden, **loaded.hidden}.values())
    features = [_features(one, as_of, affinity, negative) for one in allowed]
    keep = how.pruned
    if load.narrow(loaded):
        keep = max(keep // NARROW, plan.request.limit)
        loaded = loaded.named("narrow prune")
    try:
        kept = ranking.prune(features, how.ranker, keep, how.diversity)
        widths = {"pruned": len(kept)}
        since_ms = as_of - how.counted_ms
        loaded, counts = await load.engagement(loaded, [one.post_id for one in kept], since_ms)
        enriched = [one._replace(engagement=counts.get(one.post_id, 0)) for one in kept]
        return loaded, ranking.rank(enriched, how.ranker, how.diversity), widths
    except ranking.RankerError:
        order = [ranking.Ranked(one.post_id, one.author_id, 0.0, {}) for one in features[:keep]]
        return loaded.named("ranking"), order, widths


def _features(
    one: Candidate, as_of: int, affinity: Mapping[int, int], negative: Mapping[int, int]
) -> ranking.Features:
    known = hints.unpack(one.hints)
    return ranking.Features(
        one.post_id,
        one.author_id,
        max(as_of - snowflake.time_ms(one.post_id), 0) / 1000,
        *known,
        affinity.get(one.author_id, 0),
        negative.get(one.author_id, 0),
        engagement=0,
    )

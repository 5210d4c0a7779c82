"""Ranked: the best of a round first. A round is the newest `candidates` posts; the next one begins below it.

    candidates 2,000 ─ filter ─▶ ─ prune ─▶ 300 ─ enrich ─ rank ─▶ in order ─ page ─ hydrate ─▶ 20

Every page ranks its round anew, as of the session's beginning, and leaves out what the session has shown: a
score that moves between two pages can neither repeat a post nor skip one (decision 12).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.domain import hints, ranking, snowflake
from pipeline.domain.containment import READS, Kind
from pipeline.domain.cursor import Cursor
from pipeline.domain.merge import EXHAUSTED, STRIDE, Candidate
from pipeline.errors import Unavailable
from pipeline.query.fetch import PULLS_BY, Fetch
from pipeline.query.frontier import nearest
from pipeline.query.latest import path_of
from pipeline.query.page import Item, Session

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


async def page(fetch: Fetch, session: Session, wanted: int, how: Ranking) -> tuple[list[Item], Cursor | None]:
    """The items, and where the next page goes on; None at the end of the feed.

    A round of which nothing may be shown makes room for the next one, while there is time.
    """
    place, rounds = session.request.place, 0
    while True:
        try:
            items, following = await _round(fetch, session, place, wanted, how)
        except Unavailable:
            if not rounds:
                raise
            session.name("hydration")
            return [], place
        if items or following is None:
            return items, following
        if "hydration" in session.degraded:
            if not rounds:
                raise Unavailable(f"reader {session.reader.reader_id}: no post was fetched in time")
            return [], place
        place, rounds = following, rounds + 1
        session.passed_over()
        await fetch.again(session, place.below)


async def _round(
    fetch: Fetch, session: Session, place: Cursor, wanted: int, how: Ranking
) -> tuple[list[Item], Cursor | None]:
    """What a round has to show of what this session has not shown of it, and where to go on."""
    below = min(place.below, snowflake.first_id(place.as_of + 1))
    affinity = await fetch.affinity(session)
    _narrow(session, affinity, how.frontier, place.floor)
    most = how.candidates * (2 if place.floor else 1)  # a round is as deep as it was, whatever came late
    candidates = await fetch.collect(session, below, most)
    if not candidates and not session.reader.followees and not session.archived:
        await fetch.archive(session)  # one's own, and nobody else's
        candidates = await fetch.collect(session, below, most)
    floor = place.floor or _floor(session, candidates)
    some = await fetch.allowed(session, candidates)
    if some is None:
        raise Unavailable(f"reader {session.reader.reader_id}: what they have hidden did not come in time")
    allowed = {one.post_id: one for one in some}
    ranked = await _ranked(fetch, session, list(allowed.values()), affinity, how)
    shown = set(place.shown)
    unseen = [one for one in ranked if one.post_id not in shown]
    items, waiting = await _first_visible(fetch, session, unseen, allowed, wanted)
    session.widths |= {"candidates": len(candidates), "filtered": len(allowed), "ranked": len(ranked)}
    served = place.served + len(items)
    seen = (*place.shown, *(item.post.post_id for item in items))
    if waiting:
        return items, Cursor("ranked", place.as_of, place.below, floor, served, seen)
    if session.archived and floor == EXHAUSTED:
        return items, None
    early = tuple(post_id for post_id in seen if post_id < floor)  # of a round that had another floor
    return items, Cursor("ranked", place.as_of, floor, 0, served, early)


async def _first_visible(
    fetch: Fetch,
    session: Session,
    waiting: Sequence[ranking.Ranked],
    allowed: Mapping[int, Candidate],
    wanted: int,
) -> tuple[list[Item], list[ranking.Ranked]]:
    """The first so many that may be shown, and those whose turn has not come; more are fetched at a time when
    they come out thin.
    """
    items: list[Item] = []
    left, size = list(waiting), wanted
    while left and len(items) < wanted:
        chunk = left[:size]
        posts, whole = await fetch.posts(session, [one.post_id for one in chunk])
        late: list[ranking.Ranked] = []
        for place, one in enumerate(chunk):
            if len(items) == wanted:
                late += chunk[place:]
                break
            post = posts.get(one.post_id)
            if post is not None and session.reader.hides_post(post) is None:
                items.append(Item(post, path_of(allowed[one.post_id]), one.score, one.parts))
            elif post is None and not whole:
                late.append(one)
        left = late + left[size:]
        session.found = len(items)
        if not whole:
            break
        size *= STRIDE
    return items, left


def _narrow(session: Session, affinity: Mapping[int, int], most: int, floor: int) -> None:
    """Keep the authors whom the reader is closest to, and of all sources what is inside the round."""
    pulled = [source for source in session.sources if source.path == "pull"]
    others = [source for source in session.sources if source.path != "pull"]
    session.sources = [*others, *nearest(pulled, affinity, most)]
    session.widths |= {"frontier": len(session.sources), "frontier_of": len(pulled) + len(others)}
    for source in session.sources:
        source.lo = max(source.lo, floor)
        if source.horizon <= source.lo:
            source.horizon = EXHAUSTED


def _floor(session: Session, candidates: Sequence[Candidate]) -> int:
    """Where the round ends: at its last candidate, or where the window does, or all that was ever posted."""
    if candidates and session.anything_below(candidates[-1].post_id):
        return candidates[-1].post_id
    return EXHAUSTED if session.archived else session.window_start


async def _ranked(
    fetch: Fetch,
    session: Session,
    allowed: Sequence[Candidate],
    affinity: Mapping[int, int],
    how: Ranking,
) -> list[ranking.Ranked]:
    """Features, the cheap cut, live counters, the order. A model that fails leaves the order of time."""
    as_of = session.request.place.as_of
    negative: dict[int, int] = {}
    for author in {**session.reader.hidden, **session.hidden}.values():
        negative[author] = negative.get(author, 0) + 1
    features = [_features(one, as_of, affinity, negative) for one in allowed]
    keep = how.pruned
    narrow = fetch.contained(Kind.NARROW, READS)
    if narrow or session.deadline.left(PULLS_BY) == 0:
        keep = max(keep // NARROW, session.limit)
        session.name("narrow prune")
    try:
        kept = ranking.prune(features, how.ranker, keep, how.diversity)
        session.widths |= {"pruned": len(kept)}
        counts = (
            {}
            if narrow
            else await fetch.engagement(session, [one.post_id for one in kept], as_of - how.counted_ms)
        )
        enriched = [one._replace(engagement=counts.get(one.post_id, 0)) for one in kept]
        return ranking.rank(enriched, how.ranker, how.diversity)
    except ranking.RankerError:
        session.name("ranking")
        return [ranking.Ranked(one.post_id, one.author_id, 0.0, {}) for one in features[:keep]]


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

"""Who makes the work that is arriving: authors and regions by their share of a tier's new deliveries."""

from collections import Counter, defaultdict, deque
from typing import NamedTuple

from pipeline.domain.containment import Kind
from pipeline.domain.control import Hot

WINDOW_S = 30.0
"""How far back work counts as new: a burst shows at once, and is forgotten soon after it has ended."""

MAX_POSTS = 20_000
"""Posts remembered: the newest, when there are more in the window."""


class Arrival(NamedTuple):
    """A post that is pushed to so many readers, 0 when it is pulled, at a time (s)."""

    at_s: float
    tier: str
    author_id: int
    region: str
    deliveries: int


class Arrivals:
    """The posts of the last WINDOW_S seconds."""

    def __init__(self) -> None:
        self._posts: deque[Arrival] = deque(maxlen=MAX_POSTS)

    def add(self, arrival: Arrival) -> None:
        """A post was classified; one call at a time."""
        self._posts.append(arrival)

    def hot(self, now_s: float, least: float) -> list[Hot]:
        """Authors and regions with at least this share of a tier's new deliveries, the largest first.

        A region is only hot beside others: where all posts are of one region, pacing it would help nobody.
        """
        new = [one for one in list(self._posts) if one.at_s > now_s - WINDOW_S]
        totals: Counter[str] = Counter()
        authors: dict[str, Counter[str]] = defaultdict(Counter)
        regions: dict[str, Counter[str]] = defaultdict(Counter)
        for one in (each for each in new if each.deliveries):
            totals[one.tier] += one.deliveries
            authors[one.tier][str(one.author_id)] += one.deliveries
            if one.region:
                regions[one.tier][one.region] += one.deliveries
        found = [
            Hot(tier, kind, target, deliveries / totals[tier])
            for kind, by_tier in ((Kind.PULL, authors), (Kind.PACE, regions))
            for tier, counts in by_tier.items()
            for target, deliveries in counts.items()
            if deliveries >= least * totals[tier] and (kind is Kind.PULL or len(counts) > 1)
        ]
        return sorted(found, key=lambda one: (-one.share, one.tier, one.kind, one.target))

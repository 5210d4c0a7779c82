"""Tiers and their lag budgets: where a post's work goes, and when its age is too much.

Age is now minus the broker's time for the event behind the oldest unprocessed record. It needs no worker to
be alive, and a tier with nothing to do has age 0.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tier:
    """A fan-out tier takes authors below `max_followers` (None: all) and owes freshness within a budget."""

    name: str
    max_followers: int | None
    lag_budget_s: float


def tier_for(followers: int, tiers: Iterable[Tier]) -> Tier:
    """The first tier that takes an author of this size; the topology's last tier takes everyone."""
    return next(tier for tier in tiers if tier.max_followers is None or followers < tier.max_followers)


def age_s(oldest_origin_ms: int | None, now_ms: int) -> float:
    """Seconds since the broker had what the oldest unprocessed record is about; 0 when there is none."""
    return 0.0 if oldest_origin_ms is None else max(now_ms - oldest_origin_ms, 0) / 1000


def spent(age: float, lag_budget_s: float) -> float:
    """The share of the budget that the oldest record has used up; above 1 the budget is broken."""
    return age / lag_budget_s

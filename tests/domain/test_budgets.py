"""Tiers and their lag budgets."""

import pytest

from pipeline.domain.budgets import Tier, age_s, spent, tier_for

TIERS = [Tier("small", 1_000, 2.0), Tier("medium", 10_000, 5.0), Tier("large", None, 30.0)]


@pytest.mark.parametrize(
    ("followers", "tier"),
    [
        (0, "small"),
        (999, "small"),
        (1_000, "medium"),
        (1_001, "medium"),
        (9_999, "medium"),
        (10_000, "large"),
        (10**9, "large"),
    ],
)
def test_an_author_goes_to_the_first_tier_it_stays_below(followers, tier):
    """`max_followers` is exclusive, and the last tier takes everyone."""
    assert tier_for(followers, TIERS).name == tier


@pytest.mark.parametrize(
    ("oldest_ms", "seconds"), [(None, 0.0), (10_000, 2.5), (12_499, 0.001), (12_500, 0.0), (12_501, 0.0)]
)
def test_age_is_measured_from_the_publish(oldest_ms, seconds):
    """Nothing to do has age 0, and so has a record from a clock that is ahead."""
    assert age_s(oldest_ms, 12_500) == seconds


@pytest.mark.parametrize(("age", "share"), [(0.0, 0.0), (1.9, 0.95), (2.0, 1.0), (2.1, 1.05)])
def test_a_budget_is_broken_above_one(age, share):
    """At the budget it is all spent; beyond, more than all of it."""
    assert spent(age, 2.0) == pytest.approx(share)

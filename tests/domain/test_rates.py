"""A burst at once, a steady rate after it, and never more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.rates import Bucket, Rate, take

TWO_A_SECOND = Rate(2, 3)


def asked(times, rate):
    """By time, whether one who asks then is served."""
    bucket, served = None, []
    for now in times:
        bucket, wait = take(bucket, rate, now)
        served.append(not wait)
    return served


def test_a_burst_is_served_at_once_and_the_next_one_waits():
    """
    ::

        three at 0.0   served
        the fourth     waits half a second
    """
    assert asked([0, 0, 0, 0], TWO_A_SECOND) == [True, True, True, False]


@pytest.mark.parametrize(("now", "served"), [(10.49, False), (10.5, True), (10.51, True)])
def test_an_empty_bucket_fills_at_the_rate(now, served):
    """Two a second: one after half a second."""
    assert (take(Bucket(0, 10), TWO_A_SECOND, now)[1] == 0) == served


def test_who_is_refused_is_told_how_long_to_wait():
    """And the wait is enough, exactly."""
    bucket, wait = take(Bucket(0.5, 10), TWO_A_SECOND, 10)

    assert wait == 0.25
    assert take(bucket, TWO_A_SECOND, 10.25)[1] == 0


def test_a_refusal_costs_nothing():
    """Who asks a hundred times in vain waits no longer than who asks once."""
    bucket, wait = Bucket(0, 10), 0.0
    for _ in range(100):
        bucket, wait = take(bucket, TWO_A_SECOND, 10.2)

    assert wait == pytest.approx(0.3)


def test_a_clock_that_stands_or_goes_back_gives_nothing():
    """Not even when it comes back."""
    assert take(Bucket(0, 10), TWO_A_SECOND, 5)[1] == 0.5


def test_one_who_comes_late_does_not_fill_the_bucket_again():
    """Posts of now and of an hour ago in turns: the way back and forth is no time that passes."""
    assert asked([3600, 3600, 3600, 0, 3600, 0, 3600], TWO_A_SECOND) == [True] * 3 + [False] * 4


seconds = st.floats(0, 60, allow_nan=False)


@given(st.lists(seconds, min_size=1, max_size=60).map(sorted), st.floats(0.1, 50), st.integers(1, 20))
def test_no_span_of_time_serves_more_than_a_burst_and_its_share(times, per_second, burst):
    """Between any two served ones: at most what the burst and the time between allow."""
    outcome = asked(times, Rate(per_second, burst))
    served = [time for time, yes in zip(times, outcome, strict=True) if yes]

    for first in range(len(served)):
        for last in range(first, len(served)):
            assert last - first + 1 <= burst + (served[last] - served[first]) * per_second + 1e-6

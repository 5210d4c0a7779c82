"""When a worker that died is started again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.local.restarts import FIRST_PAUSE_S, MAX_PAUSE_S, STABLE, Restart, after_death


@pytest.mark.parametrize(
    ("deaths", "pause"),
    [(0, 0.2), (1, 0.4), (2, 0.8), (3, 1.6), (6, 12.8), (7, 25.6), (8, 30.0), (9, 30.0), (10_000, 30.0)],
)
def test_the_pause_doubles_up_to_30_s(deaths, pause):
    assert after_death(deaths, started=100.0, now=100.0) == Restart(deaths + 1, 100.0 + pause)


@pytest.mark.parametrize(("ran", "row"), [(0.0, 6), (59.9, 6), (60.0, 1), (3600.0, 1)])
def test_a_worker_that_ran_for_60_s_starts_a_new_row(ran, row):
    assert after_death(5, started=100.0, now=100.0 + ran).deaths == row


@given(st.integers(0, 100), st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_restart_is_never_at_once_and_never_far_away(deaths, started, ran):
    now = started + ran
    restart = after_death(deaths, started, now)

    assert now + FIRST_PAUSE_S <= restart.at <= now + MAX_PAUSE_S
    assert restart.deaths == (1 if now - started >= STABLE else deaths + 1)

"""Burn rates: good and bad minutes over windows, and the four alerts of the SRE Workbook."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.burn import WINDOWS_S, Freshness, alert, rates, restored
from pipeline.wire.records import Burn

MINUTE, HOUR, DAY = 60, 3_600, 86_400


def seen(*runs, start=0):
    """One look a minute: so many minutes, and whether they were bad."""
    made, at = Freshness(), start
    for minutes, bad in runs:
        for _ in range(minutes):
            made.saw(at, bad)
            at += MINUTE
    return made, at - MINUTE


def test_a_rate_is_the_share_of_bad_looks_over_the_share_that_is_allowed():
    made, now = seen((57, False), (3, True))

    assert made.share(HOUR, now) == pytest.approx(0.05)
    assert rates(made, 0.99, now)[:3] == (
        Burn(5 * MINUTE, pytest.approx(60)),
        Burn(30 * MINUTE, pytest.approx(10)),
        Burn(HOUR, pytest.approx(5)),
    )


def test_the_windows_are_those_of_the_workbook():
    assert WINDOWS_S == (5 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, DAY, 3 * DAY)


def test_a_window_of_which_less_than_half_was_seen_has_no_rate():
    """2 of 5 minutes are too little, 3 are enough; unknown is not 0."""
    assert seen((2, True))[0].share(5 * MINUTE, MINUTE) is None
    assert seen((3, True))[0].share(5 * MINUTE, 2 * MINUTE) == 1.0
    assert rates(Freshness(), 0.99, 0) == tuple(Burn(window, None) for window in WINDOWS_S)


def test_minutes_nobody_saw_are_neither_good_nor_bad():
    """Three of five seen, and one of them bad."""
    made = Freshness()
    for minute, bad in ((0, False), (2, True), (4, False)):
        made.saw(minute * MINUTE, bad)

    assert made.share(5 * MINUTE, 4 * MINUTE) == pytest.approx(1 / 3)
    assert made.share(5 * MINUTE, 5 * MINUTE) is None


def burning(**by_window):
    """Rates by window name, in hours or minutes; the others are unknown."""
    return [
        Burn(int(name[1:]) * {"m": MINUTE, "h": HOUR, "d": DAY}[name[0]], rate)
        for name, rate in by_window.items()
    ]


@pytest.mark.parametrize(
    ("burn", "raised"),
    [
        ({"m5": 14.4, "h1": 14.4}, ""),
        ({"m5": 14.5, "h1": 14.5}, "page"),
        ({"m5": 14.5, "h1": 14.4}, ""),
        ({"m5": 0.0, "h1": 99.0}, ""),
        ({"m5": None, "h1": 99.0}, ""),
        ({"m30": 6.1, "h6": 6.1}, "page"),
        ({"m30": 6.0, "h6": 6.1}, ""),
        ({"h2": 3.1, "d1": 3.1}, "ticket"),
        ({"h2": 3.1, "d1": 3.0}, ""),
        ({"h6": 1.1, "d3": 1.1}, "ticket"),
        ({"h6": 1.1, "d3": 1.0}, ""),
        ({"h6": 1.1, "d3": 1.1, "m30": 6.1}, "ticket"),
        ({"h6": 6.1, "d3": 6.1, "m30": 6.1}, "page"),
        ({}, ""),
    ],
)
def test_an_alert_needs_both_windows_of_a_pair(burn, raised):
    assert alert(burning(**burn)) == raised


def test_ten_bad_minutes_page_and_six_good_ones_end_it():
    """At 99 %: 9 of 60 minutes are a rate of 15, and the short window forgets within its 5 minutes."""
    late, now = seen((51, False), (9, True))
    over, then = seen((51, False), (9, True), (5, False))

    assert alert(rates(late, 0.99, now)) == "page"
    assert alert(rates(over, 0.99, then)) == ""


runs = st.lists(
    st.tuples(st.integers(1, 3 * 24 * 60), st.sampled_from([True, False, None])), min_size=1, max_size=4
)


@given(runs, st.integers(0, 10_000), st.sampled_from(WINDOWS_S))
def test_the_share_is_that_of_the_looks_of_the_window(history, start, window_s):
    """Against a list of all looks: those of the present minute and of the minutes before it. None: no look."""
    made, minute, looks = Freshness(), start, []
    for minutes, bad in history:
        for _ in range(minutes):
            minute += 1
            if bad is not None:
                made.saw(minute * MINUTE + 59, bad)
                looks.append((minute, bad))

    inside = [(at, bad) for at, bad in looks if at > minute - window_s // MINUTE]
    enough = len(inside) * 2 >= window_s // MINUTE
    share = made.share(window_s, minute * MINUTE)

    assert share == (pytest.approx(sum(bad for _, bad in inside) / len(inside)) if enough else None)
    assert len(made._minutes) <= 3 * 24 * 60


@given(st.lists(st.tuples(st.integers(1, 2_000), st.booleans()), min_size=1, max_size=6))
def test_a_successor_goes_on_from_the_rates_it_was_left(history):
    """All rates are as they were, as long as something was known of the whole window."""
    made, now = seen((3 * 24 * 60, False), *history, start=17)
    before = rates(made, 0.99, now)

    after = rates(restored(before, 0.99, now), 0.99, now)

    assert [one.rate for one in after] == pytest.approx([one.rate for one in before], abs=1e-6)


def test_a_successor_knows_no_more_than_it_was_left():
    """20 minutes were seen: enough for half an hour, and not for an hour, however often the work is handed on."""
    made, now = seen((10, False), (10, True))
    for _ in range(5):
        made = restored(rates(made, 0.99, now), 0.99, now)

    assert [one.rate is None for one in rates(made, 0.99, now)] == [False] * 2 + [True] * 5

"""Burrow's words for a partition. In the pictures a column is a second: where the group is, and its lag."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.lag_status import CommitWindow, LagSample, Status, judge, of_group, worst


def window(*looks):
    made = CommitWindow()
    for look in looks:
        made = made.add(look)
    return made


def looks(committed, lags, at=0):
    """A look a second."""
    return [
        LagSample(at + second, place, None if lag is None else (place or 0) + lag, lag)
        for second, (place, lag) in enumerate(zip(committed, lags, strict=True))
    ]


def word(committed, lags, later=0.0):
    """The word at the last look, or so many seconds later."""
    return judge(window(*looks(committed, lags)), len(lags) - 1 + later)


def test_nothing_to_do_is_ok():
    assert word([5], [0]) == "OK"
    assert word([None], [0]) == "OK"


def test_who_was_done_in_the_window_is_ok():
    assert word([1, 2, 3, 4], [0, 3, 4, 9]) == "OK"


def test_what_was_done_before_the_window_does_not_count():
    """Ten commits later the lag of 0 is out of the window; one before, it is in."""
    committed, lags = range(11), [0, *range(1, 11)]

    assert word(committed[:10], lags[:10]) == "OK"
    assert word(committed, lags) == "WARN"


def test_lag_that_never_fell_in_ten_commits_is_a_warning():
    assert word(range(10), [5] * 10) == "WARN"
    assert word(range(10), [5, 5, 5, 5, 6, 5, 6, 7, 8, 9]) == "OK"


def test_until_the_window_is_full_nobody_can_say():
    assert word(range(9), [5] * 9) == "UNKNOWN"
    assert judge(CommitWindow(said=Status.STOP).add(LagSample(0, 5, 7, 2)), 1) == "STOP"


def test_a_group_that_went_back_is_told():
    assert word([5, 6, 3, 4], [5, 4, 9, 8]) == "REWIND"
    assert word([5, None, 4], [5, 10, 6]) == "REWIND"


def test_a_group_that_commits_no_more_has_stopped():
    """10 s without a commit are not yet too many.

    committed 0 1 2 3 3 3 3 … 3
    lag       9 9 9 9 9 9 9 … 9
    second    0     3         13
    """
    stopped = [0, 1, 2, *[3] * 11]

    assert word(stopped, [9] * 14) == "WARN"
    assert word([*stopped, 3], [9] * 15) == "STOP"
    assert word(stopped, [9] * 14, later=0.1) == "STOP"


def test_a_group_that_commits_every_20_s_has_40_s_after_three_commits():
    seen = window(*(LagSample(at, place, place + 9, 9) for at, place in ((0, 0), (20, 1), (40, 2))))

    assert judge(seen, 80) == "WARN"
    assert judge(seen, 80.1) == "STOP"


def test_a_group_that_never_moved_while_it_was_watched_stalls():
    assert word([None] * 11, [4] * 11) == "WARN"
    assert word([None] * 12, [4] * 12) == "STALL"


def test_a_dead_worker_does_not_stay_ok_for_having_been_done_once():
    """The window still holds a lag of 0; nobody has worked since."""
    dead = [
        LagSample(0, 1, 1, 0),
        LagSample(1, 2, 2, 0),
        *(LagSample(at, 2, 102, 100) for at in range(2, 13)),
    ]

    assert judge(window(*dead), 12) == "OK"
    assert judge(window(*dead), 13) == "STOP"


def test_retention_that_takes_the_rest_gives_a_group_new_time():
    """It commits nothing then; from the next record on it has all its time again."""
    seen = [
        *looks([3, *[4] * 9], [9] * 10),
        LagSample(10, 4, 13, 0),
        *(LagSample(at, 4, 20, 7) for at in range(11, 15)),
    ]

    assert judge(window(*seen), 14) == "OK"


def test_a_quiet_topic_neither_hides_a_dead_worker_nor_accuses_a_live_one():
    """One record an hour: the commits of the window took hours, but no time during which lag stood."""
    hourly = [LagSample(3600 * hour, hour, hour, 0) for hour in range(5)]
    asleep = [*hourly, LagSample(7 * 3600, 4, 5, 1)]

    assert judge(window(*asleep), 7 * 3600) == "OK"
    assert judge(window(*asleep, LagSample(7 * 3600 + 11, 4, 5, 1)), 7 * 3600 + 11) == "STOP"


def test_what_waits_on_purpose_is_given_its_time():
    waiting = window(LagSample(0, 3, 5, 2))

    assert judge(waiting, 300, patience_s=300) == "WARN"
    assert judge(waiting, 301, patience_s=300) == "STALL"


def test_what_is_not_known_is_unknown_and_leaves_what_was_seen_alone():
    known = looks(range(10), [5] * 10)

    assert judge(CommitWindow(), 0) == "UNKNOWN"
    assert judge(window(*known, LagSample(10, None, None, None)), 10) == "UNKNOWN"
    assert judge(window(*known, LagSample(10, None, None, None), LagSample(11, 10, 16, 6)), 11) == "WARN"


def test_time_in_which_nothing_was_known_is_not_held_against_anybody():
    blind = [*looks([1, 2], [9, 9]), LagSample(2, None, None, None), LagSample(500, 2, 11, 9)]

    assert judge(window(*blind), 500) == "UNKNOWN"


def test_a_topic_that_was_made_anew_has_gone_nowhere_back():
    before = looks(range(50, 60), [5] * 10)

    assert judge(window(*before, LagSample(10, 0, 3, 3)), 10) == "UNKNOWN"
    assert judge(window(*before, LagSample(10, 0, 64, 64)), 10) == "REWIND"


@pytest.mark.parametrize(
    ("partitions", "group"),
    [
        ([], "UNKNOWN"),
        (["OK", "OK"], "OK"),
        (["OK", "UNKNOWN"], "UNKNOWN"),
        (["UNKNOWN", "WARN", "OK"], "WARN"),
        (["STALL", "UNKNOWN", "WARN"], "STALL"),
        (["STALL", "STOP"], "STOP"),
        (["STOP", "REWIND", "UNKNOWN"], "REWIND"),
    ],
)
def test_a_group_takes_the_word_of_its_worst_partition(partitions, group):
    assert worst(map(Status, partitions)) == group


def by_the_book(history, now_s, patience_s):
    """The rules read off the whole history, second by second, with nothing carried over."""
    anew = max((n for n in range(1, len(history)) if _went_back(history, n)), default=0)
    history = history[anew:]
    known = [look for look in history if look.lag is not None]
    if not history or history[-1].lag is None:
        return "UNKNOWN"
    commits = [n for n, look in enumerate(known) if n == 0 or look.committed != known[n - 1].committed][-10:]
    inside = known[commits[0] :]
    if inside[-1].lag == 0:
        return "OK"

    def stood(start, until):
        """Seconds of lag between two times."""
        pairs = [*pairwise(history), (history[-1], LagSample(now_s, 0, 0, history[-1].lag))]
        return sum(
            two.at_s - one.at_s
            for one, two in pairs
            if one.lag and two.lag is not None and one.at_s >= start and two.at_s <= until
        )

    moved = known[commits[-1]].at_s
    quiet_since = max([moved, *(look.at_s for look in inside if look.lag == 0)])
    ceased = stood(quiet_since, now_s) > max(stood(known[commits[0]].at_s, moved), patience_s)
    zero = any(look.lag == 0 for look in inside)
    places = [known[n].committed or 0 for n in commits]
    lags = [*(known[n].lag for n in commits), inside[-1].lag]
    if zero and not ceased:
        return "OK"
    if places != sorted(places):
        return "REWIND"
    if ceased:
        return "STOP" if len(commits) > 1 else "STALL"
    if lags != sorted(lags):
        return "OK"
    enough = len(commits) == 10 or stood(known[commits[0]].at_s, now_s) >= patience_s
    return "WARN" if enough else "UNKNOWN"


def _went_back(history, n):
    """Whether the end at this look is before the one known then."""
    before = [look.end for look in history[:n] if look.end is not None]
    return history[n].end is not None and bool(before) and history[n].end < before[-1]


steps = st.lists(
    st.tuples(
        st.sampled_from([1, 1, 1, 2, 30]),  # seconds since the look before
        st.sampled_from([0, 0, 1, 1, 1, 2, 5, -1, -30, None]),  # records it went on; None: never committed
        st.sampled_from([0, 0, 1, 1, 2, 3, 50, None, None]),  # lag; None: unknown
    ),
    max_size=40,
)


@given(steps, st.integers(0, 40), st.sampled_from([3, 10, 60]))
def test_the_window_says_what_the_whole_history_does(history, later, patience_s):
    at, place, seen = 0, 30, []
    for seconds, on, lag in history:
        at, place = at + seconds, max(place + (on or 0), 0)
        committed = None if on is None else place
        seen.append(
            LagSample(at, committed, None, None)
            if lag is None
            else LagSample(at, committed, place + lag, lag)
        )

    now = at + later

    assert judge(window(*seen), now, patience_s) == by_the_book(seen, now, patience_s)


@given(st.lists(st.sampled_from(Status)), st.sampled_from([None, 0, 1, 7]))
def test_a_group_without_a_live_worker_is_never_ok(partitions, workers):
    """Whatever its lags are; else it has the word of its worst partition."""
    assert of_group(partitions, workers) == (Status.STOP if workers == 0 else worst(partitions))

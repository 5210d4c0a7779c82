"""The class of an author, and the history in which both paths look posts up."""

import itertools
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.policy import Thresholds, class_of, classify, is_plain_push, prune, route_for
from pipeline.records import AuthorClass, RouteEntry, RouteRecord
from tests.domain.examples import at_least

PUSH, PARTIAL, PULL = AuthorClass.PUSH, AuthorClass.PARTIAL, AuthorClass.PULL
SHIPPED = Thresholds(100_000, 5_000_000, 0.2)
SMALL = Thresholds(10, 20, 0.2)


@pytest.mark.parametrize(
    ("current", "followers", "wanted"),
    [
        (PUSH, 99_999, PUSH),
        (PUSH, 100_000, PARTIAL),
        (PUSH, 4_999_999, PARTIAL),
        (PUSH, 5_000_000, PULL),
        (PARTIAL, 4_999_999, PARTIAL),
        (PARTIAL, 5_000_000, PULL),
        (PARTIAL, 80_000, PARTIAL),
        (PARTIAL, 79_999, PUSH),
        (PULL, 4_000_000, PULL),
        (PULL, 3_999_999, PARTIAL),
        (PULL, 80_000, PARTIAL),
        (PULL, 79_999, PUSH),
    ],
)
def test_a_class_is_left_downwards_only_twenty_per_cent_below(current, followers, wanted):
    """Upwards at the threshold, downwards below four fifths of it."""
    assert classify(followers, current, SHIPPED) is wanted


@given(
    st.integers(0, 150),
    st.sampled_from(AuthorClass),
    st.integers(1, 100),
    st.integers(1, 100),
    st.integers(0, 99),
)
def test_hysteresis_is_exact_for_any_thresholds(followers, current, push_below, more, hundredths):
    """Also where the threshold times the slack is no whole number."""
    thresholds = Thresholds(push_below, push_below + more, hundredths / 100)

    slack = 1 - Fraction(hundredths, 100)
    partial_from = push_below if current is PUSH else push_below * slack
    pull_from = thresholds.pull_above * (slack if current is PULL else 1)
    wanted = PULL if followers >= pull_from else PARTIAL if followers >= partial_from else PUSH
    assert classify(followers, current, thresholds) is wanted


@given(st.lists(st.integers(80, 99), min_size=1), st.sampled_from([PUSH, PARTIAL]))
def test_inside_the_hysteresis_a_class_stays(counts, current):
    """An author who wavers just below a threshold does not switch with every follower."""
    for followers in counts:
        assert classify(followers, current, Thresholds(100, 1_000, 0.2)) is current


ENTRIES = (RouteEntry(100, PARTIAL, ""), RouteEntry(200, PULL, ""), RouteEntry(300, PUSH, ""))


@pytest.mark.parametrize(
    ("post", "wanted"),
    [
        (0, PUSH),
        (99, PUSH),
        (100, PARTIAL),
        (199, PARTIAL),
        (200, PULL),
        (299, PULL),
        (300, PUSH),
        (10**18, PUSH),
    ],
)
def test_the_class_of_a_post_is_that_of_the_newest_entry_at_or_before_it(post, wanted):
    """Plain push before the first one."""
    assert class_of(post, ENTRIES) is wanted


@pytest.mark.parametrize(("post", "changes"), [(499, False), (500, False), (501, True)])
def test_only_a_post_newer_than_any_before_can_add_an_entry(post, changes):
    """A late or replayed post finds the record as it is."""
    record = RouteRecord(1, (), 500)

    found = route_for(post, record, 10, SMALL, 0)

    assert (found != record) == changes
    assert found.entries == ((replace(found.entries[0], since_post_id=501),) if changes else ())


def test_an_entry_says_why():
    """The followers and both thresholds, as they were."""
    (entry,) = route_for(501, RouteRecord(1, (), 500), 10, SMALL, 0).entries

    assert entry.reason == "10 followers, push below 10, pull from 20"


def test_a_newer_post_of_the_same_class_only_moves_the_newest_id():
    """No entry where nothing changed."""
    record = RouteRecord(1, (RouteEntry(100, PARTIAL, ""),), 500)

    assert route_for(501, record, 12, SMALL, 0) == replace(record, latest_post_id=501)


@pytest.mark.parametrize(
    ("window_start", "kept"),
    [
        (99, [100, 200, 300]),
        (100, [100, 200, 300]),
        (199, [100, 200, 300]),
        (200, [200, 300]),
        (299, [200, 300]),
    ],
)
def test_pruning_keeps_the_entry_in_force_at_the_windows_start(window_start, kept):
    """
    ::

        entries   100 partial   200 pull   300 push
        window            199 ▲  ▲ 200: the partial spell is over for every post that can be asked for
    """
    assert [entry.since_post_id for entry in prune(ENTRIES, window_start)] == kept


@pytest.mark.parametrize(("window_start", "plain"), [(299, False), (300, True), (301, True)])
def test_an_author_who_is_push_in_the_whole_window_has_no_entries(window_start, plain):
    """A lone leading push says nothing; while a pull is in the window, the push after it must stay."""
    assert is_plain_push(prune(ENTRIES, window_start)) is plain


@given(st.lists(st.tuples(st.integers(1, 60), st.sampled_from(AuthorClass)), max_size=8), st.integers(0, 70))
def test_pruning_changes_the_class_of_no_post_in_the_window(changes, window_start):
    """Pruned twice is pruned once, too."""
    entries = tuple(RouteEntry(since, kind, "") for since, kind in sorted(dict(changes).items()))

    pruned = prune(entries, window_start)

    assert prune(pruned, window_start) == pruned
    for post in range(window_start, 72):
        assert class_of(post, pruned) is class_of(post, entries)


posts = st.lists(st.tuples(st.integers(1, 200), st.integers(0, 30)), min_size=1, max_size=40)


@at_least(1_000)
@given(posts, st.integers(0, 40), st.data())
def test_a_post_keeps_the_class_it_was_given_when_first_seen(stream, window, data):
    """In any later state, after replays in any order and with other follower counts, while it is in the window."""
    record, given_class, newest = RouteRecord(1, (), 0), {}, 0

    def see(post, followers):
        nonlocal record, newest
        newest = max(newest, post)
        record = route_for(post, record, followers, SMALL, max(newest - window, 0))
        found = class_of(post, record.entries)
        return given_class.setdefault(post, found), found

    for post, followers in stream:
        see(post, followers)
        again = data.draw(st.lists(st.sampled_from(sorted(given_class)), max_size=3), label="replayed")
        for old in again:
            first, now = see(old, data.draw(st.integers(0, 30), label="followers by then"))
            assert first is now or old < newest - window

    for post, first in given_class.items():
        assert class_of(post, record.entries) is first or post < newest - window


@given(posts)
def test_entries_are_in_order_and_each_changes_the_class(stream):
    """So a history is as short as it can be."""
    record = RouteRecord(1, (), 0)
    for post, followers in stream:
        record = route_for(post, record, followers, SMALL, 0)

    since = [entry.since_post_id for entry in record.entries]
    kinds = [PUSH, *(entry.author_class for entry in record.entries)]
    assert since == sorted(set(since))
    assert all(a is not b for a, b in itertools.pairwise(kinds))
    assert record.latest_post_id == max(post for post, _ in stream)

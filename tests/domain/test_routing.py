"""The class of an author, and the history in which both paths look posts up."""

import itertools
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.containment import Contained
from pipeline.domain.cost import Costs
from pipeline.domain.routing import (
    MAX_ENTRIES,
    Cause,
    Influences,
    Thresholds,
    cause_of,
    choose,
    class_of,
    classify,
    collapse,
    is_plain_push,
    prune,
    route_for,
)
from pipeline.domain.snowflake import first_id
from pipeline.wire.records import AuthorClass, ForcedClass, RouteEntry, RouteRecord
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

    found = route_for(post, record, 10, SMALL, 0, 0)

    assert (found != record) == changes
    assert found.entries == ((replace(found.entries[0], since_post_id=501),) if changes else ())


def test_an_entry_says_why():
    """The followers and both thresholds, as they were."""
    (entry,) = route_for(501, RouteRecord(1, (), 500), 10, SMALL, 0, 0).entries

    assert entry.reason == "10 followers, push below 10, pull from 20"


def test_a_newer_post_of_the_same_class_only_moves_the_newest_id():
    """No entry where nothing changed."""
    record = RouteRecord(1, (RouteEntry(100, PARTIAL, ""),), 500)

    assert route_for(501, record, 12, SMALL, 0, 0) == replace(record, latest_post_id=501)


@pytest.mark.parametrize(
    ("oldest", "kept"),
    [
        (99, [100, 200, 300]),
        (100, [100, 200, 300]),
        (199, [100, 200, 300]),
        (200, [200, 300]),
        (299, [200, 300]),
    ],
)
def test_pruning_keeps_the_entry_in_force_at_the_oldest_post_asked_for(oldest, kept):
    """
    ::

        entries   100 partial   200 pull   300 push
        oldest            199 ▲  ▲ 200: the partial spell is over for every post that can be asked for
    """
    assert [entry.since_post_id for entry in prune(ENTRIES, oldest)] == kept


@pytest.mark.parametrize(("oldest", "plain"), [(299, False), (300, True), (301, True)])
def test_an_author_who_is_push_from_the_oldest_post_on_has_no_entries(oldest, plain):
    """A lone leading push says nothing; while a pull is asked for, the push after it must stay."""
    assert is_plain_push(prune(ENTRIES, oldest)) is plain


@given(st.lists(st.tuples(st.integers(1, 60), st.sampled_from(AuthorClass)), max_size=8), st.integers(0, 70))
def test_pruning_changes_the_class_of_no_post_that_is_asked_for(changes, oldest):
    """Pruned twice is pruned once, too."""
    entries = tuple(RouteEntry(since, kind, "") for since, kind in sorted(dict(changes).items()))

    pruned = prune(entries, oldest)

    assert prune(pruned, oldest) == pruned
    for post in range(oldest, 72):
        assert class_of(post, pruned) is class_of(post, entries)


posts = st.lists(st.tuples(st.integers(1, 200), st.integers(0, 30)), min_size=1, max_size=40)


@at_least(1_000)
@given(posts, st.integers(0, 40), st.data())
def test_a_post_keeps_the_class_it_was_given_when_first_seen(stream, kept, data):
    """In any later state, after replays in any order and with other follower counts, while it is kept."""
    record, given_class, newest = RouteRecord(1, (), 0), {}, 0

    def see(post, followers):
        nonlocal record, newest
        newest = max(newest, post)
        record = route_for(post, record, followers, SMALL, newest, max(newest - kept, 0))
        found = class_of(post, record.entries)
        return given_class.setdefault(post, found), found

    for post, followers in stream:
        see(post, followers)
        again = data.draw(st.lists(st.sampled_from(sorted(given_class)), max_size=3), label="replayed")
        for old in again:
            first, now = see(old, data.draw(st.integers(0, 30), label="followers by then"))
            assert first is now or old < newest - kept

    for post, first in given_class.items():
        assert class_of(post, record.entries) is first or post < newest - kept


@given(posts)
def test_entries_are_in_order_and_each_changes_the_class(stream):
    """So a history is as short as it can be."""
    record = RouteRecord(1, (), 0)
    for post, followers in stream:
        record = route_for(post, record, followers, SMALL, 0, 0)

    since = [entry.since_post_id for entry in record.entries]
    kinds = [PUSH, *(entry.author_class for entry in record.entries)]
    assert since == sorted(set(since))
    assert all(a is not b for a, b in itertools.pairwise(kinds))
    assert record.latest_post_id == max(post for post, _ in stream)


T0, DAY = 1_700_000_000_000, 86_400_000
DEAR_PUSH = Costs(row_s=1.0, pull_s=1e-6, reads_s=1e-6)
DEAR_PULL = Costs(row_s=1e-6, pull_s=1.0, reads_s=1.0)


def forced(author_class, reason="because"):
    return ForcedClass(1, author_class, reason, T0)


class Author:
    """An author of so many followers, who posts once a second; the window is 30 days."""

    def __init__(self, thresholds=SMALL):
        self.record, self.now, self.thresholds = RouteRecord(1, (), 0), T0, thresholds

    def post(self, followers, **influences):
        """A post a second later: its class, and what decided it if that made an entry."""
        self.now += 1_000
        before = self.record.entries
        self.record = route_for(
            first_id(self.now),
            self.record,
            followers,
            self.thresholds,
            first_id(self.now - 30 * DAY),
            first_id(self.now - 31 * DAY),
            Influences(**influences),
        )
        new = self.record.entries[-1:] if self.record.entries[: len(before)] != self.record.entries else ()
        return class_of(first_id(self.now), self.record.entries), [str(cause_of(entry)) for entry in new]


LATE = Contained(PULL, "late")

RANKS = {
    "forced": {"forced": forced(PARTIAL)},
    "contained": {"contained": Contained(PULL, "shed small: 40 s behind")},
    "cost": {"costs": DEAR_PUSH},
}


@pytest.mark.parametrize(
    ("present", "wanted", "cause"),
    [
        (["forced", "contained", "cost"], PARTIAL, "forced"),
        (["contained", "cost"], PULL, "contained"),
        (["forced", "cost"], PARTIAL, "forced"),
        (["cost"], PULL, "cost"),
    ],
)
def test_the_strongest_that_has_something_to_say_decides(present, wanted, cause):
    """An operator, then what is contained, then costs, then followers."""
    author = Author()
    author.post(5)

    influences = {name: value for one in present for name, value in RANKS[one].items()}

    assert author.post(5, **influences) == (wanted, [cause])
    assert author.post(5) == (PUSH, ["followers"])


@pytest.mark.parametrize(
    ("influences", "reason"),
    [
        ({"forced": forced(PULL, "launch party")}, "forced: launch party"),
        ({"forced": forced(PULL, "")}, "forced: by an operator"),
        ({"contained": Contained(PULL, "shed small: 40 s behind")}, "contained: shed small: 40 s behind"),
        (
            {"costs": DEAR_PUSH},
            "cost: pushing to 5 readers takes 5 s of work, pulling 5e-12 s (13 reads, each shared by 2.59e+06 posts)",
        ),
        ({}, "10 followers, push below 10, pull from 20"),
    ],
)
def test_a_reason_is_in_words_and_says_its_cause_first(influences, reason):
    author = Author()
    author.post(5)

    author.post(5 if influences else 10, **influences)

    assert author.record.entries[-1].reason == reason


@pytest.mark.parametrize("followers", [5, 15, 25])
@pytest.mark.parametrize("most", [PUSH, PARTIAL, PULL])
def test_containment_pushes_less_and_never_more(followers, most):
    """Thresholds are 10 and 20 here."""
    author = Author()
    by_followers, _ = author.post(followers)

    found, _ = author.post(followers, contained=Contained(most, "because"))

    order = [PUSH, PARTIAL, PULL]
    assert found is max(by_followers, most, key=order.index)


def test_a_single_post_falls_back_to_pull_and_the_next_goes_back():
    """An entry each way, however often."""
    author = Author()
    author.post(5)

    for _ in range(3):
        assert author.post(5, costs=DEAR_PUSH) == (PULL, ["cost"])
        assert author.post(5, costs=DEAR_PULL) == (PUSH, ["followers"])


def test_while_pulling_stays_cheaper_the_author_stays_pulled():
    author = Author()
    author.post(5)

    assert author.post(5, costs=DEAR_PUSH) == (PULL, ["cost"])
    assert author.post(5, costs=DEAR_PUSH) == (PULL, [])


@pytest.mark.parametrize(
    ("pull_s", "first", "then"), [(0.82, PULL, PULL), (1.2, PUSH, PULL), (1.3, PUSH, PUSH)]
)
def test_the_cost_model_has_a_hysteresis(pull_s, first, then):
    """Against 1 s of pushing: pulled below 1/1.2 s of pulling, and then until pulling costs 1/0.8 s."""
    fresh, pulled = Author(), Author()
    for author in (fresh, pulled):
        author.post(5)
    pulled.post(5, costs=DEAR_PUSH)
    costs = Costs(row_s=1.0, pull_s=pull_s, reads_s=1.0)  # a post a second: one read a post and reader

    assert fresh.post(5, costs=costs)[0] is first
    assert pulled.post(5, costs=costs)[0] is then


@pytest.mark.parametrize(("followers", "wanted"), [(4, PUSH), (5, PULL)])
def test_small_authors_are_never_affected_by_costs(followers, wanted):
    """From the floor on they are."""
    author = Author(replace(SMALL, cost_floor=5))
    author.post(followers)

    assert author.post(followers, costs=DEAR_PUSH)[0] is wanted


def test_costs_say_nothing_of_a_first_post_nor_of_authors_that_are_not_push():
    """Nobody knows how often the one posts; the other is for warm edges to decide."""
    assert Author().post(5, costs=DEAR_PUSH) == (PUSH, [])
    author = Author()
    author.post(15)
    assert author.post(15, costs=DEAR_PUSH) == (PARTIAL, [])


def test_a_spell_of_pull_for_another_cause_leaves_the_hysteresis_of_followers_alone():
    """Nine followers are push below ten; as if it were a pull author they would stay above eight."""
    for influences in ({"costs": DEAR_PUSH}, {"forced": forced(PULL)}, {"contained": LATE}):
        author = Author()
        author.post(9)
        author.post(9, **influences)

        assert author.post(9)[0] is PUSH


def test_a_forced_class_outlives_any_number_of_followers_and_its_release_goes_back():
    author = Author()
    author.post(5)

    assert author.post(5, forced=forced(PULL)) == (PULL, ["forced"])
    assert author.post(1, forced=forced(PULL)) == (PULL, [])
    assert author.post(15) == (PARTIAL, ["followers"])
    assert author.post(500, forced=forced(PUSH)) == (PUSH, ["forced"])


def test_shedding_leaves_those_who_are_pulled_anyway_alone():
    author = Author()

    author.post(25, contained=LATE)

    assert cause_of(author.record.entries[-1]) is Cause.FOLLOWERS


@given(
    st.integers(0, 30),
    st.none() | st.sampled_from(AuthorClass),
    st.booleans(),
    st.sampled_from([None, DEAR_PUSH, DEAR_PULL]),
    st.lists(st.sampled_from(AuthorClass), max_size=4),
)
def test_a_choice_depends_on_rank_alone(followers, force, shed, costs, history):
    """Whatever stands below the strongest voice changes nothing."""
    entries = tuple(RouteEntry(first_id(T0) + n, kind, "5 followers") for n, kind in enumerate(history))
    record = RouteRecord(1, entries, first_id(T0) + 9)
    said = Influences(force and forced(force), LATE if shed else None, costs)

    found = choose(first_id(T0 + 1_000), record, followers, SMALL, first_id(T0 - DAY), said)

    own = classify(followers, entries[-1].author_class if entries else PUSH, SMALL)
    if force:
        assert found.author_class is force
    elif shed:
        assert found.author_class is PULL
    elif own is PUSH and costs is DEAR_PUSH:
        assert found.author_class is (PULL if followers else PUSH)
    else:
        assert found.author_class is own


@pytest.mark.parametrize("most", [2, 3, 128])
def test_a_history_is_collapsed_once_it_is_too_long(most):
    """At the limit it is left alone; one above, its older half is one pull from where it began."""
    full = tuple(RouteEntry(10 * n, (PARTIAL, PUSH)[n % 2], "") for n in range(1, most + 2))

    assert collapse(full[:-1], most) == full[:-1]
    first, *rest = collapse(full, most)
    assert (first.since_post_id, first.author_class, cause_of(first)) == (10, PULL, Cause.COLLAPSED)
    assert tuple(rest) == full[-(most // 2) :]


def test_a_history_stays_bounded_whatever_happens():
    """A thousand changes of mind inside the window."""
    author = Author()
    for n in range(1_000):
        assert author.post(5, forced=forced([PULL, PUSH][n % 2]))[0] is [PULL, PUSH][n % 2]
        assert len(author.record.entries) <= MAX_ENTRIES
    assert len(author.record.entries) > MAX_ENTRIES // 2

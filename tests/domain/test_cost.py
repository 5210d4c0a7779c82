"""Pushed or pulled, by cost: the formulas of the design, and what they are made of."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.cost import COLD, Comparison, Costs, Mean, compare, measured, news, pull_is_cheaper
from pipeline.wire.records import CostSample

DAY_MS = 86_400_000
COSTS = Costs(row_s=20e-6, pull_s=2e-3, reads_s=1 / 600)


def samples(**values):
    return [CostSample(name.replace("__", "@"), value, 0) for name, value in values.items()]


def test_a_lone_post_is_cheaper_pushed_and_one_of_a_burst_cheaper_pulled():
    """
    ::

        10,000 readers, a page each 10 minutes, 30 days: 43.2 M reads of 2 ms, whatever the author posts
        a post a day      30 posts share them: 2,880 s each        pushed 0.2 s each
        a post a ms       2.592 G posts share them: 33 us each     pushed 0.2 s each
    """
    lone = compare(10_000, DAY_MS, 30 * DAY_MS, COSTS)
    burst = compare(10_000, 1, 30 * DAY_MS, COSTS)

    assert (lone.push_s, burst.push_s) == (pytest.approx(0.2), pytest.approx(0.2))
    assert (lone.reads, burst.reads) == (pytest.approx(43_200_000), pytest.approx(43_200_000))
    assert (lone.shared, burst.shared) == (30, 30 * DAY_MS)
    assert (lone.pull_s, burst.pull_s) == (pytest.approx(2_880), pytest.approx(33.333e-6, rel=1e-3))
    assert not pull_is_cheaper(lone, 0.2, pulled=False)
    assert pull_is_cheaper(burst, 0.2, pulled=False)


@pytest.mark.parametrize("gap_ms", [30 * DAY_MS, 31 * DAY_MS, 10**12])
def test_a_post_shares_its_pulls_with_itself_at_least(gap_ms):
    """Also when the last one is older than the window."""
    assert compare(1, gap_ms, 30 * DAY_MS, COSTS).shared == 1


@pytest.mark.parametrize("gap_ms", [0, 1])
def test_posts_of_one_millisecond_count_as_a_millisecond_apart(gap_ms):
    assert compare(1, gap_ms, 30 * DAY_MS, COSTS).shared == 30 * DAY_MS


@pytest.mark.parametrize(
    ("push_s", "pulled", "cheaper"),
    [(12, False, False), (12.1, False, True), (8, True, False), (8.1, True, True), (10, False, False)],
)
def test_a_change_of_way_has_to_pay_by_a_fifth(push_s, pulled, cheaper):
    """Against 10 s of pulling: pulled from above 12 on, pushed again from 8 down."""
    assert pull_is_cheaper(Comparison(1, 1, 1, push_s, 10), 0.2, pulled=pulled) is cheaper


@given(
    st.integers(1, 10**7),
    st.integers(1, 10**10),
    st.integers(1, 30 * DAY_MS),
    *(st.integers(1, 10**6) for _ in range(3)),
)
def test_the_formulas_are_those_of_the_design(readers, gap_ms, window_ms, row, pull, reads):
    """In exact fractions."""
    found = compare(readers, gap_ms, window_ms, Costs(row * 2**-30, pull * 2**-30, reads * 2**-30))

    in_window = Fraction(readers) * Fraction(reads, 2**30) * Fraction(window_ms, 1000)
    shared = max(Fraction(1), Fraction(window_ms, gap_ms))
    assert found.push_s == pytest.approx(float(readers * Fraction(row, 2**30)))
    assert found.pull_s == pytest.approx(float(in_window * Fraction(pull, 2**30) / shared))


def test_nothing_is_known_before_all_three_were_measured():
    """The model then says nothing, rather than something made up."""
    known = {"row_seconds__fanout.small": 1.0, "pull_seconds__api": 2.0, "reads_per_second__api": 3.0}

    assert measured(samples(**known)) == Costs(1, 2, 3)
    for missing in known:
        assert measured(samples(**{name: v for name, v in known.items() if name != missing})) is None
    assert measured([]) is None


def test_costs_are_means_over_stages_and_reads_add_up():
    """Half of a reader's pages may be asked over Kafka. What nobody knows the name of is left out."""
    found = measured(
        samples(
            row_seconds__small=1.0,
            row_seconds__large=3.0,
            pull_seconds__api=2.0,
            pull_seconds__query=4.0,
            reads_per_second__api=0.5,
            reads_per_second__query=0.25,
            weather__api=7.0,
        )
    )

    assert found == Costs(2.0, 3.0, 0.75)


costs = st.floats(1e-9, 1e3)


units = st.integers(1, 10**6)


def mean_of(memory, *seen):
    """Samples of units, and the seconds that one of them took; what is left out came before."""
    found = Mean(0)
    for number, each in seen:
        found = found.after(each * number, number, memory)
    return found.value


@given(st.lists(st.tuples(units, costs), min_size=1, max_size=10), units)
def test_a_mean_lies_between_what_was_seen(seen, memory):
    found = mean_of(memory, *seen)

    low, *_, high = sorted([each for _, each in seen] * 2)
    assert low * (1 - 1e-9) <= found <= high * (1 + 1e-9)


@given(units, costs, st.lists(st.tuples(units, costs), min_size=1, max_size=10), units)
def test_a_start_weighs_no_more_than_its_share_of_the_units(number, cold, seen, memory):
    """However dear it was: a pull of a second among a hundred of a millisecond is a hundredth of the mean."""
    found = mean_of(memory, (number, cold), *seen)

    warm = mean_of(memory, *seen)
    share = number / (number + sum(more for more, _ in seen))
    assert abs(found - warm) <= abs(cold - warm) * share * (1 + 1e-6) + 1e-9 * max(cold, warm)


@given(st.lists(st.tuples(st.integers(1, 20), costs), max_size=20), st.integers(1, 10**6))
def test_the_first_units_are_left_out(seen, memory):
    """Those of the samples that begin before COLD units were seen."""
    whole = Mean()
    for number, each in seen:
        whole = whole.after(each * number, number, memory)
    before = [sum(number for number, _ in seen[:n]) for n in range(len(seen))]
    counted = [one for one, units in zip(seen, before, strict=True) if units >= COLD]

    assert whole.value == (mean_of(memory, *counted) if counted else None)


def test_a_mean_forgets_within_its_memory_however_the_units_come():
    """A thousand rows at once weigh as much as a thousand one by one."""
    at_once = mean_of(1_000, (10**6, 1.0), (1_000, 3.0))

    assert at_once == pytest.approx(1 + 2 * (1 - 2.718281828**-1))
    assert mean_of(1_000, (10**6, 1.0), *[(1, 3.0)] * 1_000) == pytest.approx(at_once)
    assert mean_of(1_000, (2, 3.0)) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("now", "told_again"),
    [(1.0, False), (1.2, False), (1.21, True), (0.8, False), (0.79, True), (None, False)],
)
def test_a_cost_is_told_again_once_it_has_moved_by_a_fifth(now, told_again):
    assert news({"a": 1.0}, {"a": now}) == ({"a": now} if told_again else {})


def test_a_cost_is_told_the_first_time_it_is_known():
    assert news({}, {"a": 0.0, "b": None}) == {"a": 0.0}

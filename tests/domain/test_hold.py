"""When a stage stops: for faults of ours, or when nothing at all is good; never for one sender beside others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.hold import Limit, RecentOutcomes, Settled, bad

LIMIT = Limit(ratio=0.9, records=1000, within_s=60)


def stops(*batches, limit=LIMIT):
    """After which of these batches the stage would stop; the first look is at 0 s."""
    recent = RecentOutcomes(limit, 0.0)
    return [number for number, batch in enumerate(batches) if recent.add(Settled(*batch))]


def test_a_burst_of_garbage_stops_nothing():
    assert stops((1, 100_000, 100_000, 0)) == []


def test_a_minute_without_anything_good_does():
    """
    ::

        0 s      59.9 s              60 s
        begin    1,000 refused       1 refused: held
    """
    assert stops((59.9, 1000, 1000, 0)) == []
    assert stops((59.9, 1000, 1000, 0), (60, 1, 1, 0)) == [1]
    assert stops((59.9, 998, 998, 0), (60, 1, 1, 0)) == []


def test_one_good_record_a_minute_keeps_a_flood_from_stopping_anybody():
    flood = [(at, 5000, 5000 - (at % 50 == 0), 0) for at in range(1, 600)]

    assert stops(*flood) == []


def test_faults_stop_it_at_once_and_beside_good_ones():
    assert stops((1, 1000, 900, 900)) == [0]
    assert stops((1, 1000, 900, 899)) == []
    assert stops((1, 999, 999, 999)) == []


def test_faults_of_more_than_a_minute_ago_are_forgotten():
    assert stops((1, 999, 998, 899), (61, 1, 1, 1)) == []
    assert stops((1, 999, 998, 899), (60.9, 1, 1, 1)) == [1]


def test_a_limit_of_none_stops_nothing():
    assert stops((61, 10_000, 10_000, 10_000), limit=Limit(0.9, 0)) == []


@pytest.mark.parametrize(
    ("records", "refused", "faults", "expected"),
    [(10, 10, 0, True), (10, 9, 0, False), (10, 9, 9, True), (10, 9, 8, False), (1, 0, 0, False)],
)
def test_a_stage_that_stands_goes_on_after_a_batch_with_something_good(records, refused, faults, expected):
    assert bad(Settled(0, records, refused, faults), LIMIT) is expected


@given(
    st.lists(
        st.tuples(st.floats(0, 40), st.integers(1, 600), st.integers(0, 600), st.integers(0, 600)),
        max_size=30,
    )
)
def test_it_is_as_counted_by_hand(steps):
    """The oracle counts everything anew after each batch."""
    batches, at = [], 0.0
    for pause, records, refused, faults in steps:
        at += pause
        refused = min(refused, records)
        batches.append((at, records, refused, min(faults, refused)))

    expected = []
    for number, (now, *_) in enumerate(batches):
        seen = batches[: number + 1]
        good = [one for one in seen if one[2] < one[1]]
        quiet_from = good[-1][0] if good else 0.0
        last = max((n for n, one in enumerate(seen) if one[2] < one[1]), default=-1)
        refused_since = sum(one[1] for one in seen[last + 1 :])
        nothing = refused_since >= 1000 and now - quiet_from >= 60
        window = [one for one in seen if one[0] > now - 60]
        records, faults = sum(one[1] for one in window), sum(one[3] for one in window)
        if nothing or (records >= 1000 and faults >= 0.9 * records):
            expected.append(number)
    assert stops(*batches) == expected

"""What waits, by weight, wherever a group goes: on, back, and past what was added."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain import waiting
from pipeline.domain.waiting import Sums, sums_from

weights = st.lists(st.integers(0, 100), max_size=40)
steps = st.lists(st.tuples(st.sampled_from(["produce", "read", "go on", "move"]), st.integers(0, 40)))


@given(weights, steps)
def test_what_waits_is_known_exactly_once_it_is_read_wherever_the_group_is_moved(topic, steps):
    """Nothing is read twice but what a group was moved back over."""
    committed, end, sums, read, owed = 0, 0, None, 0, len(topic)
    for what, number in steps:
        match what:
            case "produce":
                end = min(end + number, len(topic))
            case "go on":
                committed = min(committed + number, end)
            case "move":
                committed = min(number, end)
            case "read" if sums is not None:
                for offset in range(sums.next, min(sums.next + number, end)):
                    sums.add(offset, topic[offset])
                    read += 1
        before, sums = sums, sums_from(committed, sums)
        owed += before.next - sums.next if before is not None else 0

        known = sums.between(committed, end)

        assert known == (sum(topic[committed:end]) if max(sums.next, committed) >= end else None)
        assert sums is before or before is None or committed < before.begin
    assert read <= owed


@given(weights, st.lists(st.integers(0, 40), max_size=5).map(sorted))
def test_of_more_than_is_kept_never_less_waits_than_there_is(topic, commits):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waiting, "MAX_SUMS", 4)
        sums = Sums(0)
        for offset, weight in enumerate(topic):
            sums.add(offset, weight)
        for committed in commits:
            assert (sums.between(committed, len(topic)) or 0) >= sum(topic[committed:])


def test_a_group_that_is_moved_back_is_unknown_until_it_is_read_again():
    sums = Sums(3)
    sums.add(3, 5)
    sums.add(4, 7)
    assert [sums.between(committed, 5) for committed in (3, 4, 5)] == [12, 7, 0]
    assert sums_from(5, sums) is sums

    again = sums_from(2, sums)

    assert (again.next, again.between(2, 5)) == (2, None)
    for offset, weight in [(2, 1), (3, 5), (4, 7)]:
        again.add(offset, weight)
    assert again.between(2, 5) == 13


def test_offsets_may_have_holes():
    """Retention and markers of transactions make them."""
    sums = Sums(0)
    sums.add(4, 5)
    sums.add(9, 7)

    assert [sums.between(committed, 10) for committed in (0, 4, 5, 9, 10)] == [12, 12, 7, 7, 0]


def test_a_group_that_skips_what_was_not_read_has_nothing_to_wait_for():
    """Moved to the end: nothing waits, before the records it left out have been read and after."""
    sums = Sums(0)
    assert (sums.between(0, 3), sums.between(3, 3)) == (None, 0)

    for offset in range(4):
        sums.add(offset, 10)

    assert (sums.between(3, 4), sums.between(4, 4)) == (10, 0)

"""Where a reset takes a group, and how people write times and durations."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.offset_reset import (
    ShiftBy,
    ToEarliest,
    ToLatest,
    ToOffset,
    ToTime,
    duration_ms,
    new_offset,
    next_offset,
    time_of,
)

offsets = st.integers(0, 30)
anywhere = st.integers(-40, 70)


@st.composite
def partitions(draw):
    """The times of the records by offset, in any order as producers' clocks are, and a committed offset."""
    begin = draw(offsets)
    times = draw(st.lists(st.integers(0, 9), max_size=12))
    return {begin + n: at for n, at in enumerate(times)}, begin, draw(st.none() | offsets)


def first_of(records, at_ms):
    return min((offset for offset, at in records.items() if at >= at_ms), default=None)


def walked(records, begin, current, reset):
    """The records that are left to be processed, found by walking over them one at a time."""
    left = list(records)
    match reset:
        case ToEarliest():
            return left
        case ToLatest():
            return []
        case ToOffset(offset):
            return [one for one in left if one >= offset]
        case ShiftBy(records=steps):
            behind, ahead = [o for o in left if o < current], [o for o in left if o >= current]
            for _ in range(abs(steps)):
                if steps > 0 and ahead:
                    behind.append(ahead.pop(0))
                if steps < 0 and behind:
                    ahead.insert(0, behind.pop())
            return ahead
        case ToTime(at_ms):
            while left and records[left[0]] < at_ms:
                left.pop(0)
            return left


@given(
    partitions(),
    st.one_of(
        st.builds(ToEarliest),
        st.builds(ToLatest),
        st.builds(ToOffset, anywhere),
        st.builds(ShiftBy, anywhere),
        st.builds(ToTime, st.integers(-1, 11)),
    ),
)
def test_what_is_left_to_be_processed_is_what_a_walk_finds(partition, reset):
    records, begin, committed = partition
    end = begin + len(records)
    current = next_offset(committed, begin, end)
    of_time = first_of(records, reset.at_ms) if isinstance(reset, ToTime) else None

    new = new_offset(reset, current, begin, end, of_time)

    assert begin <= new <= end
    assert [offset for offset in records if offset >= new] == walked(records, begin, current, reset)


@pytest.mark.parametrize(("committed", "next_one"), [(None, 5), (4, 5), (5, 5), (8, 8), (9, 9), (10, 5)])
def test_a_group_without_a_place_among_the_records_begins_with_the_oldest(committed, next_one):
    assert next_offset(committed, 5, 9) == next_one


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)), st.integers(-14 * 60, 14 * 60))
def test_a_time_is_that_of_its_zone_and_of_utc_without_one(at, minutes):
    there = at.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    milliseconds = (at.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)

    assert time_of(at.isoformat()) == milliseconds
    assert time_of(there.isoformat()) == milliseconds - minutes * 60_000


def test_z_is_utc():
    assert time_of("2026-11-21T15:48:00.250Z") == 1_795_276_080_250


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00", "1795276080250x", "PT1H"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match="is no time such as"):
        time_of(text)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("90s", 90_000),
        ("0.5s", 500),
        ("15m", 900_000),
        ("2h", 7_200_000),
        ("3d", 259_200_000),
        ("PT1H30M", 5_400_000),
        ("P1D", 86_400_000),
        ("P1DT2H3M4.5S", 93_784_500),
        ("pt90s", 90_000),
    ],
)
def test_durations_are_iso_8601_or_short(text, milliseconds):
    assert duration_ms(text) == milliseconds


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "90", "s", "-90s", "PT-1H", "P1Y", "P1M", "1w", "٣s", "1h30m"]
)
def test_what_is_no_duration_is_refused(text):
    """Also months and years, which are of no fixed length."""
    with pytest.raises(ValueError, match="is no duration such as"):
        duration_ms(text)


def test_a_duration_longer_than_time_is_refused():
    with pytest.raises(ValueError, match="longer than time"):
        duration_ms("9" * 30 + "d")

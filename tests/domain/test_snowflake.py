"""Ids and time: the order of ids is the order of time, and a bound in time is a bound in ids."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain import snowflake

JAN_2020 = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * 1000
IDS_A_MS = 4_194_304
LAST_MS = JAN_2020 + 2**41 - 1
DAY_MS = 86_400_000

times = st.integers(JAN_2020, LAST_MS)
sequences = st.integers(0, IDS_A_MS - 1)


def post_at(at_ms: int, sequence: int = 0) -> int:
    """The id layout in words: 41 bits of ms since 2020, then 22 bits of node and sequence."""
    return (at_ms - JAN_2020) * IDS_A_MS + sequence


@given(times, sequences)
def test_an_id_tells_its_time(at_ms, sequence):
    """Whatever the lower 22 bits are, the time of an id is the ms it was made in."""
    assert snowflake.time_ms(post_at(at_ms, sequence)) == at_ms


@given(times, sequences, times)
def test_a_bound_in_time_is_a_bound_in_ids(posted_ms, sequence, bound_ms):
    """`id >= first_id(t)` says the same as "posted at t or later"."""
    post = post_at(posted_ms, sequence)

    assert (post >= snowflake.first_id(bound_ms)) == (posted_ms >= bound_ms)


@pytest.mark.parametrize(
    ("at_ms", "bound"),
    [
        (0, 0),
        (JAN_2020 - 1, 0),
        (JAN_2020, 0),
        (JAN_2020 + 1, 4_194_304),
        (LAST_MS, 2**63 - 4_194_304),
        (LAST_MS + 1, 2**63 - 1),
        (10**15, 2**63 - 1),
    ],
)
def test_bounds_stay_inside_the_ids_there_are(at_ms, bound):
    """Before 2020 every post is later, after 2089 none is."""
    assert snowflake.first_id(at_ms) == bound


@given(times, sequences, st.integers(-(2**42), 2**42))
def test_a_shifted_bound_is_that_much_later_and_clipped(at_ms, sequence, by_ms):
    """Shifting adds time and keeps the lower bits, until there are no more ids in that direction."""
    wanted = post_at(at_ms + by_ms, sequence)

    assert snowflake.shift(post_at(at_ms, sequence), by_ms) == sorted((0, wanted, 2**63 - 1))[1]


@pytest.mark.parametrize(("days", "bucket"), [(0, 0), (29, 0), (30, 1), (59, 1), (60, 2), (2_190, 73)])
def test_a_bucket_is_thirty_days(days, bucket):
    """Bucket 0 begins with 2020, and every thirty days the next one."""
    start = JAN_2020 + days * DAY_MS

    assert snowflake.bucket_of(post_at(start)) == bucket
    assert snowflake.bucket_of(post_at(start + DAY_MS - 1, IDS_A_MS - 1)) == bucket

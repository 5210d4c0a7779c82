"""Sketches of readers: what they are follows from the set alone, and the larger set has the larger sketch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.engagement import (
    HOUR_MS,
    MAX_HASHES,
    from_bytes,
    growth,
    hour_of,
    life_s,
    readers,
    sketch,
    to_bytes,
    union,
)

ids = st.integers(-(2**63), 2**63 - 1)
groups = st.lists(st.lists(ids | st.integers(0, 400), max_size=300), min_size=1, max_size=5)


@given(groups, st.randoms(use_true_random=False))
def test_a_sketch_is_that_of_the_set_however_it_came_together(given_groups, random):
    """Shuffled, repeated, and cut anywhere."""
    whole = sketch(reader for group in given_groups for reader in group)
    shuffled = [*given_groups, random.choice(given_groups)]
    random.shuffle(shuffled)

    found = ()
    for group in shuffled:
        found = union(sketch(reversed(group)), found)

    assert found == whole
    assert from_bytes(to_bytes(found)) == whole


@given(groups)
def test_a_larger_set_has_a_larger_sketch(given_groups):
    """Its growth is higher, and never equal; its count is not lower."""
    found = ()
    for group in given_groups:
        more = union(found, sketch(group))
        assert (growth(more) > growth(found)) == (more != found)
        assert growth(more) >= growth(found)
        assert readers(more) >= readers(found)
        found = more


@given(st.sets(ids, max_size=MAX_HASHES - 1))
def test_few_readers_are_counted_exactly(some):
    assert readers(sketch(some)) == len(some)


@pytest.mark.parametrize("count", [MAX_HASHES - 1, MAX_HASHES, MAX_HASHES + 1, 1_000, 20_000, 300_000])
def test_many_readers_are_counted_to_a_few_per_cent(count):
    """Limit − 1, limit, limit + 1, and far beyond: within three standard errors; the size is bounded."""
    found = sketch(range(7, 7 + count))

    assert readers(found) == pytest.approx(
        count, rel=0 if count < MAX_HASHES else 3 / (MAX_HASHES - 2) ** 0.5
    )
    assert len(to_bytes(found)) == 8 * min(count, MAX_HASHES)


def test_a_growth_is_below_any_write_time_of_today():
    """In microseconds: clock checks stay quiet, and nothing else ever writes these rows."""
    assert growth(()) == 0
    assert growth((*range(MAX_HASHES),)) < 1_600_000_000_000_000


def test_a_window_is_an_hour_and_lives_seven_days_longer():
    """Its last second, and the one after it."""
    assert [hour_of(at) for at in (HOUR_MS - 1, HOUR_MS, 2 * HOUR_MS - 1)] == [0, 1, 1]
    over = (1 + 1 + 7 * 24) * HOUR_MS
    assert [life_s(1, now) for now in (HOUR_MS, over - 1000, over - 999, over)] == [
        3600 * (7 * 24 + 1),
        1,
        0,
        0,
    ]

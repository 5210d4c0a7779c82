"""Segments: where followers live, how the work on them is cut, and which shard does it."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.segments import SegmentRange, place, quantum, shard, tasks

MASK = 0xFFFFFFFF


def murmur3_32(data: bytes) -> int:
    """MurmurHash3_x86_32, seed 0, after Appleby's reference, for whole 4-byte blocks."""
    h = 0
    for (k,) in struct.iter_unpack("<I", data):
        k = k * 0xCC9E2D51 & MASK
        k = (k << 15 | k >> 17) & MASK
        h ^= k * 0x1B873593 & MASK
        h = (h << 13 | h >> 19) & MASK
        h = h * 5 + 0xE6546B64 & MASK
    h ^= len(data)
    h = (h ^ h >> 16) * 0x85EBCA6B & MASK
    h = (h ^ h >> 13) * 0xC2B2AE35 & MASK
    return h ^ h >> 16


@given(st.integers(1, 2**63 - 1), st.integers(0, 2**31 - 1), st.integers(1, 4096))
def test_a_shard_is_murmur3_of_author_and_segment(author, segment, partitions):
    """Any other implementation of murmur3 finds the same partition, in any process, for ever."""
    key = author.to_bytes(8, "big") + segment.to_bytes(4, "big")

    assert shard(author, segment, partitions) == murmur3_32(key) % partitions


def test_the_segments_of_a_large_author_use_every_shard():
    """No shard of eight has less than half or more than twice its share of 800 segments."""
    found = [shard(7, segment, 8) for segment in range(800)]

    assert all(50 <= found.count(one) <= 200 for one in range(8))


@given(st.integers(0, 600), st.integers(1, 300))
def test_tasks_cover_every_segment_once(segments, most):
    """In order, without a gap, at most so many, and of lengths that differ by one at most."""
    ranges = tasks(segments, most)

    covered = [segment for one in ranges for segment in range(one.first, one.last + 1)]
    lengths = [one.last - one.first + 1 for one in ranges]
    assert covered == list(range(segments))
    assert len(ranges) == min(segments, most)
    assert not lengths or max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(
    ("segments", "ranges"),
    [
        (0, []),
        (1, [(0, 0)]),
        (3, [(0, 0), (1, 1), (2, 2)]),
        (4, [(0, 0), (1, 1), (2, 2), (3, 3)]),
        (5, [(0, 0), (1, 1), (2, 2), (3, 4)]),
    ],
)
def test_a_post_is_at_most_so_many_tasks(segments, ranges):
    """Up to four segments there is a task for each; the fifth makes one range longer."""
    assert [(one.first, one.last) for one in tasks(segments, 4)] == ranges


@given(st.integers(0, 100), st.integers(0, 50))
def test_quanta_do_each_segment_once_in_order(first, more):
    """Taking one and putting the rest back visits the whole range and then ends."""
    done, rest = [], SegmentRange(first, first + more)
    while rest is not None:
        segment, rest = quantum(rest)
        done.append(segment)

    assert done == list(range(first, first + more + 1))


@given(st.lists(st.integers(0, 8), max_size=6), st.integers(0, 40), st.integers(1, 6))
def test_a_newcomer_sits_in_the_lowest_segment_with_room(lives, newcomers, size):
    """The same as seating them one by one; a segment over its size just has no room."""
    seats = dict(enumerate(lives))
    given_out: dict[int, int] = {}
    for _ in range(newcomers):
        segment = 0
        while seats.get(segment, 0) >= size:
            segment += 1
        seats[segment] = seats.get(segment, 0) + 1
        given_out[segment] = given_out.get(segment, 0) + 1

    assert list(place(lives, newcomers, size)) == list(given_out.items())


@pytest.mark.parametrize(("live", "placed"), [(998, [(0, 2)]), (999, [(0, 1), (1, 1)]), (1000, [(1, 2)])])
def test_a_segment_is_full_at_its_size(live, placed):
    """Of two newcomers the second one opens a segment when the first took the last seat."""
    assert list(place([live], 2, 1000)) == placed

"""Followers live in segments, tasks are ranges of segments, and a segment has one shard.

A segment is the unit of work: one read, one task, one quantum of a writer. An ordinary author has one.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import mmh3


@dataclass(frozen=True, slots=True)
class SegmentRange:
    """Segments first..last of one author, inclusive."""

    first: int
    last: int


def shard(author_id: int, segment: int, partitions: int) -> int:
    """The Kafka partition of a segment's tasks: murmur3(author_id, segment) mod partitions."""
    return mmh3.hash(struct.pack(">qi", author_id, segment), signed=False) % partitions


def tasks(segments: int, most: int) -> list[SegmentRange]:
    """All segments of an author as at most `most` ranges of nearly equal length, in order."""
    count = min(segments, most)
    bounds = [segments * i // count for i in range(count + 1)] if count else []
    return [SegmentRange(lo, hi - 1) for lo, hi in pairwise(bounds)]


def share(total: int, whole: SegmentRange, part: SegmentRange) -> int:
    """How much of a total over the segments of `whole` falls to `part`; the shares of all parts add up."""
    count = whole.last - whole.first + 1
    lo, hi = part.first - whole.first, part.last + 1 - whole.first
    return total * hi // count - total * lo // count


def quantum(task: SegmentRange) -> tuple[int, SegmentRange | None]:
    """The one segment to do now, and what goes back into the queue so that others have their turn."""
    rest = SegmentRange(task.first + 1, task.last) if task.last > task.first else None
    return task.first, rest


def fill(readers: Sequence[int], size: int) -> list[Sequence[int]]:
    """The segments of an author's first followers, in their order."""
    return [readers[first : first + size] for first in range(0, len(readers), size)]


def place(lives: Sequence[int], newcomers: int, size: int) -> Iterator[tuple[int, int]]:
    """Where newcomers go: `(segment, how many)`, lowest segment with room first, new segments at the end."""
    segment = 0
    while newcomers > 0:
        live = lives[segment] if segment < len(lives) else 0
        taken = min(max(size - live, 0), newcomers)
        if taken:
            yield segment, taken
        newcomers -= taken
        segment += 1

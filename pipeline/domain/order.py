"""Which of two events about one thing counts: the one rule, for every type of event (`docs/ordering.md`).

The later `at` counts; of the same `at` the one that is later on its partition. Events about one thing have
one key, so they are on one partition, and many producers know times in whole seconds only.

A version is also a write time for Cassandra, one number an event: writes are blind, come in any order, may be
repeated, and whatever two events write, no row becomes a mixture of both. Two limits, both wanted:

- The offset counts modulo 2**22. Of two events about one thing, of one millisecond, with 4 million others
  between them on the partition, the wrong one may be taken for the later; the same on every replay.
- Times before 2020 are one time, and so are those after 2089: there the partition alone decides.

A dead letter that is replayed is put on its topic again, so it has a new offset: of events with the same `at`
it is the last. It keeps its `at`, so nothing that happened later is undone by it.

Times in microseconds, which rows of older releases carry, are all smaller than the write times here: about
1.8e15 against more than 9e17 today. Events older than January 6th 2020 are the exception, and lose.
"""

from dataclasses import dataclass

from pipeline.domain.snowflake import EPOCH_MS, SEQUENCE_BITS, time_ms
from pipeline.wire.enums import EventType
from pipeline.wire.records import PostEvent

OFFSETS = 1 << SEQUENCE_BITS
"""How many places on a partition are told apart within one millisecond."""

_LAST_MS = 2**41 - 1


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """The place of an event among all about one thing: when it happened (ms), and its offset."""

    at: int
    place: int

    @property
    def write_time(self) -> int:
        """The version as a positive number for USING TIMESTAMP: a later version has a higher one."""
        since_2020 = min(max(self.at - EPOCH_MS, 1), _LAST_MS)  # not 0, which stands for never written
        return since_2020 << SEQUENCE_BITS | self.place % OFFSETS


def of_post(event: PostEvent, place: int) -> Version:
    """The version of an event about a post.

    All publications of an id are as of the time in the id, whatever `created_at` they name: the last one on
    the partition counts. An edit is never before its post: if its clock is behind, it counts as of that time.
    """
    created = time_ms(event.post_id)
    match event.type:
        case EventType.PUBLISHED:
            return Version(created, place)
        case EventType.EDITED:
            return Version(max(event.at, created), place)
    return Version(event.at, place)


def time_of(write_time: int) -> int:
    """The `at` (ms) that a write time was made of; also of one in microseconds, of an older release."""
    if write_time < _OLDEST:
        return write_time // 1000
    return (write_time >> SEQUENCE_BITS) + EPOCH_MS


_OLDEST = 10**16
"""Microseconds reach it in 2286; write times do on January 28th 2020."""

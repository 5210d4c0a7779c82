"""Where consumer groups stand, read from the broker alone: right also when every worker is dead.

Nothing here joins a group or commits. What could not be read is missing from the answers, never 0. Clients
are kept between calls, so that asking often is cheap.
"""

import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, TopicPartition

from pipeline.kafka.bounds import Bounds, Partition
from pipeline.kafka.client import settings
from pipeline.wire.headers import entered_at, headers_of

_GROUP_CONCURRENCY = 16

_FETCH_BYTES = 16 * 1024
"""Asked of a partition: one record is wanted, not those behind it. A larger one still comes whole."""


First = tuple[int, tuple[int, int] | None]
"""The first record at an offset or behind it: its own offset, the broker's time for it (ms), and the time at
which its path began as its headers say.

None: there was no record when it was looked for, up to this offset.
"""


class Offsets:
    """Reads offsets of groups and topics. Calls take turns; use as a context manager."""

    def __init__(self, bootstrap: str, *, timeout_s: float = 5.0) -> None:
        """`timeout_s`: what the broker has not answered after this counts as unknown."""
        self._timeout_s = timeout_s
        self._settings = {**settings(bootstrap), "enable.auto.commit": False, "log_level": 2}
        self._bounds = Bounds(bootstrap, timeout_s=timeout_s)
        self._members: dict[str, Consumer] = {}
        self._threads = ThreadPoolExecutor(_GROUP_CONCURRENCY, "offsets")
        self._consumer = Consumer(
            {
                **self._settings,
                "group.id": "tideline.lag",  # required by the client, never committed or joined
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,
                "max.partition.fetch.bytes": _FETCH_BYTES,
                "queued.min.messages": 1,
                "fetch.queue.backoff.ms": 1,  # one record fills the queue: by default the next waits a second
                "auto.offset.reset": "earliest",  # what retention removed is passed over
                "isolation.level": "read_committed",
            }
        )
        self._known: dict[tuple[Partition, int], First] = {}
        self._introduced = False
        self._turn = threading.Lock()

    def __enter__(self) -> "Offsets":
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()
        for consumer in (self._consumer, *self._members.values()):
            consumer.close()
        self._bounds.close()

    def committed(self, groups: Mapping[str, Sequence[Partition]]) -> dict[tuple[str, Partition], int | None]:
        """By group and partition, the next offset the group would process; None where it never committed."""
        answers = self._threads.map(self._committed, groups, groups.values())
        return {
            (group, (place.topic, place.partition)): None if place.offset == OFFSET_INVALID else place.offset
            for group, places in zip(groups, answers, strict=True)
            for place in places
            if place.error is None
        }

    def _committed(self, group: str, partitions: Sequence[Partition]) -> Sequence[TopicPartition]:
        """Not by the admin client: on NOT_COORDINATOR it takes the process down (librdkafka #5040)."""
        if group not in self._members:
            self._members[group] = Consumer({**self._settings, "group.id": group})
        deadline = time.monotonic() + self._timeout_s
        while (left := deadline - time.monotonic()) > 0:
            try:
                return self._members[group].committed([TopicPartition(*one) for one in partitions], left)
            except KafkaException:
                time.sleep(0.05)  # a coordinator on the move, or a broker so fresh that it has none yet
        return ()

    def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """By partition, the last stable offset; see `Bounds.ends`."""
        return self._bounds.ends(partitions)

    def appended(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """By partition, the offset the next record will get, whatever is open."""
        return self._bounds.appended(partitions)

    def begins(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """By partition, the offset of the oldest record that is still there."""
        return self._bounds.begins(partitions)

    def origins(
        self, at: Mapping[Partition, int], ends: Mapping[Partition, int], own: Collection[str] = ()
    ) -> dict[Partition, int | None]:
        """By partition, since when (ms) the first record at this offset or behind it is on its way.

        `own`: topics of the pipeline's own, whose records say when their path began.
        None where there is no record before the end: markers of transactions, records that were aborted or
        compacted away have offsets too, which a group commits only with the next record.
        """
        with self._turn:
            self._known = {
                (place, offset): first
                for (place, offset), first in self._known.items()
                if at.get(place, offset) == offset
            }
            self._known |= self._read([one for one in at.items() if not self._tells(one, ends[one[0]])])
            return {
                place: _origin(self._known[place, offset], ends[place], own=place[0] in own)
                for place, offset in at.items()
                if self._tells((place, offset), ends[place])
            }

    def with_records(
        self, at: Mapping[Partition, int], ends: Mapping[Partition, int]
    ) -> dict[Partition, int]:
        """These ends; where no record lies before an end, what is `at`: nobody will ever get further."""
        origins = self.origins({place: offset for place, offset in at.items() if offset < ends[place]}, ends)
        return {
            place: at[place] if place in origins and origins[place] is None else end
            for place, end in ends.items()
        }

    def _tells(self, one: tuple[Partition, int], end: int) -> bool:
        """Whether it is known if there is a record between the two."""
        offset, times = self._known.get(one, (-1, None))
        return times is not None or offset >= end

    def _read(self, wanted: Sequence[tuple[Partition, int]]) -> dict[tuple[Partition, int], First]:
        """The first record of each partition, from all at once."""
        found: dict[tuple[Partition, int], First] = {}
        if not wanted:
            return found
        waiting, deadline = dict(wanted), time.monotonic() + self._timeout_s
        try:
            if not self._introduced:  # a client that knows the leaders answers in ms, not seconds
                self._consumer.list_topics(timeout=self._timeout_s)
                self._introduced = True
            self._consumer.assign([TopicPartition(*place, at) for place, at in wanted])
            while waiting and time.monotonic() < deadline:
                for message in self._consumer.consume(len(waiting), timeout=0.05):
                    place = (message.topic() or "", message.partition() or 0)
                    offset = waiting.pop(place, None)
                    error = message.error()
                    if offset is not None and error is None:
                        appended = message.timestamp()[1]
                        times = (appended, entered_at(headers_of(message), appended, own=True))
                        found[place, offset] = (message.offset() or 0, times)
                    elif offset is not None and error is not None and _at_end(error):
                        found[place, offset] = (message.offset() or 0, None)
        except KafkaException:
            pass  # what was not read stays unknown
        finally:
            self._consumer.unassign()
        return found


def _origin(first: First, end: int, *, own: bool) -> int | None:
    offset, times = first
    return times[own] if times is not None and offset < end else None


def _at_end(error: KafkaError) -> bool:
    return error.code() == KafkaError._PARTITION_EOF

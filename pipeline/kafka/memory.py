"""Kafka's twin in memory: topics with partitions by key, and the senders and views of them.

For tests of stages and of what is made of them. Time passes when its clock says so, and everything happens at
once: a message is acknowledged in its partition, and views read on when it is there, or, with `at_once` off,
when somebody calls their `follow`.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from aiokafka.partitioner import murmur2

from pipeline.clock import Clock
from pipeline.config.names import HOME, Names
from pipeline.kafka.messages import Incoming
from pipeline.kafka.newest import Newest
from pipeline.kafka.ports import Kept, NoSuchTopic, NotDelivered, Outgoing, TooLarge

Record = TypeVar("Record")
Partition = tuple[str, int]

STOCK_BYTES = 1_048_588
"""What an unconfigured topic takes."""


class MemoryKafka:
    """The broker. `partitions`: of every topic there is; `largest`: bytes that a topic takes, where it says.

    `away`: it answers nobody.
    """

    def __init__(
        self,
        partitions: Mapping[str, int],
        clock: Clock,
        *,
        largest: Mapping[str, int] | None = None,
        at_once: bool = True,
    ) -> None:
        self.clock, self.at_once, self.away = clock, at_once, False
        self.views: list[MemoryView[object]] = []
        self._largest = largest or {}
        self._logs: dict[str, list[list[Incoming]]] = {
            topic: [[] for _ in range(count)] for topic, count in partitions.items()
        }
        self._ends: dict[Partition, int] = defaultdict(int)

    def place(self, message: Outgoing) -> Partition:
        """Where a message goes: the partition it names, else by murmur2 of its key. Raises NoSuchTopic."""
        if message.topic not in self._logs:
            raise NoSuchTopic(f"{message.topic}: unknown")
        hashed = (murmur2(message.key or b"") & 0x7FFFFFFF) % len(self._logs[message.topic])
        return message.topic, hashed if message.partition is None else message.partition

    def takes(self, topic: str) -> int:
        """Bytes of a batch of messages that a topic takes."""
        return self._largest.get(topic, STOCK_BYTES)

    def append(self, message: Outgoing) -> Incoming:
        """A message gets its place."""
        topic, partition = place = self.place(message)
        offset, self._ends[place] = self._ends[place], self._ends[place] + 1
        now = self.clock.now_ms()
        headers = tuple(message.headers)
        kept = Incoming(topic, partition, offset, message.key, message.value, headers, now)
        self._logs[topic][partition].append(kept)
        for view in self.views:
            if self.at_once and view.topic == topic:
                view.follow()
        return kept

    def partitions(self, topic: str) -> list[Partition]:
        """The partitions of a topic."""
        return [(topic, number) for number in range(len(self._logs[topic]))]

    def end(self, place: Partition) -> int:
        """The offset of the next message."""
        return self._ends[place]

    def read(self, place: Partition, offset: int, most: int | None = None) -> list[Incoming]:
        """What is in a partition from this offset on."""
        log = self._logs[place[0]][place[1]]
        first = bisect_left(log, offset, key=lambda message: message.offset)
        return log[first : None if most is None else first + most]

    def compact(self, topic: str) -> None:
        """Keep the newest message of each key, its offset unchanged; tombstones go, too."""
        for log in self._logs[topic]:
            newest = {message.key: message for message in log}
            log[:] = [one for one in log if newest[one.key] is one and one.value is not None]

    def expire(self, topic: str) -> None:
        """Retention: everything that is there goes."""
        for log in self._logs[topic]:
            log.clear()


class MemoryOutbox:
    """Sends to the twin; `names`: what the topics of messages are called there."""

    def __init__(self, kafka: MemoryKafka, names: Names = HOME) -> None:
        self._kafka, self._names = kafka, names

    async def send_all(self, messages: Iterable[Outgoing]) -> int:
        """As `Sender`. Messages of one call to one partition are one batch, too large or not as a whole."""
        batches: dict[Partition, list[Outgoing]] = defaultdict(list)
        failures: list[Exception] = []
        for message in messages:
            named = Outgoing(
                self._names.topic(message.topic),
                message.value,
                message.key,
                message.headers,
                message.partition,
            )
            try:
                batches[self._kafka.place(named)].append(named)
            except NoSuchTopic as error:
                failures.append(error)
        if self._kafka.away:
            raise NotDelivered("the broker is away")
        sent = 0
        for (topic, _), batch in batches.items():
            size = sum(len(one.value or b"") + len(one.key or b"") for one in batch)
            if size > self._kafka.takes(topic):
                failures.append(TooLarge(f"{topic}: {size} bytes"))
                continue
            for one in batch:
                self._kafka.append(one)
            sent += len(batch)
        if failures:
            raise failures[0]
        return sent


class MemoryView(Newest[Record]):
    """As `TopicView`: whole from the beginning, or with `lost` from the end on."""

    def __init__(
        self,
        kafka: MemoryKafka,
        topic: str,
        decode: Callable[[bytes], Record],
        kept: Kept[Record] | None = None,
        *,
        lost: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(topic, decode, kept)
        self._kafka, self._lost = kafka, lost
        self._positions = {
            place[1]: 0 if lost is None else kafka.end(place) for place in kafka.partitions(topic)
        }
        kafka.views.append(self)  # type: ignore[arg-type]  # a view of anything
        self._as_of = -float("inf")
        self.follow()

    def follow(self, most: int | None = None) -> None:
        """Read on: everything, or at most so many messages of each partition."""
        if self._kafka.away:
            return
        for place in self._kafka.partitions(self.topic):
            for message in self._kafka.read(place, self._positions[place[1]], most):
                self._expect(place[1], message.offset)
                self._take(message.key or b"", message.value)
                self._positions[place[1]] = message.offset + 1
            if not self._kafka.read(place, self._positions[place[1]], 1):
                self._expect(place[1], self._kafka.end(place))
                self._positions[place[1]] = self._kafka.end(place)
        if all(at == self._kafka.end((self.topic, n)) for n, at in self._positions.items()):
            self._as_of = self._kafka.clock.monotonic_s()

    def _expect(self, partition: int, offset: int) -> None:
        if self._lost is not None and offset != self._positions[partition]:
            self._positions[partition] = offset
            self._lost()

    def age_s(self) -> float:
        """Seconds since it held everything."""
        if self._kafka.at_once and self in self._kafka.views:
            self.follow()
        return self._kafka.clock.monotonic_s() - self._as_of

    def close(self) -> None:
        """Follow no more."""
        if self in self._kafka.views:
            self._kafka.views.remove(self)  # type: ignore[arg-type]

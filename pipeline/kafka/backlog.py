"""What waits, by weight: the deliveries of the tasks that a tier has not done.

A lag counts tasks, and a task is one reader's row or a thousand. Each task says what it weighs, so its topic
is followed from where its group stands; sums up to every offset answer what lies behind any commit.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition

from pipeline.kafka.bounds import Partition

_PAUSE_S = 0.5
_MOST = 100_000
"""Sums kept of a partition; of more every second one is forgotten, which costs precision and no weight."""


class Backlog:
    """Follows topics from these offsets on. `weight`: of a message, by its bytes; 0 where it cannot tell."""

    def __init__(
        self, bootstrap: str, begin: Mapping[Partition, int], weight: Callable[[bytes], int]
    ) -> None:
        self._weight = weight
        self._sums = {place: _Sums(offset) for place, offset in begin.items()}
        self._turn = threading.Lock()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "tideline.backlog",  # required by the client, never committed or joined
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "log_level": 3,
            }
        )
        self._consumer.assign([TopicPartition(*place, offset) for place, offset in begin.items()])
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="backlog", daemon=True)
        self._thread.start()

    def pending(self, committed: Mapping[Partition, int], ends: Mapping[Partition, int]) -> int | None:
        """The weight between these offsets; None while not everything of it has been read."""
        total = 0
        with self._turn:
            for place, at in committed.items():
                sums = self._sums.get(place)
                if sums is None or sums.next < ends[place]:
                    return None
                waits = sums.after(at)
                if waits is None:
                    return None
                total += waits
        return total

    def close(self) -> None:
        """Stop following."""
        self._closing.set()
        self._thread.join()
        self._consumer.close()

    def _follow(self) -> None:
        while not self._closing.is_set():
            try:
                messages = self._consumer.consume(1000, timeout=0.2)
            except KafkaException:
                self._closing.wait(_PAUSE_S)  # librdkafka reconnects by itself
                continue
            with self._turn:
                for message in messages:
                    if message.error() is None:
                        place = (message.topic() or "", message.partition() or 0)
                        weight = self._weight(message.value() or b"")
                        self._sums[place].add(message.offset() or 0, weight)


class _Sums:
    """Weights added up, offset by offset."""

    def __init__(self, begin: int) -> None:
        self.next = begin
        self._offsets: list[int] = []
        self._totals: list[int] = []
        self._before, self._begin = 0, begin

    def add(self, offset: int, weight: int) -> None:
        total = (self._totals[-1] if self._totals else self._before) + weight
        self._offsets.append(offset)
        self._totals.append(total)
        self.next = offset + 1
        if len(self._offsets) > _MOST:
            self._offsets = self._offsets[::-2][::-1]  # the last stays
            self._totals = self._totals[::-2][::-1]

    def after(self, committed: int) -> int | None:
        """The weight from this offset on; None for a group that was moved back to before what is kept."""
        if committed < self._begin:
            return None
        done = bisect_left(self._offsets, committed)
        if done:
            self._before, self._begin = self._totals[done - 1], committed
            del self._offsets[:done], self._totals[:done]
        return (self._totals[-1] if self._totals else self._before) - self._before

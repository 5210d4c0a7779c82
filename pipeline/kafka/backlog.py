"""What waits, by weight: the deliveries of the tasks that a tier has not done.

A lag counts tasks, and a task is one reader's row or a thousand. Each task says what it weighs, so its topic
is followed from where its group stands (`domain.waiting`). When the group is moved back to before that, the
topic is read again from there, once; until it has been, what waits is unknown.
"""

import threading
from collections.abc import Callable, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from pipeline.domain.waiting import Sums, sums_from
from pipeline.kafka.bounds import Partition
from pipeline.kafka.client import settings
from pipeline.kafka.unreadable import passed

_PAUSE_S = 0.5


class Backlog:
    """Follows partitions from where they are first asked about. `weight`: of a message, by its bytes; 0 where
    it cannot tell.
    """

    def __init__(self, bootstrap: str, weight: Callable[[bytes], int]) -> None:
        self._weight = weight
        self._sums: dict[Partition, Sums] = {}
        self._elsewhere: set[Partition] = set()
        """Partitions that the consumer does not read from where their sums end."""
        self._turn = threading.Lock()
        self._consumer = Consumer(
            {
                **settings(bootstrap),
                "group.id": "tideline.backlog",  # required by the client, never committed or joined
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "log_level": 3,
            }
        )
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="backlog", daemon=True)
        self._thread.start()

    def pending(self, committed: Mapping[Partition, int], ends: Mapping[Partition, int]) -> int | None:
        """The weight between these offsets; None while not everything of it has been read."""
        with self._turn:
            waits = [self._between(place, at, ends[place]) for place, at in committed.items()]
        return None if None in waits else sum(one or 0 for one in waits)

    def close(self) -> None:
        """Stop following."""
        self._closing.set()
        self._thread.join()
        self._consumer.close()

    def _between(self, place: Partition, committed: int, end: int) -> int | None:
        known = self._sums.get(place)
        sums = self._sums[place] = sums_from(committed, known)
        if sums is not known:
            self._elsewhere.add(place)
        return sums.between(committed, end)

    def _follow(self) -> None:
        while not self._closing.is_set():
            try:
                self._go_where_sums_end()
                messages = self._consumer.consume(1000, timeout=0.2)
            except KafkaException:
                self._closing.wait(_PAUSE_S)  # librdkafka reconnects by itself
                continue
            with self._turn:
                for message in messages:
                    place = (message.topic() or "", message.partition() or 0)
                    if place in self._elsewhere:
                        continue
                    error, offset = message.error(), message.offset() or 0
                    if error is None:
                        self._sums[place].add(offset, self._weight(message.value() or b""))
                    elif error.code() == KafkaError._PARTITION_EOF:  # behind markers of transactions, too
                        self._sums[place].reach(offset)
                    elif passed(self._consumer, message):
                        self._sums[place].reach(offset + 1)

    def _go_where_sums_end(self) -> None:
        with self._turn:
            if self._elsewhere:
                self._consumer.assign([TopicPartition(*at, sums.next) for at, sums in self._sums.items()])
                self._elsewhere.clear()

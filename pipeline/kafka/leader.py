"""One of several processes that acts: whoever a consumer group gives the only partition of a topic.

Kafka has decided already who that is, notices when a process dies (after the session time-out), and moves the
partition. Others wait beside it, with everything they need at hand. Nothing is read or committed.
"""

import threading

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from pipeline.kafka.client import settings

SESSION_S = 6.0
"""After this a process that has died is followed by another one; the least that brokers allow by default."""

_PAUSE_S = 0.5
_log = structlog.get_logger()


class Leader:
    """Callable: whether this process acts. Waits for its turn on a thread of its own."""

    def __init__(self, bootstrap: str, topic: str, group: str) -> None:
        self._topic = topic
        self._leads = False
        self._consumer = Consumer(
            {
                **settings(bootstrap),
                "group.id": group,
                "partition.assignment.strategy": "cooperative-sticky",  # who joins takes nothing away
                "session.timeout.ms": round(SESSION_S * 1000),
                "heartbeat.interval.ms": round(SESSION_S * 250),
                "enable.auto.commit": False,
                "auto.offset.reset": "latest",
                "log_level": 3,
            }
        )
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._wait, name=f"leader of {group}", daemon=True)
        self._thread.start()

    def __call__(self) -> bool:
        """Whether it is our turn."""
        return self._leads

    def close(self) -> None:
        """Leave the group, so that the next one need not wait."""
        self._closing.set()
        self._thread.join()
        self._leads = False
        self._consumer.close()

    def _wait(self) -> None:
        self._consumer.subscribe(
            [self._topic], on_assign=self._given, on_revoke=self._taken, on_lost=self._taken
        )
        while not self._closing.is_set():
            try:
                self._consumer.poll(_PAUSE_S)
            except KafkaException:
                self._closing.wait(_PAUSE_S)

    def _given(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(partitions)
        consumer.pause(partitions)  # being given it is all that counts
        if partitions:
            self._leads = True
            _log.info("leader.acts", topic=self._topic)

    def _taken(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if partitions:
            self._leads = False
            _log.info("leader.waits", topic=self._topic)
            consumer.incremental_unassign(partitions)

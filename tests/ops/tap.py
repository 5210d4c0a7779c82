"""Listening in on a topic of a shared broker: what was written to it since."""

from confluent_kafka import Consumer, KafkaException, TopicPartition

from pipeline import topology
from pipeline.kafka.admin import Admin
from tests.waiting import eventually


class Tap:
    """The messages of one topic from the moment the tap was made on."""

    def __init__(self, bootstrap, topic):
        self._topic = topic
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": "tap", "enable.auto.commit": False}
        )
        admin = Admin(bootstrap)
        if not admin.topics([topic]):
            spec = topology.load().topics[topic]
            admin.create(topic, spec.partitions, 1, {})
            eventually(self._has_leaders)
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": "tap", "enable.auto.commit": False}
        )
        self._topic = topic
        self._start = self._ends()

    def messages(self):
        """All of them up to now; in order within a partition."""
        ends = self._ends()
        wanted = sum(ends.values()) - sum(self._start.values())
        self._consumer.assign([TopicPartition(self._topic, p, start) for p, start in self._start.items()])
        found = []
        while len(found) < wanted:
            batch = self._consumer.consume(min(wanted - len(found), 10_000), timeout=10)
            assert batch, f"{len(found)} of {wanted} messages came"
            found += batch
        return found

    def close(self):
        """Let go of the broker."""
        self._consumer.close()

    def _has_leaders(self):
        try:
            return self._ends()
        except KafkaException:
            return None

    def _ends(self):
        partitions = self._consumer.list_topics(self._topic, timeout=10).topics[self._topic].partitions
        return {
            p: self._consumer.get_watermark_offsets(TopicPartition(self._topic, p), 10)[1] for p in partitions
        }

"""Stretches of topics, read once and in order. Nothing is committed or moved, and no group is joined."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from pipeline.errors import EngineError
from pipeline.kafka.bounds import Partition
from pipeline.kafka.client import hint, settings
from pipeline.kafka.messages import Incoming
from pipeline.kafka.unreadable import passed
from pipeline.wire.headers import headers_of

Span = tuple[int, int]
"""The first offset, and the one after the last."""

_TIMEOUT_S = 10.0
"""How long a broker may have nothing to say while there is something to be read."""


class Spans:
    """Reads from one cluster. Every method raises EngineError when Kafka does not answer; see `spans`."""

    def __init__(self, bootstrap: str, consumer: Consumer) -> None:
        self._bootstrap, self._consumer = bootstrap, consumer

    def whole(self, topic: str) -> dict[Partition, Span]:
        """What each partition of a topic holds now. The client is asked by a name that Kafka knows."""
        with self._talk(topic):
            found = self._consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
            if found.error is not None:
                raise KafkaException(found.error)
            return {
                (topic, partition): self._consumer.get_watermark_offsets(
                    TopicPartition(topic, partition), _TIMEOUT_S
                )
                for partition in found.partitions
            }

    def at_time(self, partitions: Mapping[Partition, int]) -> dict[Partition, int | None]:
        """By partition, the first record at this time (ms) or later; None when all are older."""
        with self._talk("offsets of a time"):
            # Kafka has other meanings for times before 1970
            asked = [TopicPartition(*place, max(0, at_ms)) for place, at_ms in partitions.items()]
            found = self._consumer.offsets_for_times(asked, _TIMEOUT_S)
            for one in found:
                if one.error is not None:
                    raise KafkaException(one.error)
        return {(one.topic, one.partition): one.offset if one.offset >= 0 else None for one in found}

    def messages(self, spans: Mapping[Partition, Span]) -> Iterator[Incoming]:
        """The messages of these spans, those of one partition in order; fewer where compaction left holes."""
        ends = {place: end for place, (start, end) in spans.items() if start < end}
        if not ends:
            return
        self._consumer.assign([TopicPartition(*place, spans[place][0]) for place in ends])
        deadline = time.monotonic() + _TIMEOUT_S
        try:
            while ends:
                for message in self._consume(deadline):
                    place = (message.topic() or "", message.partition() or 0)
                    offset, error = message.offset(), message.error()
                    if place not in ends or offset is None:
                        continue  # behind its end, or about the broker, which may come back in time
                    if error is None and offset < ends[place]:
                        yield _incoming(message)
                        deadline = time.monotonic() + _TIMEOUT_S  # of the broker, not of whoever reads
                    if offset < ends[place] - 1 and passed(self._consumer, message):
                        continue
                    if error is not None or offset >= ends[place] - 1:
                        del ends[place]
        finally:
            self._consumer.unassign()

    def _consume(self, deadline: float) -> list[Message]:
        with self._talk("messages"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing came for {_TIMEOUT_S:.0f} s")
            first = self._consumer.poll(0.1)  # `consume` would wait as long for more
            return [] if first is None else [first, *self._consumer.consume(499, timeout=0)]

    @contextmanager
    def _talk(self, about: str) -> Iterator[None]:
        try:
            yield
        except (KafkaException, TimeoutError) as error:
            if isinstance(error, KafkaException):
                missing = error.args[0].code() in (
                    KafkaError.UNKNOWN_TOPIC_OR_PART,
                    KafkaError._UNKNOWN_TOPIC,
                )
                creates = "`tideline topology apply` creates the topics"
                reason = error.args[0].str()
                next_ = hint(error.args[0], creates if missing else "tideline status")
            else:
                reason, next_ = str(error), "tideline status"
            raise EngineError(f"{about} cannot be read from {self._bootstrap}: {reason}", next_) from error


@contextmanager
def spans(bootstrap: str) -> Iterator[Spans]:
    """A reader of this cluster, until the block ends."""
    consumer = Consumer(
        {
            **settings(bootstrap),
            "group.id": "tideline.spans",  # required by the client, never committed or joined
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "log_level": 2,
        }
    )
    try:
        yield Spans(bootstrap, consumer)
    finally:
        consumer.close()


def _incoming(message: Message) -> Incoming:
    return Incoming(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        key=message.key(),
        value=message.value(),
        headers=[(name, value or b"") for name, value in headers_of(message)],
        timestamp_ms=message.timestamp()[1],
    )

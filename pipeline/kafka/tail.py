"""The newest messages of a topic, read once. Nothing is committed, moved or removed."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from pipeline.errors import EngineError
from pipeline.kafka.messages import Incoming

_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Tail:
    """Messages newest first, and how many the topic holds in all."""

    messages: list[Incoming]
    total: int


def tail(bootstrap: str, topic: str, limit: int) -> Tail:
    """The newest `limit` messages by the broker's time. Raises EngineError when Kafka does not answer."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "tideline.tail",  # required by the client, never committed or joined
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "log_level": 2,
        }
    )
    try:
        bounds = _bounds(consumer, topic)
        messages = _read(consumer, topic, bounds, limit)
    except (KafkaException, TimeoutError) as error:
        raise EngineError(f"{topic} cannot be read from {bootstrap}: {error}", "tideline status") from error
    finally:
        consumer.close()
    messages.sort(key=lambda one: (one.timestamp_ms, one.partition, one.offset), reverse=True)
    return Tail(messages[:limit], sum(high - low for low, high in bounds.values()))


def _bounds(consumer: Consumer, topic: str) -> dict[int, tuple[int, int]]:
    """By partition, its first offset and the one after its last."""
    found = consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
    if found.error is not None:
        raise KafkaException(found.error)
    return {
        partition: consumer.get_watermark_offsets(TopicPartition(topic, partition), _TIMEOUT_S)
        for partition in found.partitions
    }


def _read(
    consumer: Consumer, topic: str, bounds: Mapping[int, tuple[int, int]], limit: int
) -> list[Incoming]:
    """The last `limit` offsets of every partition; where compaction left holes, fewer messages."""
    starts = {partition: max(low, high - limit) for partition, (low, high) in bounds.items()}
    waiting = {partition for partition, start in starts.items() if start < bounds[partition][1]}
    found: list[Incoming] = []
    consumer.assign([TopicPartition(topic, partition, starts[partition]) for partition in waiting])
    deadline = time.monotonic() + _TIMEOUT_S
    while waiting:
        if time.monotonic() > deadline:
            raise TimeoutError(f"not read to its end in {_TIMEOUT_S:.0f} s")
        for message in consumer.consume(500, timeout=0.1):
            partition, offset, error = message.partition(), message.offset(), message.error()
            if partition is None or offset is None:
                continue  # about the broker, which may come back in time
            if error is None:
                found.append(_incoming(message, partition, offset))
            if error is not None or offset >= bounds[partition][1] - 1:
                waiting.discard(partition)
    return found


def _incoming(message: Message, partition: int, offset: int) -> Incoming:
    return Incoming(
        topic=message.topic() or "",
        partition=partition,
        offset=offset,
        key=message.key(),
        value=message.value(),
        headers=[
            (name, value or b"") for name, value in cast(list[tuple[str, bytes]], message.headers() or [])
        ],
        timestamp_ms=message.timestamp()[1],
    )

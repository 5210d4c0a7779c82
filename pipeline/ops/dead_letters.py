"""Reading back what could not be processed. Looks only: nothing is committed, moved or removed."""

import time
from dataclasses import dataclass
from operator import attrgetter

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from pipeline.errors import EngineError
from pipeline.kafka.dead_letters import TOPIC

_TIMEOUT_S = 10.0
_PREFIX = "__streams.errors."
_PREVIEW_BYTES = 32


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message nobody could process: where it is kept, why, and where it came from as its headers say."""

    partition: int
    offset: int
    kept_ms: int
    reason: str
    detail: str
    origin_topic: str
    origin_partition: str
    origin_offset: str
    key: bytes
    value: bytes

    @property
    def preview(self) -> str:
        """How the bytes begin, printable."""
        more = "…" if len(self.value) > _PREVIEW_BYTES else ""
        return str(self.value[:_PREVIEW_BYTES])[2:-1] + more

    def document(self) -> dict[str, object]:
        """What `tideline dlq list --json` prints."""
        return {
            "partition": self.partition,
            "offset": self.offset,
            "kept_at": self.kept_ms,
            "reason": self.reason,
            "detail": self.detail,
            "origin": {
                "topic": self.origin_topic,
                "partition": int(self.origin_partition) if self.origin_partition.isdigit() else None,
                "offset": int(self.origin_offset) if self.origin_offset.isdigit() else None,
            },
            "key": self.key.decode(errors="backslashreplace"),
            "bytes": len(self.value),
            "preview": self.preview,
        }


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest dead letters, newest first, and how many there are in all."""

    letters: list[DeadLetter]
    total: int


def newest(bootstrap: str, limit: int) -> Newest:
    """The newest `limit` dead letters. Raises EngineError when Kafka does not answer in time."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "tideline.dlq",  # required by the client, never committed or joined
            "enable.auto.commit": False,
            "log_level": 3,
        }
    )
    try:
        bounds = _bounds(consumer)
        starts = {partition: max(low, high - limit) for partition, (low, high) in bounds.items()}
        read = _read(consumer, starts, {partition: high for partition, (_, high) in bounds.items()})
    except (KafkaException, TimeoutError) as error:
        raise EngineError(f"{TOPIC} cannot be read from {bootstrap}: {error}", "tideline status") from error
    finally:
        consumer.close()
    letters = sorted(map(_letter, read), key=attrgetter("kept_ms", "partition", "offset"), reverse=True)
    return Newest(letters[:limit], sum(high - low for low, high in bounds.values()))


def _bounds(consumer: Consumer) -> dict[int, tuple[int, int]]:
    """By partition, its first offset and the one after its last."""
    found = consumer.list_topics(TOPIC, timeout=_TIMEOUT_S).topics[TOPIC]
    if found.error is not None:
        raise KafkaException(found.error)
    bounds = {}
    for partition in found.partitions:
        bounds[partition] = consumer.get_watermark_offsets(TopicPartition(TOPIC, partition), _TIMEOUT_S)
    return bounds


def _read(consumer: Consumer, starts: dict[int, int], ends: dict[int, int]) -> list[Message]:
    """Every message from these starts to these ends."""
    waiting = {partition for partition, start in starts.items() if start < ends[partition]}
    found: list[Message] = []
    consumer.assign([TopicPartition(TOPIC, partition, starts[partition]) for partition in waiting])
    deadline = time.monotonic() + _TIMEOUT_S
    while waiting:
        if time.monotonic() > deadline:
            raise TimeoutError(f"not read in {_TIMEOUT_S:.0f} s")
        for message in consumer.consume(500, timeout=0.1):
            partition, offset = message.partition(), message.offset()
            if message.error() is None and partition is not None and offset is not None:
                if offset < ends[partition]:
                    found.append(message)
                if offset >= ends[partition] - 1:
                    waiting.discard(partition)
    return found


def _letter(message: Message) -> DeadLetter:
    headers = dict(message.headers() or ())

    def said(name: str) -> str:
        value = headers.get(_PREFIX + name) or b""
        return value if isinstance(value, str) else value.decode(errors="backslashreplace")

    return DeadLetter(
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        kept_ms=message.timestamp()[1],
        reason=said("exception"),
        detail=said("message"),
        origin_topic=said("topic"),
        origin_partition=said("partition"),
        origin_offset=said("offset"),
        key=_bytes(message.key()),
        value=_bytes(message.value()),
    )


def _bytes(data: bytes | str | None) -> bytes:
    return data if isinstance(data, bytes) else (data or "").encode()

"""The newest messages of a topic, read once. Nothing is committed, moved or removed."""

from dataclasses import dataclass

from pipeline.kafka.messages import Incoming
from pipeline.kafka.spans import spans


@dataclass(frozen=True, slots=True)
class Tail:
    """Messages newest first, and how many the topic holds in all."""

    messages: list[Incoming]
    total: int


def tail(bootstrap: str, topic: str, limit: int) -> Tail:
    """The newest `limit` messages by the broker's time; fewer where compaction left holes among the last.

    Raises EngineError when Kafka does not answer.
    """
    with spans(bootstrap) as reader:
        whole = reader.whole(topic)
        last = {place: (max(low, high - limit), high) for place, (low, high) in whole.items()}
        messages = sorted(reader.messages(last), key=newest_last, reverse=True)
    return Tail(messages[:limit], sum(high - low for low, high in whole.values()))


def newest_last(message: Incoming) -> tuple[int, int, int]:
    """What messages of several partitions are sorted by."""
    return message.timestamp_ms, message.partition, message.offset

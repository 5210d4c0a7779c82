"""Reading back what could not be processed: `tideline dlq list`."""

from dataclasses import dataclass

from pipeline.kafka.dead_letters import TOPIC
from pipeline.kafka.messages import Incoming
from pipeline.kafka.tail import tail
from pipeline.names import HOME, Names

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


def newest(bootstrap: str, limit: int, names: Names = HOME) -> Newest:
    """The newest `limit` dead letters. Raises EngineError when Kafka does not answer."""
    found = tail(bootstrap, names.topic(TOPIC), limit)
    return Newest([_letter(message) for message in found.messages], found.total)


def _letter(message: Incoming) -> DeadLetter:
    headers = dict(message.headers)

    def said(name: str) -> str:
        return headers.get(_PREFIX + name, b"").decode(errors="backslashreplace")

    return DeadLetter(
        partition=message.partition,
        offset=message.offset,
        kept_ms=message.timestamp_ms,
        reason=said("exception"),
        detail=said("message"),
        origin_topic=said("topic"),
        origin_partition=said("partition"),
        origin_offset=said("offset"),
        key=message.key or b"",
        value=message.value or b"",
    )

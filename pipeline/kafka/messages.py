"""What a stage receives, and what it may refuse."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from pipeline.domain.order import Version

DEAD_LETTERS = "dead.letters"
"""The topic of what is kept because it could not be processed."""

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message as Kafka gave it. `timestamp_ms` is the broker's time for it; in the loop, of a dead letter
    that was replayed, the broker's time when it first came.

    `entered_ms`: when the broker had the event that its path began with; 0: with this message.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None = field(repr=False)
    headers: Sequence[tuple[str, bytes]]
    timestamp_ms: int
    entered_ms: int = 0


@dataclass(frozen=True, slots=True)
class Delivery(Generic[Record]):
    """A decoded message: the record, where it came from, and when its producer says it was published (ms)."""

    record: Record
    message: Incoming
    origin_ts: int

    @property
    def entered_ms(self) -> int:
        """When the broker had the event that this path began with."""
        return self.message.entered_ms or self.message.timestamp_ms


class _Event(Protocol):
    @property
    def at(self) -> int: ...


Event = TypeVar("Event", bound=_Event)


def version_of(delivery: Delivery[Event]) -> Version:
    """Where this event stands among those about the same thing: its time, then its place on the partition."""
    return Version(delivery.record.at, delivery.message.offset)


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that cannot be processed, now or ever: it goes to the dead letters with this reason, a
    RefusalReason or the name of an exception.

    `fault`: it breaks our code or an engine, where others are what their sender made them.
    """

    message: Incoming
    reason: str
    detail: str
    stacktrace: str = ""
    fault: bool = False

"""What the stages ask of Kafka: messages out, topics held whole, batches in. No client library stands here.

Each has an adapter (`outbox`, `view`, `loop`) and, but for the loop, a twin in `memory`; both are held to the
same contract tests (`tests/contract/test_topics.py`).
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pipeline.errors import EngineError, Unavailable, Unprocessable
from pipeline.kafka.messages import Delivery, Refused

Headers = Sequence[tuple[str, bytes]]
Record = TypeVar("Record")
Kind = TypeVar("Kind", contravariant=True)

Handler = Callable[[Sequence[Delivery[Any]]], Awaitable[Iterable[Refused]]]
"""A stage: takes a batch, returns what it refuses once the rest is durable; raises while engines are away."""


class NotDelivered(Unavailable):
    """The broker did not acknowledge a message within the delivery time-out."""


class NoSuchTopic(EngineError):  # noqa: N818 - what it is
    """There is no topic of this name, or none that this process may write to."""


class NotTaken(Unprocessable):
    """The topic does not take the message, and will not the next time."""


class TooLarge(NotTaken):
    """The message is larger than its topic takes."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message on its way. `partition` None: by murmur2 of the key, as Java clients do."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    partition: int | None = None


class Sender(Protocol):
    """What messages leave a process by."""

    async def send_all(self, messages: Iterable[Outgoing]) -> int:
        """Send messages in order and wait for all acknowledgements; returns how many.

        Raises for the first one that failed, the others may have been delivered: NotDelivered when the broker
        does not answer in time, NoSuchTopic or NotTaken when it refuses.
        """


class Kept(Protocol[Kind]):
    """What a view fills, from a thread of its own."""

    def put(self, key: bytes, record: Kind | None) -> None:
        """The newest record under this key; None: it was taken out."""


class KeyedView(Protocol[Record]):
    """A topic held whole, or followed from its end: the newest record of each key. From any thread."""

    topic: str

    def get(self, key: int | str) -> Record | None:
        """The newest record under this key."""

    def values(self) -> list[Record]:
        """The newest record of every key."""

    def positions(self) -> dict[int, int]:
        """By partition, the next offset to be read."""

    def age_s(self) -> float:
        """Seconds since this view was known to hold everything the broker had acknowledged."""

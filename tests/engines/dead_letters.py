"""Reading dead letters as KIP-1034 has them: the bytes untouched, origin and reason in the headers."""

from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import Message

from tests.engines.harness import Instance
from tests.waiting import eventually

_PREFIX = "__streams.errors."


@dataclass(frozen=True)
class Letter:
    """A dead letter: what it was, where it came from, and why it is here."""

    key: bytes | None
    value: bytes | None
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str


def letters(instance: Instance, since: Mapping[tuple[str, int], int]) -> list[Letter]:
    """The dead letters kept since, oldest first in each partition."""
    return [_letter(message) for message in instance.messages(since) if message.topic() == "dead.letters"]


def letter_of(instance: Instance, value: bytes | None, since: Mapping[tuple[str, int], int]) -> Letter:
    """The one dead letter with these bytes, once it is there."""
    return eventually(lambda: [one for one in letters(instance, since) if one.value == value], 60)[0]


def _letter(message: Message) -> Letter:
    headers = {name: value.decode() for name, value in message.headers() or ()}
    return Letter(
        message.key(),
        message.value(),
        headers[_PREFIX + "topic"],
        int(headers[_PREFIX + "partition"]),
        int(headers[_PREFIX + "offset"]),
        headers[_PREFIX + "exception"],
        headers[_PREFIX + "message"],
    )

"""Nothing is dropped in silence: what cannot be processed is kept with its original bytes and its origin.

Topic `dead.letters`, headers as in KIP-1034, key and value untouched. A message is the same dead letter
however often it is processed again: topic, partition and offset name its origin.
"""

from collections.abc import Iterable
from dataclasses import replace

from pipeline.kafka.messages import Refused
from pipeline.kafka.outbox import Outbox, Outgoing, TooLarge

TOPIC = "dead.letters"
_PREFIX = "__streams.errors."

_LONGEST = 4096
"""Characters of a reason: an error may quote a whole message, and the dead letter must still fit."""

_KEPT = 512 * 1024
"""Bytes of a value that is too large for the topic: half of what an unconfigured broker takes."""


def dead_letter(refused: Refused) -> Outgoing:
    """The message to keep."""
    origin = refused.message
    fields = {
        "exception": refused.reason,
        "message": refused.detail,
        "stacktrace": refused.stacktrace,
        "topic": origin.topic,
        "partition": str(origin.partition),
        "offset": str(origin.offset),
    }
    errors = [
        (_PREFIX + name, text[:_LONGEST].encode(errors="backslashreplace")) for name, text in fields.items()
    ]
    kept = [(name, value) for name, value in origin.headers if not name.startswith(_PREFIX)]
    return Outgoing(TOPIC, origin.value, origin.key, [*kept, *errors])


def cut(letter: Outgoing) -> Outgoing:
    """What is kept of a dead letter too large for the topic: its reason, how large it was, and its beginning.

    The whole is still where it came from, as long as its topic keeps it.
    """
    value = letter.value or b""
    errors = [(name, text) for name, text in letter.headers if name.startswith(_PREFIX)]
    size = (_PREFIX + "size", b"%d" % len(value))
    return replace(letter, value=value[:_KEPT], key=(letter.key or b"")[:_LONGEST], headers=[*errors, size])


class DeadLetters:
    """Where a stage puts what it refuses."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def keep(self, refused: Iterable[Refused]) -> int:
        """Keep these; returns how many once the broker has acknowledged them."""
        letters = [dead_letter(one) for one in refused]
        try:
            return await self._outbox.send_all(letters)
        except TooLarge:
            return sum([await self._keep_what_fits(letter) for letter in letters])

    async def _keep_what_fits(self, letter: Outgoing) -> int:
        """By itself, so that only the large one is cut."""
        try:
            return await self._outbox.send_all([letter])
        except TooLarge:
            return await self._outbox.send_all([cut(letter)])

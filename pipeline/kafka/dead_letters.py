"""Nothing is dropped in silence: what cannot be processed is kept with its original bytes and its origin.

Topic `dead.letters`, headers as in KIP-1034, key and value untouched. A message is the same dead letter
however often it is processed again: topic, partition and offset name its origin. It also carries when it
came, so that a replay after a fix is judged as of then, however long the fix took.
"""

from collections.abc import Iterable
from dataclasses import replace

from pipeline.kafka.messages import DEAD_LETTERS, Refused
from pipeline.kafka.ports import Outgoing, Sender, TooLarge
from pipeline.telemetry import metrics
from pipeline.wire.headers import APPENDED_AT, ERRORS, own_headers

_MAX_CHARACTERS = 4096
"""Characters of a reason: an error may quote a whole message, and the dead letter must still fit."""

_MAX_VALUE_BYTES = 512 * 1024
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
        (ERRORS + name, text[:_MAX_CHARACTERS].encode(errors="backslashreplace"))
        for name, text in fields.items()
    ]
    came = (APPENDED_AT, b"%d" % origin.timestamp_ms)
    return Outgoing(DEAD_LETTERS, origin.value, origin.key, [*own_headers(origin.headers), *errors, came])


def cut(letter: Outgoing) -> Outgoing:
    """What is kept of a dead letter too large for the topic: its reason, how large it was, and its beginning.

    The whole is still where it came from, as long as its topic keeps it.
    """
    value = letter.value or b""
    errors = [(name, text) for name, text in letter.headers if name.startswith(ERRORS)]
    size = (ERRORS + "size", b"%d" % len(value))
    return replace(
        letter,
        value=value[:_MAX_VALUE_BYTES],
        key=(letter.key or b"")[:_MAX_CHARACTERS],
        headers=[*errors, size],
    )


class DeadLetters:
    """Where a stage puts what it refuses."""

    def __init__(self, outbox: Sender) -> None:
        self._outbox = outbox

    async def keep(self, refused: Iterable[Refused]) -> int:
        """Keep these; returns how many once the broker has acknowledged them."""
        refused = list(refused)
        letters = [dead_letter(one) for one in refused]
        try:
            kept = await self._outbox.send_all(letters)
        except TooLarge:
            kept = sum([await self._keep_what_fits(letter) for letter in letters])
        for one in refused:
            metrics.DEAD_LETTERS.labels(one.message.topic).inc()
        return kept

    async def _keep_what_fits(self, letter: Outgoing) -> int:
        """By itself, so that only the large one is cut."""
        try:
            return await self._outbox.send_all([letter])
        except TooLarge:
            return await self._outbox.send_all([cut(letter)])

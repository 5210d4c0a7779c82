"""Nothing is dropped in silence: what cannot be processed is kept with its original bytes and its origin.

Topic `dead.letters`, headers as in KIP-1034, key and value untouched. A message is the same dead letter
however often it is processed again: topic, partition and offset name its origin.
"""

from collections.abc import Iterable

from pipeline.kafka.messages import Refused
from pipeline.kafka.outbox import Outbox, Outgoing

TOPIC = "dead.letters"
_PREFIX = "__streams.errors."

_LONGEST = 4096
"""Characters of a reason: an error may quote all of a message, and the dead letter must still fit its topic."""


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


class DeadLetters:
    """Where a stage puts what it refuses."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def keep(self, refused: Iterable[Refused]) -> int:
        """Keep these; returns how many once the broker has acknowledged them."""
        return await self._outbox.send_all(dead_letter(one) for one in refused)

"""Rebuild: a reader whose rows are lost is pulled for again, and a backfill writes them anew (D1).

What is sent is an event on `reader.marks`: the readers stage gives the reader a bound above all that was
pushed, and from then on pages pull what rows may lack. So a feed is right from the first moment, and cheap
again once the backfill has caught up. A dormant reader has nothing to rebuild: everything is pulled for them.
"""

from collections.abc import AsyncIterable, AsyncIterator, Sequence

from pipeline.config.names import HOME, Names
from pipeline.kafka.emit import Emit
from pipeline.kafka.outbox import Outbox
from pipeline.wire.enums import EventType
from pipeline.wire.records import ActivityEvent

_BATCH = 1_000


async def rebuild(
    kafka: str, readers: AsyncIterable[int], at: int, names: Names = HOME
) -> AsyncIterator[int]:
    """Have the timelines of these readers written anew as of now; yields how many were asked for."""
    async with Outbox(kafka, names) as outbox:
        emit = Emit(outbox, names.stage("rebuild"))
        waiting: list[int] = []
        sent = 0
        async for reader in readers:
            waiting.append(reader)
            if len(waiting) == _BATCH:
                sent += await _send(emit, waiting, at)
                waiting = []
                yield sent
        yield sent + await _send(emit, waiting, at)


async def _send(emit: Emit, readers: Sequence[int], at: int) -> int:
    return await emit.all(
        emit.event("reader.marks", str(reader), ActivityEvent(EventType.REBUILD, reader, at), at_ms=at)
        for reader in readers
    )

"""Classes forced on authors by an operator: topic `routing.forced`, a key each, a tombstone for a release.

Classify holds the topic whole and goes by it from the author's next post on. Posts already classified keep
the class they have: forcing never moves what was pushed or pulled before.
"""

from pipeline.config.names import HOME, Names
from pipeline.kafka.emit import Emit
from pipeline.kafka.outbox import Outbox
from pipeline.wire.records import ForcedClass

TOPIC = "routing.forced"


async def force(bootstrap: str, forced: ForcedClass, names: Names = HOME) -> None:
    """Put the class in force; returns when the broker has acknowledged it."""
    async with Outbox(bootstrap, names) as outbox:
        emit = Emit(outbox, names.stage("routing"))
        await emit.all([emit.event(TOPIC, str(forced.author_id), forced, at_ms=forced.at)])


async def release(bootstrap: str, author_id: int, names: Names = HOME) -> None:
    """Take it back, if there is one; returns when the broker has acknowledged it."""
    async with Outbox(bootstrap, names) as outbox:
        emit = Emit(outbox, names.stage("routing"))
        await emit.all([emit.tombstone(TOPIC, str(author_id))])

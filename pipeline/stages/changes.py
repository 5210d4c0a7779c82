"""Changes: what stages tell those who keep pages and parts of pages in memory.

Writes     page.changes, after the tables hold a change and before the event behind it is acknowledged
Guarantee  an acknowledged event has been told. So a stage names whom its events are about, not what they
           changed: after a crash the tables hold the change already, and nobody may have been told
Replay     tells it again, and costs a read of what is dropped
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any
from zlib import crc32

from pipeline.kafka.emit import Emit
from pipeline.kafka.messages import Delivery
from pipeline.kafka.ports import Outgoing
from pipeline.wire.records import PageChange

TOPIC = "page.changes"

MAX_IDS = 1000
"""Ids of a message at most: 10 KB, and a batch of follows names a few hundred thousand readers."""


async def tell(
    emit: Emit,
    batch: Sequence[Delivery[Any]],
    *,
    readers: Iterable[int] = (),
    authors: Iterable[int] = (),
    posts: Iterable[int] = (),
) -> None:
    """Send what `messages` makes of the same. Nothing is sent when it is nobody."""
    await emit.all(messages(emit, batch, readers=readers, authors=authors, posts=posts))


def messages(
    emit: Emit,
    batch: Sequence[Delivery[Any]],
    *,
    readers: Iterable[int] = (),
    authors: Iterable[int] = (),
    posts: Iterable[int] = (),
) -> Iterator[Outgoing]:
    """What this batch was about: readers whose state, edges or relations may be others now, authors who have
    new posts, posts that are shown differently or not at all.
    """
    kinds = {"reader": set(readers), "author": set(authors), "post": set(posts)}
    return (
        message for kind, ids in kinds.items() if ids for message in _messages(emit, kind, ids, batch[-1])
    )


def _messages(emit: Emit, kind: str, ids: Collection[int], cause: Delivery[Any]) -> Iterator[Outgoing]:
    ordered = sorted(ids)
    for first in range(0, len(ordered), MAX_IDS):
        change = PageChange(kind, tuple(ordered[first : first + MAX_IDS]), cause.message.timestamp_ms)
        # a replay cuts its batches elsewhere: what one message causes is told apart by what it says
        yield emit.message(TOPIC, kind, change, source=cause, part=crc32(repr(change.ids).encode()))

"""What stages have to do with repairs: sending tasks, a step of one, and posts of which no row is due."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from pipeline.domain import repair
from pipeline.domain.merge import Row
from pipeline.domain.routing import class_of, entries_of
from pipeline.kafka.emit import Emit
from pipeline.kafka.messages import Delivery
from pipeline.kafka.ports import Outgoing
from pipeline.store.ports import PostStore, Stores
from pipeline.wire.records import AuthorClass, RepairTask

Task = Delivery[RepairTask]

BACKFILL, RETRACT = "fanout.backfill", "fanout.retract"


def messages(
    emit: Emit, topic: str, key: str, tasks: Iterable[RepairTask], cause: Delivery[Any]
) -> list[Outgoing]:
    """These tasks, caused by one message, on the partition of this key."""
    return [emit.message(topic, key, task, source=cause, part=part) for part, task in enumerate(tasks)]


async def gone(posts: PostStore, post_ids: Sequence[int]) -> set[int]:
    """Those of these posts that nobody but their author may see. Who stores a post or a reader's bound asks
    after it, and who removes rows looks for them after what it removes was stored, so that one sees the
    other.
    """
    return {post.post_id for post in (await posts.posts(post_ids)).values() if post.gone}


async def pushed(stores: Stores, author_id: int, lo: int, hi: int, limit: int) -> tuple[list[Row], list[int]]:
    """The newest posts of an author with lo <= id < hi, and those of them that may have rows in timelines."""
    rows = await stores.posts.recent(author_id, lo, hi, limit)
    entries = entries_of(await stores.routes.routes([author_id]), author_id)
    return rows, [row.post_id for row in rows if class_of(row.post_id, entries) is not AuthorClass.PULL]


async def steps(
    batch: Sequence[Task],
    emit: Emit,
    topic: str,
    step: Callable[[RepairTask], Awaitable[Iterable[RepairTask]]],
) -> None:
    """One step of each task; what is left goes back under the key it came with, to the same partition."""

    async def one(delivery: Task) -> list[RepairTask]:
        task, others = repair.split(delivery.record)
        return [*await step(task), *([others] if others else [])]

    left = await asyncio.gather(*map(one, batch))
    await emit.all(
        message
        for cause, tasks in zip(batch, left, strict=True)
        for message in messages(emit, topic, (cause.message.key or b"").decode(), tasks, cause)
    )

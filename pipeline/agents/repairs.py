"""What the two repair stages, `backfill` and `retract`, share: a task, one step of it, what is left of it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from pipeline.domain import repair
from pipeline.kafka.emit import Emit
from pipeline.kafka.messages import Delivery
from pipeline.records import RepairTask

Task = Delivery[RepairTask]


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
        emit.message(topic, (cause.message.key or b"").decode(), task, source=cause, part=part)
        for cause, tasks in zip(batch, left, strict=True)
        for part, task in enumerate(tasks)
    )

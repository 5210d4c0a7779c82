"""The fenced change of a segment, and many of them at once. Part of the graph stage."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from pipeline.domain.edges import SegmentPlan
from pipeline.store.ports import GraphStore
from pipeline.store.values import SegmentChange


async def change_segment(
    store: GraphStore, author_id: int, segment: int, wanted: SegmentPlan, live: int | None
) -> int | None:
    """Make the segment as wanted; returns its live count.

    A lost race or a doubt means: look who is there, and try again.
    """
    check = wanted.check
    while True:
        add, remove, warm = wanted.add, wanted.remove, wanted.warm
        if check:
            touched = [*add, *remove, *warm]
            present = await store.members(author_id, segment, touched)
            add = [reader for reader in add if reader not in present]
            remove = [reader for reader in remove if reader in present]
            warm = {reader: since for reader, since in warm.items() if reader in present}
        if not add and not remove and not warm:
            return live
        change = SegmentChange(author_id, segment, live, tuple(add), tuple(remove), tuple(warm.items()))
        if await store.change_segment(change):
            return change.live
        fresh = await store.segment_lives(author_id, segment + 1)
        live, check = fresh[segment], True


async def together(changes: Iterable[Coroutine[Any, Any, None]]) -> None:
    """All at once; when one fails none goes on, so that none of them meets the next attempt."""
    try:
        async with asyncio.TaskGroup() as group:
            for change in changes:
                group.create_task(change)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None

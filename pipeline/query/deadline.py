"""The time a page may take, and how its stages share it: a stage is cut, not the page (`query`)."""

import asyncio
import time
from collections.abc import Awaitable, Collection
from typing import TypeVar

from pipeline.errors import Unavailable, Unprocessable

Result = TypeVar("Result")

LONGEST_S = 2.0
"""What a page may take that has looked, and found nothing to show yet."""


class Deadline:
    """Begins now. `timeout_ms` None: nothing is ever cut, and what the store says is raised."""

    def __init__(self, timeout_ms: int | None) -> None:
        self._began = time.perf_counter()
        self._total_s = None if timeout_ms is None else timeout_ms / 1000

    def left(self, share: float) -> float | None:
        """Seconds until this share of the time has passed, 0 when it has; None without a deadline."""
        if self._total_s is None:
            return None
        return max(self._began + self._total_s * share - time.perf_counter(), 0.0)

    def reaches(self, share: float, seconds: float) -> bool:
        """Whether this share of the whole time is no more than so many seconds."""
        return self._total_s is not None and self._total_s * share <= seconds

    def extend(self) -> None:
        """From now on this is a page that has to find something first: late is better than empty."""
        if self._total_s is not None:
            self._total_s = max(self._total_s, LONGEST_S)

    def spent(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self._began

    async def within(self, share: float, work: Awaitable[Result]) -> Result | None:
        """What this gives until then; None when it is cut, or fails for want of the store."""
        left = self.left(share)
        if left is None:
            return await work
        try:
            async with asyncio.timeout(left):
                return await work
        except (TimeoutError, Unavailable, Unprocessable):
            return None

    async def finish(
        self, share: float, tasks: Collection["asyncio.Task[Result]"]
    ) -> list["asyncio.Task[Result]"]:
        """Wait for these until then; returns those that were cut, or failed for want of the store."""
        left = self.left(share)
        if left is None:
            await asyncio.gather(*tasks)
            return []
        await asyncio.wait(tasks, timeout=left)
        lost: list[asyncio.Task[Result]] = []
        for task in tasks:
            if not task.done():
                task.cancel()
                lost.append(task)
            elif isinstance(task.exception(), (Unavailable, Unprocessable)):
                lost.append(task)
            else:
                task.result()
        return lost

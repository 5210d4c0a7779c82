"""The time a page may take, and how its reads share it: a read is cut, not the page (`load`)."""

import asyncio
import time
from collections.abc import Awaitable, Collection
from dataclasses import dataclass, field, replace
from typing import TypeVar

from pipeline.errors import Unavailable, Unprocessable

Result = TypeVar("Result")

LONGEST_S = 2.0
"""What a page may take that has looked, and found nothing to show yet."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """Begins now. `total_s` None: nothing is ever cut, and what the store says is raised."""

    total_s: float | None
    began: float = field(default_factory=time.perf_counter)

    def left(self, share: float) -> float | None:
        """Seconds until this share of the time has passed, 0 when it has; None without a deadline."""
        if self.total_s is None:
            return None
        return max(self.began + self.total_s * share - time.perf_counter(), 0.0)

    def reaches(self, share: float, seconds: float) -> bool:
        """Whether this share of the whole time is no more than so many seconds."""
        return self.total_s is not None and self.total_s * share <= seconds

    def extended(self) -> "Deadline":
        """That of a page that has to find something first: late is better than empty."""
        return self if self.total_s is None else replace(self, total_s=max(self.total_s, LONGEST_S))

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

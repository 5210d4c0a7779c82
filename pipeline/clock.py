"""Time, read at the edges and passed as an argument to the rules. Nothing else reads the wall clock."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """The time of a process."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""

    def monotonic_s(self) -> float:
        """Seconds since some moment, never back: for how long things take."""

    async def sleep(self, seconds: float) -> None:
        """Return when so many seconds are over."""


class WallClock:
    """The time of this machine."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Seconds since this machine was started."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Let others have the event loop for so long."""
        await asyncio.sleep(seconds)


CLOCK = WallClock()
now_ms = CLOCK.now_ms

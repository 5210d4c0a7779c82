"""The pace of repairs: so many rows a second, and none while a live tier is behind (D1).

Repairs catch up with the past; posts of now go first. A repair that waits is not acknowledged, so nothing is
lost by waiting, and its age counts against the budget of its own tier.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

_LOOK_S = 0.25


@dataclass(slots=True)
class Pace:
    """`rows_per_s`: the most over time; `busy`: whether live tiers need the store for themselves now."""

    rows_per_s: int
    busy: Callable[[], bool]
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep)
    _free_at: float = 0.0

    async def take(self, rows: int) -> None:
        """Return when this many rows may be written. One second's worth may be taken at once after a rest."""
        while self.busy():
            await self.sleep(_LOOK_S)
        now = self.clock()
        self._free_at = max(self._free_at, now - 1.0) + rows / self.rows_per_s
        if self._free_at > now:
            await self.sleep(self._free_at - now)

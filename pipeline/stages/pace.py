"""The pace of a stage: so many rows a second, and none while it is held.

Repairs catch up with the past; posts of now go first (D1). What waits is not acknowledged, so nothing is lost
by waiting, and its age counts against the budget of its own tier.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.clock import Clock
from pipeline.kafka.messages import Delivery, Refused
from pipeline.kafka.ports import Handler

_LOOK_S = 0.25


@dataclass(slots=True)
class Pace:
    """`rows_per_s`: the most over time; `busy`: whether live tiers need the store for themselves now."""

    rows_per_s: int
    busy: Callable[[], bool]
    clock: Clock
    _free_at: float = 0.0

    async def take(self, rows: int) -> None:
        """Return when this many rows may be written. One second's worth may be taken at once after a rest."""
        await _not_while(self.busy, self.clock)
        now = self.clock.monotonic_s()
        self._free_at = max(self._free_at, now - 1.0) + rows / self.rows_per_s
        if self._free_at > now:
            await self.clock.sleep(self._free_at - now)


def holding(handle: Handler, held: Callable[[], bool], clock: Clock) -> Handler:
    """The same stage, but for batches that come while it is held: those wait."""

    async def waiting(batch: Sequence[Delivery[Any]]) -> Iterable[Refused]:
        await _not_while(held, clock)
        return await handle(batch)

    return waiting


async def _not_while(held: Callable[[], bool], clock: Clock) -> None:
    while held():
        await clock.sleep(_LOOK_S)

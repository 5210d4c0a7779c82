"""Which tiers are behind, and since when: what the audit asks before it calls a post missing."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from pipeline.control.lag import Lag, breached
from pipeline.kafka.offsets import Offsets
from pipeline.path import tier_of, tier_stage
from pipeline.topology import Topology

_LOOK_S = 1.0
"""How old an answer may be: many readers are audited at once, and one look is enough for all."""


class TiersBehind:
    """Awaited: by tier that has broken its lag budget, when its oldest unprocessed record was published (ms).

    A tier of which that is not known is not named.
    """

    def __init__(self, lag: Lag) -> None:
        self._lag = lag
        self._turn = asyncio.Lock()
        self._found: Mapping[str, int] = {}
        self._until = 0.0

    async def __call__(self) -> Mapping[str, int]:
        """How they stand, off the event loop."""
        async with self._turn:
            if time.monotonic() >= self._until:
                self._found = await asyncio.to_thread(self._look)
                self._until = time.monotonic() + _LOOK_S
            return self._found

    def _look(self) -> Mapping[str, int]:
        return {
            tier: min(known)
            for stage in self._lag.snapshot()
            if (tier := tier_of(stage.stage)) is not None
            and breached([stage])
            and (known := [one.oldest_ms for one in stage.partitions if one.oldest_ms is not None])
        }


@contextmanager
def tiers_behind(kafka: str, topology: Topology, now_ms: Callable[[], int]) -> Iterator[TiersBehind]:
    """Looks at the tiers of this topology until the block ends."""
    with Offsets(kafka) as offsets:
        tiers = [tier_stage(tier) for tier in topology.tiers]
        yield TiersBehind(Lag(offsets, topology, now_ms=now_ms, only=tiers))

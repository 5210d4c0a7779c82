"""The watchdog of a stage: ends the process when it has stalled, so that the supervisor starts it afresh.

Nothing is lost by that: what is not acknowledged is processed again. It looks only while the stage is idle.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence

from pipeline.domain.stalls import Partition, StallSample, stuck_since
from pipeline.kafka.offsets import Offsets

STALLED_S = 30.0
"""Longer than a rebalance, which takes a session time-out of 10 s when a member was killed."""

BEREFT_S = 20.0
"""The same for a worker without a partition: to a broker that comes back, topics may be unknown for a moment,
and a group that is assigned right then stays without any.
"""

LOOK_S = 5.0


class Watchdog:
    """`assigned`: the partitions this worker has; `places`: all there are; `idle_s`: seconds without work."""

    def __init__(
        self,
        kafka: str,
        group: str,
        places: Sequence[Partition],
        assigned: Callable[[], Collection[Partition]],
        idle_s: Callable[[], float],
    ) -> None:
        self._kafka, self._group, self._places = kafka, group, places
        self._assigned, self._idle_s = assigned, idle_s

    async def bark(self) -> str:
        """Return once the stage has stalled, with what is to be said of it."""
        with Offsets(self._kafka) as offsets:
            stuck: tuple[float, StallSample] | None = None
            while True:
                await asyncio.sleep(LOOK_S)
                if self._idle_s() < LOOK_S:
                    stuck = None
                    continue
                look = await asyncio.to_thread(self._look, offsets)
                stuck = stuck_since(stuck, look)
                stuck_s = 0.0 if stuck is None else look.at_s - stuck[0]
                if stuck_s >= (STALLED_S if self._assigned() else BEREFT_S):
                    return _in_words(look, stuck_s)

    def _look(self, offsets: Offsets) -> StallSample:
        places = list(self._assigned()) or self._places
        found = offsets.committed({self._group: places})
        committed = {place: found[self._group, place] for place in places if (self._group, place) in found}
        ends = {place: end for place, end in offsets.ends(places).items() if place in committed}
        ends = offsets.with_records({place: committed[place] or 0 for place in ends}, ends)
        return StallSample(time.monotonic(), self._idle_s(), committed, ends)


def _in_words(look: StallSample, stuck_s: float) -> str:
    topic, partition = min(look.waiting)
    records = sum(look.waiting.values())
    return (
        f"nothing was processed for {stuck_s:.0f} s while {records} records wait, the first at"
        f" {topic}/{partition} offset {look.committed.get((topic, partition)) or 0}; none is lost"
    )

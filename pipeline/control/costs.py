"""Costs: what stages measure of their own work, told to classify, which weighs pushing against pulling by it.

Reads      nothing
Writes     costs, key measure@stage: a moving mean, told again once it has moved by a fifth
Guarantee  none: best effort, nothing waits for it; without samples authors are classed by followers alone
Replay     there is nothing to replay: the newest sample counts
"""

import time
from collections.abc import Callable, Mapping, Sequence

from pipeline.clock import Clock
from pipeline.domain import cost
from pipeline.errors import EngineError, Unavailable
from pipeline.kafka.emit import Emit
from pipeline.store.ports import TimelineStore
from pipeline.store.values import Push
from pipeline.telemetry import metrics
from pipeline.wire.records import CostSample

TOPIC = "costs"

Measures = Mapping[str, Callable[[], float | None]]
"""By `measure@stage`, what it is now; None: not measured yet."""

SHOWN = {cost.ROW: metrics.ROW_COST, cost.PULL: metrics.PULL_COST}
"""What is exported as well, by measure."""

EVERY_S = 10.0
"""Seconds between two looks at what was measured."""

MAX_READERS = 100_000
"""Readers that the rate of reads is taken from: enough for a mean, and a few MB."""

SETTLED_S, SPAN_S = 60.0, 3600.0
"""A rate of reads is told after the one, and taken anew after the other: in a shorter span only those who
read often are seen at all, and the rate would be theirs."""


class MeanCost:
    """The cost of a unit of work. `memory`: after about so many units the past is forgotten."""

    def __init__(self, memory: float) -> None:
        self._memory = memory
        self._mean = cost.Mean()

    def observe(self, seconds: float, units: int) -> None:
        """So many units took so long together."""
        if units > 0:
            self._mean = self._mean.after(seconds, units, self._memory)

    def __call__(self) -> float | None:
        """Seconds a unit; None while too little was seen."""
        return self._mean.value


class MeasuredTimelines:
    """Timelines that tell what a row costs to write."""

    def __init__(self, store: TimelineStore, row: MeanCost) -> None:
        self._store, self._row = store, row
        self.retract, self.timeline = store.retract, store.timeline
        self.forget_timeline = store.forget_timeline

    async def push(self, pushes: Sequence[Push]) -> int:
        """As `TimelineStore.push`, measured."""
        began = time.perf_counter()
        written = await self._store.push(pushes)
        self._row.observe(time.perf_counter() - began, written)
        return written


class ReadRate:
    """Pages a second that one reader asks for, among those who ask at all. `clock` in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._settled: float | None = None
        self._begin(clock())

    def _begin(self, now: float) -> None:
        self._since, self._pages = now, 0
        self._readers: set[int] = set()

    def saw(self, reader_id: int) -> None:
        """A reader asks for a page."""
        if reader_id in self._readers or len(self._readers) < MAX_READERS:
            self._readers.add(reader_id)
            self._pages += 1

    def __call__(self) -> float | None:
        """Pages a second and reader; None while too little was seen."""
        now = self._clock()
        span = now - self._since
        if not self._readers or span < (SETTLED_S if self._settled is None else SPAN_S):
            return self._settled
        rate = self._pages / len(self._readers) / span
        if span >= SPAN_S:
            self._settled = rate
            self._begin(now)
        return rate


async def tell(measures: Measures, emit: Emit, clock: Clock) -> None:
    """Tell what was measured until cancelled."""
    told: dict[str, float] = {}
    while True:
        await clock.sleep(EVERY_S)
        now = {name: measure() for name, measure in measures.items()}
        _show(now)
        fresh = cost.news(told, now)
        at = clock.now_ms()
        try:
            await emit.all(
                emit.event(TOPIC, name, CostSample(name, value, at), at_ms=at)
                for name, value in fresh.items()
            )
        except (Unavailable, EngineError):
            continue  # told the next time
        told |= fresh


def _show(measured: Mapping[str, float | None]) -> None:
    for name, value in measured.items():
        measure, _, stage = name.partition("@")
        if value is not None and measure in SHOWN:
            SHOWN[measure].labels(stage).set(value)

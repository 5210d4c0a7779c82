"""How long a backlog takes with more workers, and how many workers, partitions or seconds of budget it needs.

    drain time = backlog of the busiest worker / (what a worker does a second - what arrives for it a second)

A partition has one worker, so of P partitions W workers have ceil(P / W) at most: 3 workers on 4 partitions
are no faster than 2, and a worker without a partition is idle. The busiest is taken to have the partitions
with the most backlog, so a drain time is an upper bound as far as that goes.

What is assumed: work goes on arriving as in the sample, every worker does what one did in the sample, and
workers share the CPUs that were seen. `headroom` says how many times the work of all processes on the machine
fits on it (cores / cores in use): beyond it workers only take turns, and none is advised. A worker that waits
for the store has headroom; one that computes on a busy machine has none, and the advice says so.

`tests/domain/test_capacity.py` holds it against a simulation of partitions, workers and arrivals.
"""

import math
from dataclasses import dataclass

NEVER = math.inf
"""The drain time of what grows."""

_NO_GAIN = 0.95
"""More workers count as faster when the drain time falls below this share."""


@dataclass(frozen=True, slots=True)
class Load:
    """A stage as it was seen, in any unit of work: records, segments, deliveries.

    `backlog` by partition. `arrival`: units a second, over all partitions alike. `service`: units a second of
    one worker that has enough to do. `headroom` None: the machines of the workers were not seen.
    """

    backlog: tuple[float, ...]
    arrival: float
    service: float
    workers: int
    headroom: float | None = None

    @property
    def partitions(self) -> int:
        """The most workers that have something to do."""
        return len(self.backlog)


@dataclass(frozen=True, slots=True)
class DrainTime:
    """What so many workers make of a load: the busiest one's `share` of partitions, backlog and arrival."""

    workers: int
    share: int
    backlog: float
    arrival: float
    service: float
    seconds: float

    def __str__(self) -> str:
        sum_ = f"{self.backlog:,.0f} / ({self.service:,.1f}/s - {self.arrival:,.1f}/s)"
        return f"{sum_} = {'never' if self.seconds == NEVER else f'{self.seconds:,.1f} s'}"


def drain(load: Load, workers: int) -> DrainTime:
    """How long until nothing of the load is left, with so many workers; at least one."""
    share = math.ceil(load.partitions / workers)
    backlog = sum(sorted(load.backlog, reverse=True)[:share])
    arrival = load.arrival * share / load.partitions
    service = _service(load, min(workers, load.partitions))
    spare = service - arrival
    seconds = backlog / spare if spare > 0 else NEVER
    return DrainTime(workers, share, backlog, arrival, service, seconds)


def _service(load: Load, workers: int) -> float:
    """What each of so many workers does a second: less when they would share CPUs that are in use already."""
    if load.headroom is None or workers <= load.workers or not load.workers:
        return load.service
    return min(load.service, load.service * load.workers * max(1.0, load.headroom) / workers)


@dataclass(frozen=True, slots=True)
class Advice:
    """What to change; None: nothing. `options`: with the workers of now and more, each faster than the last.

    `best`: the first that drains within the time asked for, else the fastest. `partitions`: as many as would
    do it next time; what waits now stays where it is. `lag_budget_s`: a burst like this one holds it with
    `best`.
    """

    options: tuple[DrainTime, ...]
    best: DrainTime
    workers: int | None
    partitions: int | None
    lag_budget_s: int | None


def advise(load: Load, within_s: float, lag_budget_s: float | None) -> Advice:
    """What drains the load within so many seconds; the fewest workers that do."""
    options = [drain(load, max(1, load.workers))]
    for workers in range(options[0].workers + 1, load.partitions + 1):
        more = drain(load, workers)
        if more.seconds < options[-1].seconds * _NO_GAIN or (
            options[-1].seconds == NEVER and more.seconds < NEVER
        ):
            options.append(more)
    best = next((one for one in options if one.seconds <= within_s), options[-1])
    missed = best.seconds > within_s
    over = lag_budget_s is not None and best.seconds > lag_budget_s
    return Advice(
        options=tuple(options),
        best=best,
        workers=best.workers if best.workers != load.workers else None,
        partitions=_partitions(load, within_s) if missed else None,
        lag_budget_s=math.ceil(best.seconds) if over and best.seconds < NEVER else None,
    )


def _partitions(load: Load, within_s: float) -> int | None:
    """As many, each with a worker, as drain the load within so many seconds; None when that would not help.

    n workers with an n-th each: (backlog / n) / (service - arrival / n) <= within.
    """
    needed = math.ceil((sum(load.backlog) + load.arrival * within_s) / (load.service * within_s))
    cpus = NEVER if load.headroom is None else load.workers * max(1.0, load.headroom)
    return needed if load.partitions < needed <= max(cpus, load.partitions) else None

"""How `tideline advise` says what it found: as JSON, and with the arithmetic written out for people."""

from collections.abc import Iterator
from typing import Any

from pipeline.cli._no_worker import explanation
from pipeline.domain.capacity import NEVER, DrainTime
from pipeline.ops.advise import StageSample, WorkRate
from pipeline.path import tier_of

_NO_HEADROOM = 1.1
"""CPUs in use from which on another worker would find no room: 1 / 1.1 of all."""


def document(seen: StageSample, command: str | None) -> dict[str, Any]:
    """A stage as JSON; null is unknown, or nothing to change. A drain time of null: it never drains.

    `command`: what to do next about a stage that has no live worker.
    """
    advice = seen.advice
    return {
        "stage": seen.stage,
        "lag_budget_seconds": seen.lag_budget_s,
        "unit": seen.unit,
        "workers": seen.workers,
        "next": command,
        "partitions": seen.partitions,
        "arrives": _rate(seen.arrives),
        "arrived": _rate(seen.arrived),
        "moved": _rate(seen.moved),
        "service_per_worker": seen.service,
        "service_source": seen.source,
        "backlog": {
            "records": seen.backlog,
            "units": sum(seen.backlog_units),
            "estimated": seen.estimated,
        },
        "headroom": seen.headroom,
        "drains": [_drain(one) for one in advice.options] if advice else None,
        "advice": advice
        and {
            "workers": advice.workers,
            "drain_seconds": _seconds(advice.best),
            "partitions": advice.partitions,
            "lag_budget_seconds": advice.lag_budget_s,
        },
        "says": [*([explanation(seen.backlog, command)] if command else ()), *_says(seen)],
    }


def _rate(rate: WorkRate) -> dict[str, float]:
    return {"records_per_second": rate.records, "units_per_second": rate.units}


def _drain(one: DrainTime) -> dict[str, Any]:
    return {
        "workers": one.workers,
        "partitions_of_the_busiest": one.share,
        "backlog": one.backlog,
        "service_per_second": one.service,
        "arrival_per_second": one.arrival,
        "seconds": _seconds(one),
        "sum": str(one),
    }


def _seconds(one: DrainTime) -> float | None:
    return None if one.seconds == NEVER else one.seconds


def lines(seen: StageSample, over_s: float, command: str | None) -> Iterator[str]:
    """A stage for people: what was seen, each sum, and what follows. `command` as in `document`."""
    idle = not seen.backlog and not seen.arrives.records
    if command is not None:
        yield f"{seen.stage}: {explanation(seen.backlog, command)}"
    elif idle:
        yield f"{seen.stage}: nothing waits, nothing arrives"
    else:
        yield f"{seen.stage}: {_count(seen.workers, 'worker')} on {_count(seen.partitions, 'partition')}"
    if idle:
        return
    yield f"  arrives   {_rates(seen, seen.arrives)}; in the last {over_s:g} s {_rates(seen, seen.arrived)}"
    yield f"  done      {_rates(seen, seen.moved)}"
    yield f"  a worker  {_service(seen)}"
    units = f", {sum(seen.backlog_units):,.0f} {seen.unit}" if seen.unit != "records" else ""
    yield f"  waits     {seen.backlog:,} records{units}{', estimated' if seen.estimated else ''}"
    for one in seen.advice.options if seen.advice else ():
        yield f"  drains    with {_count(one.workers, 'worker')}, {_share(one, seen)}: {one}"
    for each in _says(seen):
        yield f"  advice    {each}"


def _share(one: DrainTime, seen: StageSample) -> str:
    of = f"{one.share} of {_count(seen.partitions, 'partition')}"
    return of if one.share < seen.partitions else f"all {_count(seen.partitions, 'partition')}"


def _service(seen: StageSample) -> str:
    if seen.service is None:
        return f"unknown: {_why_unknown(seen)}"
    how = {"measured": "as it did in the sample", "cost": "by the measured cost of a row"}[seen.source]
    return f"{seen.service:,.1f} {seen.unit}/s, {how}"


def _why_unknown(seen: StageSample) -> str:
    if not seen.workers:
        return "none is alive"
    return "it had too little to do" if seen.moved.records or not seen.backlog else "it did nothing"


def _rates(seen: StageSample, rate: WorkRate) -> str:
    units = f", {rate.units:,.1f} {seen.unit}/s" if seen.unit != "records" else ""
    return f"{rate.records:,.1f} records/s{units}"


def _says(seen: StageSample) -> Iterator[str]:
    """What to change, a sentence each."""
    advice = seen.advice
    if advice is None:
        if seen.backlog and seen.workers:
            yield f"nothing to go by, as it is not known what a worker does: {_why_unknown(seen)}"
        return
    tier = tier_of(seen.stage)
    section, name = ("stages", seen.stage) if tier is None else ("tiers", tier)
    told = "it never drains" if advice.best.seconds == NEVER else f"it drains in {advice.best.seconds:,.0f} s"
    if advice.workers is not None:
        yield f"{_count(advice.workers, 'worker')} ({section}.yaml: {name}.workers): {told}"
    elif seen.backlog:
        yield f"{'the workers there are' if seen.workers else 'once its workers live'}: {told}"
    if seen.headroom is not None and seen.headroom < _NO_HEADROOM and seen.backlog:
        yield "this machine's CPUs are in use: more would take turns; --elsewhere: on other machines"
    if advice.partitions is not None:
        yield f"{advice.partitions} partitions, a worker each, next time; what waits now stays where it is"
    if advice.lag_budget_s is not None:
        held, now = advice.lag_budget_s, f"{seen.lag_budget_s:g}"
        yield f"a burst like this one holds a lag_budget of {held} s, not of {now} s"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"

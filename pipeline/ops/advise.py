"""What every stage has to do and what it does, seen for a few seconds, and what follows from it for workers.

Positions and ends come from the broker, before and after; what lies between is read as work
(`ops.advise_work`). What a worker can do is what it did, if it had enough to do all the time. If it had not,
or none lives, the measured cost of a row says it, and without that nothing does; `domain.capacity` has the
rule. Of a stage without a live worker the sums are for those that the topology gives it: start them first.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipeline.control.lag import Consumer, consumers
from pipeline.domain import cost
from pipeline.domain.capacity import Advice, Load, advise
from pipeline.kafka import groups
from pipeline.kafka.bounds import Partition
from pipeline.kafka.offsets import Offsets
from pipeline.kafka.spans import Spans, spans
from pipeline.ops import routing_explain
from pipeline.ops.advise_work import Stretch, stretch, unit_of
from pipeline.path import tier_of
from pipeline.topology import Topology

_LOOK_S = 0.25
"""Between two looks: a stage commits about as often."""


@dataclass(frozen=True, slots=True)
class WorkRate:
    """Records a second, and units of work a second."""

    records: float
    units: float


@dataclass(frozen=True, slots=True)
class StageSample:
    """A stage during the sample. `arrived`: in the `over` seconds before its end, `arrives`: in the sample.

    `service`: units a second of one worker, None: unknown; `source`: measured | cost | unknown. `estimated`:
    not all of the backlog was read. `workers`: that live. `advice` None: nothing is known to advise by.
    """

    stage: str
    lag_budget_s: float | None
    unit: str
    workers: int
    partitions: int
    arrives: WorkRate
    arrived: WorkRate
    moved: WorkRate
    service: float | None
    source: str
    backlog: int
    backlog_units: tuple[float, ...]
    estimated: bool
    headroom: float | None
    advice: Advice | None


@dataclass(frozen=True, slots=True)
class _Look:
    at_s: float
    committed: Mapping[Partition, int]
    ends: Mapping[Partition, int]


def seen(
    kafka: str,
    topology: Topology,
    *,
    seconds: float,
    over_s: float,
    within_s: float,
    now_ms: int,
    cpus_in_use: Callable[[], float | None],
    told: Callable[[float], None],
) -> list[StageSample]:
    """Look at every stage for so many seconds, and advise what drains its backlog `within_s`.

    `cpus_in_use`: their share on the machine of the workers, since it was last asked; None: not seen. `told`
    hears how many seconds have passed. Stages that the broker does not answer for are left out.
    """
    stages = list(consumers(topology, api=False))
    samples = routing_explain.in_force(kafka, topology, now_ms).samples
    costs = {one.name: one.value for one in samples}
    with Offsets(kafka) as offsets, spans(kafka) as reader:
        cpus_in_use()
        looks = {stage.stage: list[_Look]() for stage in stages}
        begin = time.monotonic()
        while True:
            _look(offsets, stages, looks)
            passed = time.monotonic() - begin
            told(min(passed, seconds))
            if passed >= seconds:
                break
            time.sleep(min(_LOOK_S, seconds - passed))
        left = {
            stage: offsets.with_records(seen_of[-1].committed, seen_of[-1].ends)
            for stage, seen_of in looks.items()
            if seen_of
        }
        used = cpus_in_use()
        headroom = None if used is None else 1 / max(used, 0.01)
        described = groups.described(kafka, [stage.group for stage in stages])
        workers = {
            name: sum(bool(member.partitions) for member in group.members) or len(group.members)
            for name, group in described.items()
            if group.state != "unknown"
        }
        passed_ms = round((time.monotonic() - begin) * 1000)
        since_ms = now_ms + passed_ms - round(over_s * 1000)
        return [
            _seen(
                reader,
                stage,
                looks[stage.stage],
                left[stage.stage],
                since_ms,
                over_s,
                within_s,
                headroom,
                workers,
                _wanted(topology, stage.stage),
                costs,
            )
            for stage in stages
            if len(looks[stage.stage]) > 1 and stage.group in workers
        ]


def _wanted(topology: Topology, stage: str) -> int:
    """The workers that the topology gives a stage."""
    tier = tier_of(stage)
    return topology.stages[stage].workers if tier is None else topology.tiers[tier].workers


def _look(offsets: Offsets, stages: Sequence[Consumer], looks: Mapping[str, list[_Look]]) -> None:
    """Add a look at every stage all of whose positions are known."""
    committed = offsets.committed({stage.group: stage.places for stage in stages})
    ends = offsets.ends({place for stage in stages for place in stage.places})
    begins = offsets.begins([place for (_, place), at in committed.items() if at is None])
    now = time.monotonic()
    for stage in stages:
        at = {
            place: begins.get(place) if position is None else position
            for place in stage.places
            if (position := committed.get((stage.group, place), -1)) != -1
        }
        known = {place: position for place, position in at.items() if position is not None}
        if len(known) == len(stage.places) and all(place in ends for place in stage.places):
            looks[stage.stage].append(_Look(now, known, {place: ends[place] for place in stage.places}))


def _seen(
    reader: Spans,
    stage: Consumer,
    looks: Sequence[_Look],
    left: Mapping[Partition, int],
    since_ms: int,
    over_s: float,
    within_s: float,
    headroom: float | None,
    workers: Mapping[str, int],
    wanted: int,
    costs: Mapping[str, float],
) -> StageSample:
    tier = tier_of(stage.stage) is not None
    first, last = looks[0], looks[-1]
    starts = reader.at_time(dict.fromkeys(stage.places, since_ms))

    def between(start: Mapping[Partition, int | None], end: Mapping[Partition, int]) -> Stretch:
        stretches = {
            place: (at if (at := start.get(place)) is not None else end[place], end[place]) for place in end
        }
        return stretch(reader if tier else None, stretches, stage.stage)

    done, waits = between(first.committed, last.committed), between(last.committed, left)
    arrives, arrived = between(first.ends, last.ends), between(starts, last.ends)
    unit = unit_of((done, waits, arrives, arrived), tier=tier)
    alive, sample_s = workers[stage.group], last.at_s - first.at_s
    speed = _speed(looks) or done.total / sample_s
    moved = WorkRate(speed, speed * done.done(unit) / done.total if done.total else 0.0)
    service, source = None, "unknown"
    row_s = costs.get(f"{cost.ROW}@{stage.stage}")
    if alive and moved.units and _busy(looks):
        service, source = moved.units / alive, "measured"
    elif unit == "deliveries" and row_s:
        service, source = 1 / row_s, "cost"
    backlog = waits.by_partition(unit)
    arrival = WorkRate(arrives.total / sample_s, arrives.fresh(unit) / sample_s)
    load = None if service is None else Load(backlog, arrival.units, service, alive or wanted, headroom)
    return StageSample(
        stage=stage.stage,
        lag_budget_s=stage.lag_budget_s,
        unit=unit,
        workers=alive,
        partitions=len(stage.places),
        arrives=arrival,
        arrived=WorkRate(arrived.total / over_s, arrived.fresh(unit) / over_s),
        moved=moved,
        service=service,
        source=source,
        backlog=waits.total,
        backlog_units=backlog,
        estimated=waits.estimated,
        headroom=headroom,
        advice=None if load is None else advise(load, within_s, stage.lag_budget_s),
    )


def _speed(looks: Sequence[_Look]) -> float:
    """Records a second between the first commit that was seen and the last: commits come in lumps, and a
    sample that begins before one and ends after another would count a lump too many. 0: fewer than three.
    """
    sums = [(look.at_s, sum(look.committed.values())) for look in looks]
    moves = [after for before, after in pairwise(sums) if after[1] != before[1]]
    if len(moves) < 3:
        return 0.0
    return max(0.0, (moves[-1][1] - moves[0][1]) / (moves[-1][0] - moves[0][0]))


def _busy(looks: Sequence[_Look]) -> bool:
    """Whether there was always more waiting than was done from one look to the next."""
    waited = [sum(look.ends.values()) - sum(look.committed.values()) for look in looks]
    moved = sum(looks[-1].committed.values()) - sum(looks[0].committed.values())
    return min(waited) > moved / (len(looks) - 1)

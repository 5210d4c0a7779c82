"""How `tideline contain` does what it is told, says whom it would touch, and shows what there is."""

from typing import TYPE_CHECKING, Any

import typer

from pipeline.cli.running import echo, keyspace_of, local_time, names_of, print_json, topology_of
from pipeline.clock import now_ms
from pipeline.path import tier_stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.cli._tables import Table
    from pipeline.config.settings import Settings
    from pipeline.control.lag import StageLag
    from pipeline.wire.records import Containment


def _duration_ms(text: str) -> int:
    from pipeline.domain.offset_reset import duration_ms

    try:
        found = duration_ms(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if not found:
        raise typer.BadParameter(f"{text!r}: nothing would ever be in force")
    return found


def contain(
    given: "Settings",
    kind: str,
    target: str,
    author_class: str,
    rate_per_minute: int,
    bytes_per_second: int,
    *,
    lasts: str,
    reason: str,
    dry_run: bool,
    json: bool,
) -> None:
    """Put it in force, or say what that would be."""
    import asyncio

    from pipeline.domain.containment import OPERATOR, Kind
    from pipeline.local.instance import kafka_of
    from pipeline.ops import containment
    from pipeline.wire.records import AuthorClass, Containment

    now = now_ms()
    until = now + _duration_ms(lasts) if lasts else 0
    containment.check(Kind(kind), target, topology_of(given))
    cause, most = reason or "by an operator", AuthorClass(author_class)
    record = Containment(
        kind,
        str(target),
        most,
        rate_per_minute,
        cause,
        OPERATOR,
        now,
        until,
        bytes_per_second=bytes_per_second,
    )
    radius = _radius(given, record) if dry_run else {}
    if not dry_run:
        asyncio.run(containment.put(kafka_of(given), record, names_of(given)))
    if json:
        print_json({**containment.document(record), "done": not dry_run, "radius": radius or None})
        return
    for name, value in radius.items():
        echo(f"{name.replace('_', ' '):<24} {'unknown' if value is None else value}")
    ends = f"until {local_time(until)}" if until else f"until `tideline contain release {kind} {target}`"
    done = "would be in force" if dry_run else "in force"
    echo(f"{kind} {target}: {done} {ends}", err=True)


def _radius(given: "Settings", record: "Containment") -> dict[str, Any]:
    import asyncio

    from pipeline.control import health_topic
    from pipeline.control.lag import Lag
    from pipeline.kafka.offsets import Offsets
    from pipeline.local.instance import endpoints_of, kafka_of
    from pipeline.ops import blast
    from pipeline.store.cassandra import open_stores

    topology = topology_of(given)
    if record.kind in ("pull", "rate"):

        async def ask() -> dict[str, Any]:
            async with open_stores(endpoints_of(given).cassandra, keyspace_of(given)) as stores:
                return await blast.of_author(stores, topology, record)

        return asyncio.run(ask())
    with Offsets(kafka_of(given)) as offsets:
        lags = {one.stage: one for one in Lag(offsets, topology, now_ms=now_ms).snapshot()}
    if record.kind in ("shed", "freeze"):
        health = health_topic.newest(kafka_of(given), names_of(given)).get(tier_stage(record.target))
        return blast.of_tier(topology, record, lags, health)
    return blast.of_stage(record, lags)


def stages_now(given: "Settings", found: "Sequence[Containment]") -> "dict[str | None, StageLag]":
    """How the stages stand that these are for."""
    from pipeline.control.lag import Lag
    from pipeline.kafka.groups import Members
    from pipeline.kafka.offsets import Offsets
    from pipeline.local.instance import kafka_of
    from pipeline.ops.containment import stage_of

    wanted = {stage for one in found if (stage := stage_of(one)) is not None}
    if not wanted:
        return {}
    kafka = kafka_of(given)
    with Offsets(kafka) as offsets:
        looking = Lag(offsets, topology_of(given), now_ms=now_ms, members=Members(kafka), only=wanted)
        return {one.stage: one for one in looking.snapshot()}


def in_force_table(found: "Sequence[Containment]", now: "Mapping[str | None, StageLag]") -> "Table":
    """What is in force, a row each: the cause is that of then, `now` how its stage stands."""
    from pipeline.cli._lag_shown import clock
    from pipeline.cli._tables import Table
    from pipeline.ops.containment import stage_of

    table = Table("kind", "target", box=None, pad_edge=False)
    for title in ("class", "since", "until", "by"):
        table.add_column(title, no_wrap=True)
    for title in ("cause", "now"):
        table.add_column(title)
    for one in found:
        stage = now.get(stage_of(one))
        until = clock(one.until) if one.until else "released"
        said = "" if stage is None else state_now(stage)
        table.add_row(
            one.kind, one.target, one.author_class, clock(one.since), until, one.by, one.cause, said
        )
    return table


def state_now(stage: "StageLag") -> str:
    """How a stage stands, in a few words; first of all that nobody works on it."""
    if stage.workers == 0:
        return f"{stage.stage}: no live worker"
    if stage.age_s is None:
        return f"{stage.stage}: unknown"
    if stage.lag == 0:
        return f"{stage.stage}: nothing waits"
    share = "" if stage.spent is None else f", {stage.spent:.0%} of its budget"
    return f"{stage.stage}: {stage.age_s:.1f} s behind{share}"


def table(titles: tuple[str, ...], rows: "list[tuple[Any, ...]]") -> Any:
    from pipeline.cli._tables import Table

    table = Table(*titles, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(str, row))
    return table

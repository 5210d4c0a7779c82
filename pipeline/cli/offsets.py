"""`tideline offsets`: where a stage's consumer group stands, and moving it."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import (
    DEFAULT_HOME,
    AskedProfileOption,
    DomainOption,
    HomeOption,
    JsonOption,
    settings,
)
from pipeline.cli.running import echo, print_json, print_table, topology_of, use_registry
from pipeline.clock import now_ms

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.cli._tables import Table
    from pipeline.config.settings import Settings
    from pipeline.control.lag import Consumer
    from pipeline.control.task_weights import Weight
    from pipeline.domain.offset_reset import Reset
    from pipeline.ops.offsets_plan import Position, ResetPlan
    from pipeline.topology import Topology

StageArgument = Annotated[str, typer.Argument(metavar="STAGE", help="classify, fanout.large, DOMAIN/graph …")]
TopicOption = Annotated[
    list[str] | None, typer.Option("--topic", metavar="T[:P,…]", help="These only; again for more.")
]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    offsets = typer.Typer(no_args_is_help=True, help="Where consumer groups stand, and moving them.")
    offsets.command("show")(show)
    offsets.command("reset")(reset)
    app.add_typer(offsets, name="offsets")


def show(
    stage: StageArgument,
    topic: TopicOption = None,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: AskedProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Show where a stage's group stands in every partition it reads, and whether somebody works in it."""
    from pipeline.local.instance import kafka_of
    from pipeline.ops.replay import KafkaGroups

    given, topology, name = _of(stage, domain, home, profile)
    consumer, positions = _positions(given, topology, name, topic)
    active = KafkaGroups(kafka_of(given)).has_members(consumer.group)
    if json:
        from dataclasses import asdict

        rows = [asdict(at) | {"current": at.current, "lag": at.end - at.current} for at in positions]
        print_json({"stage": name, "group": consumer.group, "active": active, "partitions": rows})
        return
    print_table(_standing(positions))
    echo(f"{consumer.group}: {'active' if active else 'no members'}", err=True)


def reset(
    stage: StageArgument,
    to_datetime: Annotated[
        str,
        typer.Option(metavar="ISO", help="First record of this time or later; UTC unless it names a zone."),
    ] = "",
    by_duration: Annotated[
        str, typer.Option(metavar="DURATION", help="First record of the last PT1H30M, P1D, 90s, 15m …")
    ] = "",
    to_earliest: Annotated[bool, typer.Option("--to-earliest", help="The oldest record there is.")] = False,
    to_latest: Annotated[bool, typer.Option("--to-latest", help="Behind the newest record.")] = False,
    shift_by: Annotated[
        int | None, typer.Option(metavar="N", help="N records on; back when negative.")
    ] = None,
    to_offset: Annotated[int | None, typer.Option(metavar="N", min=0, help="This offset.")] = None,
    topic: TopicOption = None,
    execute: Annotated[bool, typer.Option("--execute", help="Do it, and not only say what.")] = False,
    skip_records: Annotated[
        bool, typer.Option("--skip-records", help="Also when records would never be processed.")
    ] = False,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: AskedProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Move a stage's consumer group. A dry run, unless --execute is given.

    With exactly one of the options that say where to; an offset that is not there is the nearest that is. The
    group must have no members: stop the stage first. Back means again, which changes no table and costs
    work: the plan says how many records and deliveries, and how long that takes at the rate measured last.
    Forward means never, and needs --skip-records.
    """
    from pipeline.control.task_weights import row_seconds
    from pipeline.kafka.spans import spans
    from pipeline.local.instance import kafka_of
    from pipeline.ops import offsets_plan, offsets_reset
    from pipeline.ops.replay import KafkaGroups

    where = _reset(to_datetime, by_duration, to_earliest, to_latest, shift_by, to_offset)
    given, topology, name = _of(stage, domain, home, profile)
    kafka, called = kafka_of(given), topology.names.stage(name)
    use_registry(given, topology.names)
    consumer, positions = _positions(given, topology, name, topic)
    row_s = row_seconds(kafka, name, topology.names)
    with spans(kafka) as reader:
        plan = offsets_plan.plan(topology, consumer, where, positions, reader, row_s)
    if not json:
        print_table(_table(plan))
        echo(_summary(plan), err=True)
    groups = KafkaGroups(kafka)
    executed = False
    try:
        offsets_reset.refuse_active(plan, called, groups)
        if execute:
            if not skip_records:
                offsets_reset.refuse_skipping(plan)
            offsets_reset.execute(plan, groups)
            executed = True
    finally:
        if json:
            print_json({"executed": executed, **plan.document()})
    if execute:
        echo(f"{consumer.group} was moved; `tideline stage start {called}` has it go on", err=True)
    else:
        echo("nothing was moved, this is a dry run; --execute does it", err=True)


def _reset(
    to_datetime: str,
    by_duration: str,
    to_earliest: bool,
    to_latest: bool,
    shift_by: int | None,
    to_offset: int | None,
) -> "Reset":
    from pipeline.domain import offset_reset as words

    found: list[Reset] = []
    try:
        if to_datetime:
            found.append(words.ToTime(words.time_of(to_datetime)))
        if by_duration:
            found.append(words.ToTime(now_ms() - words.duration_ms(by_duration)))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if to_earliest:
        found.append(words.ToEarliest())
    if to_latest:
        found.append(words.ToLatest())
    if shift_by is not None:
        found.append(words.ShiftBy(shift_by))
    if to_offset is not None:
        found.append(words.ToOffset(to_offset))
    if len(found) != 1:
        options = "--to-datetime --by-duration --to-earliest --to-latest --shift-by --to-offset"
        raise typer.BadParameter(f"exactly one of {options}")
    return found[0]


def _of(stage: str, domain: str, home: "Path", profile: str) -> "tuple[Settings, Topology, str]":
    """`DOMAIN/STAGE` is the stage of that domain."""
    from pipeline.config.names import split

    own, name = split(stage)
    if own and domain not in ("", own):
        raise typer.BadParameter(f"{stage} is not a stage of domain {domain}")
    given = settings(home=home, profile=profile, domain=own or domain)
    return given, topology_of(given), name


def _positions(
    given: "Settings", topology: "Topology", stage: str, topics: list[str] | None
) -> "tuple[Consumer, list[Position]]":
    from pipeline.kafka.offsets import Offsets
    from pipeline.local.instance import kafka_of
    from pipeline.ops.offsets_plan import consumer_of, places_of, standing

    consumer = consumer_of(topology, stage)
    places = places_of(topology, consumer, topics or [])
    with Offsets(kafka_of(given)) as offsets:
        return consumer, standing(consumer, places, offsets)


def _standing(positions: "list[Position]") -> "Table":
    table = _columns("topic", "oldest", "committed", "end", "lag")
    for at in positions:
        committed = "none" if at.committed is None else f"{at.committed:,}"
        numbers = (f"{at.begin:,}", committed, f"{at.end:,}", f"{at.end - at.current:,}")
        table.add_row(f"{at.topic} {at.partition}", *numbers)
    return table


def _table(plan: "ResetPlan") -> "Table":
    table = _columns("topic", "current", "new", "records", "deliveries")
    for move in plan.moves:
        records = f"{move.again + move.skipped:,} {move.direction}" if move.direction != "stays" else "stays"
        numbers = (f"{move.at.current:,}", f"{move.new:,}", records, _weight(move.moved))
        table.add_row(f"{move.at.topic} {move.at.partition}", *numbers)
    return table


def _columns(first: str, *numbers: str) -> "Table":
    from pipeline.cli._tables import Table

    table = Table(first, box=None, pad_edge=False)
    for title in numbers:
        table.add_column(title, justify="right")
    return table


def _weight(weight: "Weight | None") -> str:
    return "" if weight is None else f"{'about ' if weight.estimated else ''}{weight.deliveries:,}"


def _summary(plan: "ResetPlan") -> str:
    parts = [
        f"{plan.again:,} records processed again",
        f"{plan.skipped:,} never",
        f"{plan.waiting:,} waiting then",
    ]
    if plan.writes is not None:
        drain = "unknown" if plan.drain_s is None else "{:.0f}-{:.0f} s".format(*plan.drain_s)
        parts.append(f"{_weight(plan.writes)} rows to write at most, drain time {drain}")
    return "; ".join(parts)

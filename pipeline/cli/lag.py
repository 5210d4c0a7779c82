"""`tideline lag`: how far each stage is behind, in records and in seconds of its budget."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import DEFAULT_HOME, DomainOption, HomeOption, JsonOption, ProfileOption, settings

if TYPE_CHECKING:
    from rich.table import Table

    from pipeline.ops.lag import PartitionLag, StageLag


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("lag")(lag)


def lag(
    wait: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0, help="Wait until nothing is unprocessed.")
    ] = None,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: ProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Show each stage's unprocessed records, how old the oldest is, and what share of the lag budget that is.

    Read from Kafka, so it is right with every worker dead. With --wait the exit code is 1 when something is
    still unprocessed at the end. `unknown` is what could not be read; it never counts as processed.
    """
    from functools import partial

    from pipeline.cli.meter import Meter
    from pipeline.cli.running import print_json, print_table, topology_of
    from pipeline.kafka.offsets import Offsets
    from pipeline.local.instance import NoInstanceError, find, kafka_of
    from pipeline.ops.lag import Lag, document, settled, topics_read

    given = settings(home=home, profile=profile, domain=domain)
    try:
        read = partial(topics_read, find(given.home).api_of(given.domain))
    except NoInstanceError:
        read = None
    with Offsets(kafka_of(given)) as offsets, Meter("Waiting") as meter:
        looking = Lag(
            offsets,
            topology_of(given),
            now_ms=lambda: time.time_ns() // 1_000_000,
            topics_read=read,
        )
        stages = looking.wait(wait or 0, lambda seen: meter.show(0, left(seen)))
    if json:
        print_json(document(stages))
    else:
        print_table(_table(stages))
    if wait is not None and not settled(stages):
        typer.echo(f"error: after {wait:g} s {left(stages)}", err=True)
        raise typer.Exit(1)


def left(stages: "list[StageLag]") -> str:
    """What is unprocessed, in words."""
    left = [f"{stage.stage} {_number(stage.lag)}" for stage in stages if stage.lag != 0 or stage.unknown]
    return f"unprocessed: {', '.join(left) or 'nothing'}"


def _table(stages: "list[StageLag]") -> "Table":
    from rich.table import Table

    table = Table("stage", "group / partition", box=None, pad_edge=False)
    for title in ("committed", "end", "lag", "oldest", "budget", "spent"):
        table.add_column(title, justify="right")
    for stage in stages:
        spent, budget = stage.spent, stage.lag_budget_s
        table.add_row(
            stage.stage,
            stage.group or "(reads author.routes)",
            "",
            "",
            _number(stage.lag),
            _age(stage.age_s),
            "" if budget is None else f"{budget:g} s",
            "" if budget is None else "unknown" if spent is None else f"{spent:.0%}",
            style="red" if spent is not None and spent > 1 else "",
        )
        for one in stage.partitions:
            if one.lag != 0:
                table.add_row(*_partition(one), style="dim")
    return table


def _partition(one: "PartitionLag") -> tuple[str, ...]:
    committed = "none" if one.committed is None else str(one.committed)
    return "", f"{one.topic} {one.partition}", committed, _number(one.end), _number(one.lag), _age(one.age_s)


def _number(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _age(value: float | None) -> str:
    return "unknown" if value is None else "" if value == 0 else f"{value:.1f} s"

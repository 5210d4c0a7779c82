"""`tideline budget`: what is left of each lag budget, and how fast it burns."""

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
from pipeline.cli.running import echo, print_json, print_table, topology_of
from pipeline.clock import now_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.cli._tables import Table
    from pipeline.ops.budget import Budget


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("budget")(budget)


def budget(
    fail_on_breach: Annotated[
        bool, typer.Option("--fail-on-breach", help="Exit with 3 when a lag budget is used up.")
    ] = False,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: AskedProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Show each lag budget: how much of it the oldest record has spent, since when it is late, and the burn.

    A stage that has no live worker stands first, with the next command.
    Ages come from Kafka and are right with every worker dead. Burn and alert are the controller's: a rate of
    1 over a window spends exactly what the objective allows; – is unknown.
    """
    from pipeline.cli import _no_worker
    from pipeline.cli.lag import BREACHED
    from pipeline.control.health_topic import heard
    from pipeline.control.lag import Lag, breached, without_worker
    from pipeline.kafka.groups import Members
    from pipeline.kafka.offsets import Offsets
    from pipeline.local.instance import kafka_of
    from pipeline.ops.budget import budgeted, of

    given = settings(home=home, profile=profile, domain=domain)
    kafka, topology = kafka_of(given), topology_of(given)
    with Offsets(kafka) as offsets:
        looking = Lag(offsets, topology, now_ms=now_ms, members=Members(kafka), only=budgeted(topology))
        stages = looking.snapshot()
    dead = [one.stage for one in without_worker(stages)]
    next_ = _no_worker.commands(dead, topology.names, given.home) if dead else {}
    budgets = list(of(stages, heard(kafka, topology.names, stages, now_ms()), topology))
    if json:
        print_json([{**one.document(), "next": next_.get(one.stage.stage)} for one in budgets])
    else:
        echo(*_no_worker.lines(stages, next_))
        print_table(_table(budgets))
    if fail_on_breach and breached(stages):
        raise typer.Exit(BREACHED)


def _table(budgets: "Sequence[Budget]") -> "Table":
    from pipeline.cli._lag_shown import age, clock, colour, spending
    from pipeline.cli._tables import Table
    from pipeline.domain.burn import WINDOWS_S

    table = Table("stage", "status", box=None, pad_edge=False)
    for title in ("budget", "objective", "oldest", "spent", "late since", *map(_window, WINDOWS_S), "alert"):
        table.add_column(title, justify="right")
    for one in budgets:
        given, spent = spending(one.stage)
        rates = {burn.window_s: burn.rate for burn in one.burn}
        table.add_row(
            one.stage.stage,
            one.status,
            given,
            f"{one.objective:.4g}",
            age(one.stage.age_s),
            spent,
            clock(one.stage.late_since_ms),
            *(_rate(rates.get(window)) for window in WINDOWS_S),
            "–" if one.alert is None else one.alert,
            style="red" if one.alert == "page" else colour(one.stage, one.status),
        )
    return table


def _window(seconds: int) -> str:
    """A burn window as the SRE Workbook writes it."""
    unit, name = next(
        (unit, name) for unit, name in ((86_400, "d"), (3_600, "h"), (60, "m")) if seconds >= unit
    )
    return f"{seconds // unit}{name}"


def _rate(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:.1f}"

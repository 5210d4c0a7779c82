"""`tideline advise`: how long backlogs take, and which workers, partitions and budgets would change that."""

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
from pipeline.cli.running import echo, print_json, topology_of
from pipeline.clock import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("advise")(advise)


def advise(
    seconds: Annotated[float, typer.Option(metavar="S", min=1, help="How long to look.")] = 10.0,
    within: Annotated[float, typer.Option(metavar="S", min=1, help="Drain what waits in this time.")] = 60.0,
    over: Annotated[
        float, typer.Option(metavar="S", min=1, help="Show arrivals of the last S seconds as well.")
    ] = 60.0,
    elsewhere: Annotated[
        bool, typer.Option("--elsewhere", help="More workers run on other machines: CPUs here do not count.")
    ] = False,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: AskedProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Look for some seconds, and say what each stage needs to drain what waits, with the sums written out.

    A stage that has no live worker stands first, with the next command. The sums go by what arrives and what
    workers do while it looks: look while a stage is behind. More workers than partitions are idle, and on
    this machine they share its CPUs.
    """
    from pipeline.cli import _advice_shown as shown
    from pipeline.cli import _no_worker
    from pipeline.cli.meter import Meter
    from pipeline.local.instance import kafka_of
    from pipeline.ops.advise import seen

    given = settings(home=home, profile=profile, domain=domain)
    topology = topology_of(given)
    with Meter("Looking", round(seconds)) as meter:
        found = seen(
            kafka_of(given),
            topology,
            seconds=seconds,
            over_s=over,
            within_s=within,
            now_ms=now_ms(),
            cpus_in_use=_unseen if elsewhere else _cpus(given.home),
            told=lambda passed: meter.show(round(passed), ""),
        )
    dead = [one.stage for one in found if not one.workers]
    next_ = _no_worker.commands(dead, topology.names, given.home) if dead else {}
    found.sort(key=lambda one: one.workers > 0)  # those without a worker first, else in path order
    if json:
        print_json([shown.document(one, next_.get(one.stage)) for one in found])
        return
    for one in found:
        echo(*shown.lines(one, over, next_.get(one.stage)))


def _unseen() -> float | None:
    return None


def _cpus(home: "Path") -> "Callable[[], float | None]":
    """The share of this machine's CPUs in use, when the workers of an instance run on it."""
    import psutil

    from pipeline.local.instance import NoInstanceError, find

    try:
        find(home)
    except NoInstanceError:
        return _unseen
    return lambda: psutil.cpu_percent(None) / 100

"""`tideline erased`: what is left of an account that was erased."""

import asyncio
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

if TYPE_CHECKING:
    from pipeline.cli._tables import Table
    from pipeline.config.settings import Settings
    from pipeline.ops.erased import Left

LEFT = 3
"""Exit code when something is left that does not go by itself."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("erased")(erased)


def erased(
    account: Annotated[int, typer.Argument(metavar="ID", help="The account.")],
    text: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="Also look for this; may be given several times.")
    ] = None,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: AskedProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Look for an account in every table and every topic: where its id or text still stands, and until when.

    Reads everything from end to end. Exit code 3 when something is left that does not go by itself: then it
    is still on its way out (`step` says where), or was never erased.
    """
    from pipeline.cli.running import echo, print_json, print_table

    given = settings(home=home, profile=profile, domain=domain)
    left = asyncio.run(_scanned(given, account, text or []))
    if json:
        print_json(left.document())
    else:
        print_table(_table(left))
    state = "erased" if left.known else "not erased"
    verdict = "nothing is left but what goes by itself" if left.clean else "something is left"
    step = f", at the step {left.step}" if left.step and not left.clean else ""
    echo(f"account {account}: {state}{step}; {verdict}", err=True)
    if not left.clean:
        raise typer.Exit(LEFT)


async def _scanned(given: "Settings", account: int, texts: list[str]) -> "Left":
    from itertools import count

    from pipeline.cli.meter import Meter
    from pipeline.cli.running import keyspace_of, topology_of, use_registry
    from pipeline.local.instance import endpoints_of
    from pipeline.ops.erased import Sought, left_of

    engines, topology = endpoints_of(given), topology_of(given)
    use_registry(given, topology.names)
    place = count(1)
    with Meter("Scanning") as meter:
        return await left_of(
            Sought(account, texts),
            engines.kafka,
            engines.cassandra,
            keyspace_of(given),
            topology,
            lambda name: meter.show(next(place), name),
        )


def _table(left: "Left") -> "Table":
    from pipeline.cli._tables import Table
    from pipeline.cli.running import local_time

    table = Table("table or topic", "found", "goes", "by", box=None, pad_edge=False)
    for trace in left.traces:
        by = "" if trace.goes_ms is None else local_time(trace.goes_ms)
        style = "red" if trace.stays else ""
        table.add_row(trace.place, f"{trace.number:,}", trace.goes or "not by itself", by, style=style)
    return table

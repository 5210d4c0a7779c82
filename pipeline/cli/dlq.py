"""`tideline dlq`: what could not be processed."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import DEFAULT_HOME, DomainOption, HomeOption, JsonOption, settings

if TYPE_CHECKING:
    from rich.table import Table

    from pipeline.ops.dead_letters import DeadLetter


def register(app: typer.Typer) -> None:
    """Add the command group."""
    dlq = typer.Typer(no_args_is_help=True, help="What could not be processed, with its original bytes.")
    dlq.command("list")(listing)
    app.add_typer(dlq, name="dlq")


def listing(
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="The newest N.")] = 50,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Show the newest dead letters: the reason, where each came from, and how its bytes begin."""
    from pipeline.cli.running import names_of, print_json, print_table
    from pipeline.local.instance import kafka_of
    from pipeline.ops import dead_letters

    given = settings(home=home, domain=domain)
    found = dead_letters.newest(kafka_of(given), limit, names_of(given))
    if json:
        print_json([one.document() for one in found.letters])
        return
    print_table(_table(found.letters))
    typer.echo(f"{len(found.letters):,} of {found.total:,} dead letters", err=True)


def _table(letters: "list[DeadLetter]") -> "Table":
    from datetime import datetime

    from rich.table import Table
    from rich.text import Text

    table = Table("kept at", "reason", "from", "detail", "size", "bytes", box=None, pad_edge=False)
    for one in letters:
        kept = datetime.fromtimestamp(one.kept_ms / 1000).astimezone().isoformat(sep=" ", timespec="seconds")
        origin = f"{one.origin_topic} {one.origin_partition} @{one.origin_offset}"
        row = (kept[:19], one.reason, origin, one.detail, f"{len(one.value):,}", one.preview)
        table.add_row(*map(Text, row))
    return table

"""`tideline dlq`: what could not be processed, replayed once it can be."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import DEFAULT_HOME, DomainOption, HomeOption, JsonOption, settings
from pipeline.cli.running import (
    echo,
    local_time,
    names_of,
    print_json,
    print_table,
    topology_of,
    use_registry,
)
from pipeline.clock import now_ms

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from pipeline.cli._tables import Table
    from pipeline.config.settings import Settings
    from pipeline.ops.dead_letter import DeadLetter
    from pipeline.ops.dead_letters_again import Again, LetterFilter, ReplayReport

IdsArgument = Annotated[list[str] | None, typer.Argument(metavar="ID…", help="0@17 2@4 …, as listed.")]
ExecuteOption = Annotated[bool, typer.Option("--execute", help="Do it, and not only say what.")]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    dlq = typer.Typer(no_args_is_help=True, help="What could not be processed, with its original bytes.")
    for name, command in (("list", listing), ("show", show), ("replay", replay), ("drop", drop)):
        dlq.command(name)(command)
    app.add_typer(dlq, name="dlq")


def listing(
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="The newest N.")] = 50,
    every: Annotated[bool, typer.Option("--all", help="Also those replayed or dropped.")] = False,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Show the newest open dead letters: the reason, where each came from, and how its bytes begin."""
    from pipeline.local.instance import kafka_of
    from pipeline.ops import dead_letters

    given = settings(home=home, domain=domain)
    found = dead_letters.newest(kafka_of(given), limit, names_of(given), every=every)
    if json:
        print_json([one.document() for one in found.letters])
        return
    print_table(_table(found.letters))
    shown = f"{len(found.letters):,} of {found.total:,} dead letters"
    echo(f"{shown}, {found.done:,} of them done" if found.done else shown, err=True)


def show(
    letter: Annotated[list[str], typer.Argument(metavar="ID", help="0@17, or PARTITION OFFSET: 0 17.")],
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Show one dead letter: why, where it came from, its headers, and what its bytes hold."""
    from pipeline.cli import _letter
    from pipeline.local.instance import kafka_of
    from pipeline.ops import dead_letters
    from pipeline.ops.dead_letter import record_of

    if len(letter) > 2:
        raise typer.BadParameter("one ID, or PARTITION OFFSET")
    given = settings(home=home, domain=domain)
    names = names_of(given)
    found = dead_letters.one(kafka_of(given), "@".join(letter), names)
    use_registry(given, names)
    record, unread = record_of(found, names)
    if json:
        print_json(found.whole(record))
    else:
        echo(*_letter.lines_of(found, record, unread))


def replay(
    ids: IdsArgument = None,
    reason: Annotated[str, typer.Option(metavar="R", help="All of this reason: codec, KeyError …")] = "",
    topic: Annotated[str, typer.Option(metavar="T", help="All that came from this topic: posts …")] = "",
    every: Annotated[bool, typer.Option("--all", help="All.")] = False,
    execute: ExecuteOption = False,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Send dead letters back to where they came from, so that they are processed again. A dry run by default.

    Original bytes, key and headers, judged as of when they first came: a post is not too old because the fix
    took an hour. Each letter is replayed once; what fails again is a new letter. First start what was fixed.
    What the rules of today would refuse again (field, type, clock, codec) is said, and stays where it is.
    """
    from functools import partial

    from pipeline.cli.meter import Meter
    from pipeline.ops.dead_letters_again import LetterFilter, places_of, refused_again

    if bool(ids) + bool(reason or topic) + every != 1:
        raise typer.BadParameter("either IDs, or --reason and --topic, or --all")
    given = settings(home=home, domain=domain)
    topology = topology_of(given)
    use_registry(given, topology.names)
    places, refused = places_of(topology), refused_again(topology, now_ms)
    with Meter("Replaying") as meter:
        told = partial(meter.show, note="letters")
        report = _act(
            given,
            LetterFilter(tuple(ids or ()), reason, topic),
            lambda again, letters: again.replay(letters, places, told, refused),
            execute=execute,
        )
    _say(report, "replayed", execute=execute, json=json)


def drop(
    ids: Annotated[list[str], typer.Argument(metavar="ID…", help="0@17 2@4 …, as listed.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why nobody will miss them.")],
    execute: ExecuteOption = False,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Have dead letters done without replaying them. A dry run by default; `list --all` still shows them."""
    from pipeline.ops.dead_letters_again import LetterFilter

    if not reason.strip():
        raise typer.BadParameter("say why", param_hint="--reason")
    given = settings(home=home, domain=domain)
    chosen = LetterFilter(tuple(ids))
    report = _act(given, chosen, lambda again, letters: again.drop(letters, reason), execute=execute)
    _say(report, "dropped", execute=execute, json=json)


def _act(
    given: "Settings",
    choice: "LetterFilter",
    act: "Callable[[Again, Iterator[DeadLetter]], Awaitable[ReplayReport]]",
    *,
    execute: bool,
) -> "ReplayReport":
    import asyncio

    from pipeline.local.instance import kafka_of
    from pipeline.ops.dead_letters_again import again

    return asyncio.run(again(kafka_of(given), names_of(given), choice, act, execute=execute, now_ms=now_ms))


def _say(report: "ReplayReport", done: str, *, execute: bool, json: bool) -> None:
    from pipeline.cli._tables import Table

    if json:
        print_json({"executed": execute, "action": done, **report.document()})
    elif report.groups:
        table = Table("from", "reason", "letters", box=None, pad_edge=False)
        for (topic, reason), number in sorted(report.groups.items()):
            table.add_row(topic, reason, f"{number:,}")
        print_table(table)
    for name, why in list(report.cannot.items())[:_SHOWN]:
        echo(f"{name} cannot be {done}: {why}", err=True)
    if len(report.cannot) > _SHOWN:
        echo(f"… and {len(report.cannot) - _SHOWN:,} more (--json names them all)", err=True)
    if report.already:
        echo(f"{report.already:,} were replayed or dropped before, and are left alone", err=True)
    if not report.ids:
        echo(f"nothing to be {done}", err=True)
    elif execute:
        echo(f"{len(report.ids):,} {done}", err=True)
    else:
        echo(
            f"nothing was done, this is a dry run; {len(report.ids):,} would be {done} with --execute",
            err=True,
        )


_SHOWN = 10


def _table(letters: "list[DeadLetter]") -> "Table":
    from pipeline.cli._tables import Table

    table = Table(
        "id", "state", "kept at", "reason", "from", "detail", "size", "bytes", box=None, pad_edge=False
    )
    for one in letters:
        size, kept = f"{len(one.kept.value or b''):,}", local_time(one.kept.timestamp_ms)
        row = (one.id, one.state, kept, one.reason, str(one.origin or ""), one.detail, size, one.preview)
        table.add_row(*row)
    return table

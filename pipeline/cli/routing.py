"""`tideline routing`: who is pushed and who is pulled, read and changed while everything runs."""

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from pipeline.cli.options import (
    DEFAULT_HOME,
    AskedProfileOption,
    DomainOption,
    HomeOption,
    JsonOption,
    settings,
)
from pipeline.cli.running import echo, keyspace_of, names_of, print_json, topology_of
from pipeline.clock import now_ms

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pipeline.config.settings import Settings
    from pipeline.ops.routing_settings import SettingsInForce
    from pipeline.store.ports import Stores

_CHANGES = "push_below=N pull_above=N"

Found = TypeVar("Found")

AuthorArgument = Annotated[int, typer.Argument(metavar="AUTHOR", help="The id of the author.")]


class Class(StrEnum):
    """As `records.AuthorClass`, which `--help` must not load."""

    PUSH = "push"
    PARTIAL = "partial"
    PULL = "pull"


def register(app: typer.Typer) -> None:
    """Add the command group."""
    routing = typer.Typer(
        no_args_is_help=True, help="Who is pushed and who is pulled, while everything runs."
    )
    routing.command("get")(get)
    routing.command("set")(change)
    routing.command("force")(force)
    routing.command("release")(release)
    routing.command("explain")(explain)
    app.add_typer(routing, name="routing")
    app.add_typer(routing, name="policy", hidden=True, callback=_renamed)


def _renamed() -> None:
    """The name until 0.1; it goes with the next release."""
    echo("`tideline policy` is `tideline routing` now", err=True)


def get(
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: AskedProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Show the thresholds in force, and which of them were changed since when."""
    _show(_read(settings(home=home, profile=profile, domain=domain)), json=json)


def change(
    changes: Annotated[list[str], typer.Argument(metavar=_CHANGES, help="Followers; one or both.")],
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: AskedProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Change thresholds; each author's next post goes by them. Posts already published keep their class."""
    import asyncio

    from pipeline.local.instance import kafka_of
    from pipeline.ops import routing_settings

    wanted = dict(map(_setting, changes))
    given = settings(home=home, profile=profile, domain=domain)
    now = _read(given)
    changed = routing_settings.changed(now, wanted, now_ms())
    asyncio.run(routing_settings.write(kafka_of(given), changed, names_of(given)))
    _show(routing_settings.SettingsInForce(now.files, changed), json=json)


def force(
    author: AuthorArgument,
    author_class: Annotated[Class, typer.Argument(metavar="CLASS", help="push, partial or pull.")],
    reason: Annotated[str, typer.Option(help="Why, for whoever asks `routing explain`.")] = "",
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Force a class on an author, whatever followers, budgets and costs say, until it is released.

    It counts from the author's next post on; posts already published keep their class.
    """
    import asyncio

    from pipeline.local.instance import kafka_of
    from pipeline.ops import routing_forced
    from pipeline.wire.records import AuthorClass, ForcedClass

    forced = ForcedClass(author, AuthorClass(author_class), reason, now_ms())
    given = settings(home=home, domain=domain)
    asyncio.run(routing_forced.force(kafka_of(given), forced, names_of(given)))
    echo(f"{author}: {forced.author_class} from the next post on, until it is released", err=True)


def release(author: AuthorArgument, domain: DomainOption = "", home: HomeOption = DEFAULT_HOME) -> None:
    """Take a forced class back: from the author's next post on, followers, budgets and costs decide again."""
    import asyncio

    from pipeline.local.instance import kafka_of
    from pipeline.ops import routing_forced

    given = settings(home=home, domain=domain)
    asyncio.run(routing_forced.release(kafka_of(given), author, names_of(given)))
    echo(f"{author}: not forced from the next post on", err=True)


def explain(
    ids: Annotated[
        list[int], typer.Argument(metavar="[READER] AUTHOR", help="An author, or a reader of one.")
    ],
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: AskedProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Show why an author is pushed or pulled: the rule in force, its numbers, and every change in the window.

    With a reader before the author: their edge, what hides the author, and from when to when posts are pushed
    to this reader or pulled by them.
    """
    import asyncio

    from pipeline.cli import _routing_explained as explained
    from pipeline.local.instance import kafka_of
    from pipeline.ops import routing_explain

    if len(ids) > 2:
        raise typer.BadParameter("give AUTHOR, or READER AUTHOR")
    given = settings(home=home, profile=profile, domain=domain)
    topology = topology_of(given)
    now = routing_explain.in_force(kafka_of(given), topology, now_ms())
    *readers, author = ids
    if readers:
        pair = asyncio.run(
            _asked(given, lambda stores: routing_explain.pair(stores, now, readers[0], author))
        )
        document, lines = explained.pair_document(pair, now), explained.pair_lines(pair, now)
    else:
        found = asyncio.run(_asked(given, lambda stores: routing_explain.author(stores, now, author)))
        document, lines = explained.author_document(found, now), explained.author_lines(found, now)
    if json:
        print_json(document)
    else:
        for line in lines:
            echo(line)


async def _asked(given: "Settings", ask: "Callable[[Stores], Awaitable[Found]]") -> "Found":
    """What somebody finds in the tables of the running instance, or of the settings."""
    from pipeline.local.instance import endpoints_of
    from pipeline.store.cassandra import open_stores

    async with open_stores(endpoints_of(given).cassandra, keyspace_of(given)) as stores:
        return await ask(stores)


def _setting(text: str) -> tuple[str, int]:
    name, _, value = text.partition("=")
    if not value.isascii() or not value.isdigit():
        raise typer.BadParameter(f"{text}: give {_CHANGES}, in followers")
    return name, int(value)


def _read(given: "Settings") -> "SettingsInForce":
    """What is in force."""
    from pipeline.local.instance import kafka_of
    from pipeline.ops import routing_settings

    topology = topology_of(given)
    return routing_settings.read(kafka_of(given), topology.routing, topology.names)


def _show(now: "SettingsInForce", *, json: bool) -> None:
    from pipeline.ops.routing_settings import NAMES

    if json:
        print_json(now.document())
        return
    for name in NAMES:
        files = f", {getattr(now.files, name):,} in the files" if now.overridden(name) else ""
        echo(f"{name:<12} {now.value(name):>12,} followers{files}")
    if now.changed is not None:
        echo(f"changed      {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(now.changed.at / 1000))}")

"""`tideline rebuild`: timelines written anew."""

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
from pipeline.cli.running import echo, keyspace_of, names_of, print_json
from pipeline.clock import now_ms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pipeline.config.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("rebuild")(rebuild)


def rebuild(
    readers: Annotated[list[int] | None, typer.Argument(metavar="READER…", help="Ids of readers.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every active reader.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Return once the rows are written, or at once.")
    ] = True,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: AskedProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Write the timelines of readers anew, from the posts of those they follow.

    Pages stay right meanwhile: what rows may be missing is pulled until they are written. It goes through the
    backfill tier, so it is limited in its rate, and waits while live tiers are behind. Rows that are there
    stay. A dormant reader has nothing to rebuild.
    """
    import asyncio

    from pipeline.cli._settling import settle
    from pipeline.kafka.offsets import Offsets
    from pipeline.local.instance import NoInstanceError, find, kafka_of

    if bool(readers) == every:
        raise typer.BadParameter("name readers, or --all")
    given = settings(home=home, profile=profile, domain=domain)
    try:
        instance = find(given.home)
    except NoInstanceError:
        instance = None
    asked = asyncio.run(_ask(given, readers or []))
    done = False
    if wait and asked:
        with Offsets(kafka_of(given)) as offsets:
            done = settle("Rebuilding", given, offsets, instance)
    if json:
        print_json({"readers": asked, "settled": done})
    else:
        echo(f"{asked:,} timelines {'are written' if done else 'will be written'}")


async def _ask(given: "Settings", readers: list[int]) -> int:
    """Ask for all of them; returns how many."""
    from pipeline.cli.meter import Meter
    from pipeline.local.instance import endpoints_of, kafka_of
    from pipeline.ops import rebuild as rebuilding
    from pipeline.store.cassandra import open_stores

    now = now_ms()
    asked = 0
    async with open_stores(endpoints_of(given).cassandra, keyspace_of(given)) as stores:
        named = _named(readers) if readers else stores.readers.not_seen_since(2**63 - 1)
        with Meter("Asking for timelines", len(readers)) as meter:
            async for asked in rebuilding.rebuild(kafka_of(given), named, now, names_of(given)):
                meter.show(asked, "readers")
    return asked


async def _named(readers: list[int]) -> "AsyncIterator[int]":
    for reader in readers:
        yield reader

"""`tideline trace`: where a post is now."""

from typing import Annotated

import typer

from pipeline.cli.options import (
    DEFAULT_HOME,
    AskedProfileOption,
    DomainOption,
    HomeOption,
    JsonOption,
    settings,
)
from pipeline.cli.running import echo, keyspace_of, print_json, topology_of


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("trace")(trace)


def trace(
    post: Annotated[int, typer.Argument(metavar="POST", help="The id of the post.")],
    records: Annotated[
        int, typer.Option(metavar="N", min=1, help="Look through so many records of each partition.")
    ] = 50_000,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: AskedProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Show where a post is: each hop with its time, what is processed, what waits, whom it has reached.

    Read from tables and topics, so it is right with every worker dead. The last line is the answer.
    """
    import asyncio

    from pipeline.cli import _trace_shown as shown
    from pipeline.local.instance import endpoints_of
    from pipeline.ops import trace as ops
    from pipeline.store.cassandra import open_stores

    given = settings(home=home, profile=profile, domain=domain)
    engines, topology = endpoints_of(given), topology_of(given)

    async def look() -> ops.Trace:
        async with open_stores(engines.cassandra, keyspace_of(given)) as stores:
            return await ops.trace(stores, engines.kafka, topology, post, records=records)

    found = asyncio.run(look())
    if json:
        print_json(shown.document(found))
        return
    for line in shown.lines(found):
        echo(line)

"""`tideline audit`: is every reader served what they must be?"""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.meter import PATIENCE, Meter
from pipeline.cli.options import (
    DEFAULT_HOME,
    AskedProfileOption,
    DomainOption,
    HomeOption,
    JsonOption,
    settings,
)
from pipeline.cli.running import echo, keyspace_of, print_json, print_table, topology_of
from pipeline.clock import now_ms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from pipeline.audit.live import Tally
    from pipeline.audit.verdicts import Found
    from pipeline.cli._tables import Table
    from pipeline.config.settings import Settings
    from pipeline.store.ports import Stores

FOUND = 3
"""Exit code when something was found."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("audit")(audit)


def audit(
    readers: Annotated[
        str, typer.Option(metavar="N|all", help="How many readers, drawn by --seed; or all of them.")
    ] = "100",
    reader: Annotated[
        list[int] | None, typer.Option(metavar="ID", help="This reader; may be given several times.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed draws other readers.")] = 1,
    patience: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0,
            show_default="the largest lag budget",
            help="How long a post may take to its readers. 0 when nothing is unprocessed (tideline lag).",
        ),
    ] = None,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: AskedProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Compare what readers are served, pages and rows, with what the tables say they must be.

    The running instance (or TIDELINE_API) may be at work: only what is still wrong after it had its time is
    told, so a finding takes some seconds. Exit code 3 when something was found, 1 when nobody can be asked.
    """
    from functools import partial

    wanted = None if readers == "all" else _number(readers)
    given = settings(home=home, profile=profile, domain=domain)
    tally = asyncio.run(_audited(given, partial(_drawn, reader or [], wanted, seed), patience))
    if json:
        print_json(tally.document())
    else:
        print_table(_table(tally))
        for one in tally.examples:
            echo(_in_words(one))
        more = tally.faults - len(tally.examples)
        if more:
            echo(f"and {more:,} more")
    verdict = "clean" if tally.clean else f"{tally.faults:,} findings"
    echo(f"{tally.readers:,} readers, {tally.posts.total():,} posts: {verdict}", err=True)
    if not tally.clean:
        raise typer.Exit(FOUND)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise typer.BadParameter("a number of readers, or all", param_hint="--readers")
    return int(text)


async def _audited(
    given: "Settings", drawn: "Callable[[Stores], AsyncIterator[int]]", patience: float | None
) -> "Tally":
    from functools import partial

    from pipeline.audit import feeds, live
    from pipeline.auth.home_keys import tokens_of
    from pipeline.control.tiers_behind import tiers_behind
    from pipeline.store.cassandra import open_stores

    api, kafka, cassandra, keyspace = _places(given)
    patience_ms = None if patience is None else round(patience * 1000)
    wanted = topology_of(given)
    session = feeds.session(tokens_of(given), wanted.api.deadline_max_ms)
    async with open_stores(cassandra, keyspace) as stores, session as client:
        serve = partial(feeds.over_http, client, api)
        tally = live.Tally()
        with Meter("Auditing") as meter, tiers_behind(kafka, wanted, now_ms) as behind:
            auditor = live.auditor_of(stores, wanted, serve, patience_ms, behind)
            showing = asyncio.create_task(_shown(tally, meter))
            await live.audit(drawn(stores), auditor.examine, tally)
            showing.cancel()
    return tally


async def _shown(tally: "Tally", meter: "Meter") -> None:
    """How far it is, also while the findings of the last reader are waited for."""
    while True:
        await asyncio.sleep(PATIENCE / 2)
        meter.show(tally.readers, f"{tally.readers:,} readers, {tally.faults:,} findings")


def _places(given: "Settings") -> tuple[str, str, str, str]:
    """The API, Kafka, Cassandra and the keyspace: of the instance, or of the environment when none runs."""
    from pipeline.local.instance import NoInstanceError, endpoints_of, find

    try:
        instance = find(given.home)
    except NoInstanceError:
        if not given.api:
            raise
        engines = endpoints_of(given)
        return given.api, engines.kafka, engines.cassandra, keyspace_of(given)
    api = given.api or instance.api_of(given.domain)
    return api, instance.kafka, instance.cassandra, keyspace_of(given)


async def _drawn(
    named: "Sequence[int]", number: int | None, seed: int, stores: "Stores"
) -> "AsyncIterator[int]":
    """The readers to look at; `number` None: all."""
    from pipeline.audit import reader_scan

    if named:
        for reader in named:
            yield reader
    elif number is None:
        async for reader in reader_scan.every_reader(stores):
            yield reader
    else:
        for reader in await reader_scan.sample(stores, number, seed):
            yield reader


def _table(tally: "Tally") -> "Table":
    from pipeline.audit.live import ALL_KINDS
    from pipeline.cli._tables import Table

    table = Table("author", "reader", "path", box=None, pad_edge=False)
    for title in ("posts", *ALL_KINDS):
        table.add_column(title.replace("_", " "), justify="right")
    for line in tally.lines():
        counts = (f"{line[name]:,}" for name in ("posts", *ALL_KINDS))
        bad = any(line[kind] for kind in ALL_KINDS if kind != "row_left")
        table.add_row(line["author_class"], line["cohort"], line["path"], *counts, style="red" if bad else "")
    return table


def _in_words(one: "Found") -> str:
    finding = one.finding
    what = f"{finding.kind.replace('_', ' ')}: post {finding.post_id} of author {finding.author_id}"
    why = f" ({finding.detail})" if finding.detail else ""
    return f"reader {one.reader_id}: {what}{why}; {finding.path or 'no'} path; see {one.where}: {one.next}"

"""`tideline lag`: how far each stage is behind, in records and in seconds of its budget."""

import sys
import time
from contextlib import contextmanager, suppress
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
    from collections.abc import Callable, Iterator

    from pipeline.control.health_topic import Said
    from pipeline.control.lag import StageLag

    Seen = tuple[list[StageLag], Said, dict[str, str]]
    """A look, what the controller says, and what to do next by stage without a live worker."""

BREACHED = 3
"""Exit code when a budget is used up, for who asks."""

_EVERY_S = 1.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("lag")(lag)


def lag(
    wait: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0, help="Wait until nothing is unprocessed.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look every second until Ctrl-C; with --json a line a look.")
    ] = False,
    fail_on_breach: Annotated[
        bool, typer.Option("--fail-on-breach", help="Exit with 3 when a lag budget is used up.")
    ] = False,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: AskedProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Show each stage's unprocessed records, how old the oldest is, and what share of the lag budget that is.

    A stage that has no live worker stands first, with the next command; it is never OK. Read from Kafka, so
    it is right with every worker dead; `status`, in Burrow's words, since when it holds, and the deliveries
    that a tier has not made are what the controller says. With --wait the exit code is 1 when something is
    still unprocessed at the end; --watch with --fail-on-breach ends at the first breach. `unknown` is what
    could not be read; it never counts as done. What an open transaction holds up is no lag: it is said on
    stderr.
    """
    from functools import partial

    from pipeline.cli import _no_worker
    from pipeline.cli.meter import Meter
    from pipeline.control.health_topic import heard
    from pipeline.control.lag import Lag, breached, settled, topics_read, without_worker
    from pipeline.kafka.groups import Members
    from pipeline.kafka.offsets import Offsets
    from pipeline.local.instance import NoInstanceError, beside_api, find, kafka_of

    if watch and wait is not None:
        raise typer.BadParameter("--watch goes on until Ctrl-C; give one of them", param_hint="--wait")
    given = settings(home=home, profile=profile, domain=domain)
    try:
        find(given.home).api_of(given.domain)
        read = partial(topics_read, partial(beside_api, given.home, given.domain))
    except NoInstanceError:
        read = None
    kafka, topology = kafka_of(given), topology_of(given)

    def seen(stages: "list[StageLag]") -> "Seen":
        dead = [one.stage for one in without_worker(stages)]
        next_ = _no_worker.commands(dead, topology.names, given.home) if dead else {}
        return stages, heard(kafka, topology.names, stages, now_ms()), next_

    with Offsets(kafka) as offsets:
        looking = Lag(offsets, topology, now_ms=now_ms, topics_read=read, members=Members(kafka))
        if watch:
            with _shown(json) as show:
                for stages in _looks(looking.snapshot):
                    show(seen(stages))
                    if fail_on_breach and breached(stages):
                        raise typer.Exit(BREACHED)
            return
        with Meter("Waiting") as meter:
            stages = looking.wait(wait or 0, lambda seen: meter.show(0, left(seen)))
        found, held_up = seen(stages), looking.open_transactions()
    for topic, records in held_up.items():
        echo(f"{topic}: {records:,} records wait for the end of an open transaction", err=True)
    _print(found, json)
    if wait is not None and not settled(stages):
        echo(f"error: after {wait:g} s {left(stages)}", err=True)
        raise typer.Exit(1)
    if fail_on_breach and breached(stages):
        raise typer.Exit(BREACHED)


def left(stages: "list[StageLag]") -> str:
    """What is unprocessed, in words."""
    from pipeline.cli._lag_shown import number

    left = [
        f"{stage.stage} {number(stage.lag)}{' (no live worker)' if stage.workers == 0 else ''}"
        for stage in stages
        if stage.lag != 0 or stage.unknown
    ]
    return f"unprocessed: {', '.join(left) or 'nothing'}"


def _print(found: "Seen", as_json: bool) -> None:
    from pipeline.cli import _no_worker
    from pipeline.cli._lag_shown import lag_table
    from pipeline.control.health_topic import document

    stages, words, next_ = found
    if as_json:
        print_json(document(stages, words, next_))
        return
    echo(*_no_worker.lines(stages, next_))
    print_table(lag_table(stages, words))


def _looks(look: "Callable[[], list[StageLag]]") -> "Iterator[list[StageLag]]":
    """A look a second."""
    while True:
        began = time.monotonic()
        yield look()
        time.sleep(max(began + _EVERY_S - time.monotonic(), 0.0))


@contextmanager
def _shown(as_json: bool) -> "Iterator[Callable[[Seen], None]]":
    """What shows one look after the other: in place on a terminal, else one below the other, until Ctrl-C."""
    with suppress(KeyboardInterrupt):
        if as_json or not sys.stdout.isatty():
            yield lambda found: _print(found, as_json)
            return
        from rich.console import Group
        from rich.live import Live
        from rich.text import Text

        from pipeline.cli import _no_worker
        from pipeline.cli._lag_shown import lag_table

        def drawn(stages: "list[StageLag]", words: "Said", next_: dict[str, str]) -> Group:
            return Group(*map(Text, _no_worker.lines(stages, next_)), lag_table(stages, words))

        with Live(auto_refresh=False) as live:
            yield lambda found: live.update(drawn(*found), refresh=True)

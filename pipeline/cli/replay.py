"""`tideline replay`: topics processed again from their beginning."""

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
from pipeline.cli.running import echo, names_of, print_json, print_table, topology_of

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.cli._tables import Table
    from pipeline.config.names import Names
    from pipeline.config.settings import Settings
    from pipeline.kafka.offsets import Offsets
    from pipeline.local.instance import Instance
    from pipeline.ops.replay import Target

StagesArgument = Annotated[list[str] | None, typer.Argument(metavar="STAGE…", help="graph, fanout.large …")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("replay")(replay)


def replay(
    stages: StagesArgument = None,
    every: Annotated[bool, typer.Option("--all", help="Every stage that writes tables.")] = False,
    execute: Annotated[bool, typer.Option("--execute", help="Do it, and not only say what.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Return once nothing is unprocessed, or at once.")
    ] = True,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    profile: AskedProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Process a stage's topics again from the beginning. A dry run, unless --execute is given.

    Stages are idempotent: tables and pages stay as they are, unless they were wrong. With --execute the
    running instance stops each stage, moves its consumer group to the oldest record there is, and starts it
    again, in path order; a group that others work in is refused. What retention deleted is not processed
    again; what was refused before becomes a second dead letter; `posts.classified` hears of posts again,
    under the same ids. Views of compacted topics are read whole at every start, and need no replay.
    """
    from pipeline.kafka.offsets import Offsets
    from pipeline.local.instance import kafka_of
    from pipeline.ops import replay as replaying

    if bool(stages) == every:
        raise typer.BadParameter("name stages, or --all")
    given = settings(home=home, profile=profile, domain=domain)
    with Offsets(kafka_of(given)) as offsets:
        targets = replaying.plan(topology_of(given), offsets, stages or [])
        if not json:
            print_table(_table(targets))
        settled = _execute(given, offsets, targets, wait=wait) if execute else None
    command = _command(targets, every=every, domain=domain, home=home)
    if json:
        document = {"executed": execute, "settled": settled, "command": command}
        print_json({"stages": replaying.document(targets), **document})
    if not execute:
        echo(f"nothing was done, this is a dry run; to do it: {command}", err=True)


def _execute(given: "Settings", offsets: "Offsets", targets: "list[Target]", *, wait: bool) -> bool | None:
    """Replay them one after another; returns whether everything was settled, None without waiting for it."""
    from functools import partial

    from pipeline.cli._settling import settle
    from pipeline.cli.meter import Meter
    from pipeline.local.instance import NoInstanceError, find, kafka_of
    from pipeline.ops import replay as replaying

    groups, names = replaying.KafkaGroups(kafka_of(given)), names_of(given)
    try:
        instance = find(given.home)
    except NoInstanceError:
        instance = None
        replaying.refuse_strangers(targets, groups)
    called = {target.stage: names.stage(target.stage) for target in targets}
    still = [stage for stage, name in called.items() if instance is None or _is_stopped(instance, name)]
    with Meter("Replaying", len(targets)) as meter:
        for done, target in enumerate(targets):
            meter.show(done, f"{target.stage}: stopping, moving, starting")
            order = None if instance is None else partial(_order, instance.control, names)
            replaying.replay(target, groups, None if target.stage in still else order)
            meter.say(f"{target.stage}: from the beginning")
    if still:
        echo(f"not running, so they go on when started: {', '.join(still)}", err=True)
    return None if still or not wait else settle("Replaying", given, offsets, instance)


def _order(control: str, names: "Names", verb: str, stage: str) -> None:
    from pipeline.local.control import order

    order(control, verb, names.stage(stage))


def _is_stopped(instance: "Instance", stage: str) -> bool:
    """Whether somebody stopped the stage: then it stays so."""
    return all(worker.state == "stopped" for worker in instance.workers if worker.stage == stage)


def _command(targets: "list[Target]", *, every: bool, domain: str, home: "Path") -> str:
    what = "--all" if every else " ".join(target.stage for target in targets)
    what += f" --domain {domain}" if domain else ""
    return f"tideline replay {what} --execute" + ("" if home == DEFAULT_HOME else f" --home {home}")


def _table(targets: "list[Target]") -> "Table":
    from pipeline.cli._tables import Table

    table = Table("stage", "group", "topics", box=None, pad_edge=False)
    for title in ("processed again", "not processed yet", "rows at most"):
        table.add_column(title, justify="right")
    for target in targets:
        rows = "" if target.rows_at_most is None else f"{target.rows_at_most:,}"
        numbers = [
            "unknown" if number is None else f"{number:,}" for number in (target.again, target.waiting)
        ]
        table.add_row(target.stage, target.group, ", ".join(target.topics), *numbers, rows)
    return table

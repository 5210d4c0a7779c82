"""`tideline up`, `down`, `status`: a real Kafka and a real Cassandra on this machine.

Addresses go to stdout and talk to stderr, so `TIDELINE_KAFKA=$(tideline up --json | jq -r .kafka)` works.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import DEFAULT_HOME, HomeOption, JsonOption, SecureOption, settings
from pipeline.cli.running import echo, print_json

PurgeOption = Annotated[bool, typer.Option("--purge", help="Delete their data and logs too.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(up)
    app.command()(down)
    app.command()(status)


def up(home: HomeOption = DEFAULT_HOME, secure: SecureOption = False, as_json: JsonOption = False) -> None:
    """Start Kafka and Cassandra, or find them running, and print where they are.

    They run until `tideline down`. Where TIDELINE_KAFKA or TIDELINE_CASSANDRA is set, that cluster is used.
    """
    from pipeline.local import engines

    with _talk("looking for the engines") as progress:
        endpoints = engines.up(home, progress, secured=secure)
    if as_json:
        print_json(endpoints)
    else:
        echo(f"kafka      {endpoints.kafka}", f"cassandra  {endpoints.cassandra}")


def down(home: HomeOption = DEFAULT_HOME, purge: PurgeOption = False, as_json: JsonOption = False) -> None:
    """Stop the engines of this home; their data stays unless `--purge` is given."""
    from pipeline.local import engines

    with _talk("stopping the engines"):
        stopped = engines.down(home, purge=purge)
    if as_json:
        print_json({"stopped": stopped, "purged": purge})
    else:
        echo(f"stopped: {', '.join(stopped) or 'nothing was running'}")


def status(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Say where the engines are, whether they answer, and how the stages are.

    Exit 1 unless both engines answer and every worker of the running instance is at work: ready, and a member
    of its consumer group. A stage without a live worker says so, with the next command.
    """
    from pipeline.cli._no_worker import next_command
    from pipeline.local import engines, instance

    found = engines.status(home)
    workers = instance.stages(home)
    members = _members(home) if workers and found["kafka"].up else {}
    dead = {
        stage: next_command(stage, [one for one in workers if one.stage == stage])
        for stage in dict.fromkeys(one.stage for one in workers)
        if members.get(stage) == 0 or not any(one.pid for one in workers if one.stage == stage)
    }
    if as_json:
        stages = [
            {**asdict(one), "members": members.get(one.stage), "next": dead.get(one.stage)} for one in workers
        ]
        print_json({**found, "stages": stages})
    else:
        for name, engine in found.items():
            pid = f"pid {engine.pid}" if engine.pid else ""
            echo(f"{name:<13} {'up' if engine.up else 'down':<8} {engine.address:<16} {pid}".rstrip())
        for worker in workers:
            pid = f"pid {worker.pid}" if worker.pid else ""
            restarts = f"{worker.restarts} restarts" if worker.restarts else ""
            said = f"no live worker: {dead[worker.stage]}" if worker.stage in dead else ""
            echo(f"{worker.stage:<13} {worker.state:<8} {restarts:<16} {pid:<11} {said}".rstrip())
    ready = all(one.state == "ready" for one in workers)
    if dead or not ready or not all(engine.up for engine in found.values()):
        raise typer.Exit(1)


def _members(home: Path) -> dict[str, int]:
    """By stage of the running instance, the members of its group; what Kafka does not say is missing."""
    from pipeline import topology
    from pipeline.control.lag import consumers
    from pipeline.kafka.groups import Members
    from pipeline.local import instance

    given = settings(home=home)
    running = instance.find(home)
    whole = topology.load(given.topology, running.profile)
    groups = {
        each.names.stage(one.stage): one.group
        for each in (whole, *(whole.of(domain) for domain in running.domains))
        for one in consumers(each, api=False)
    }
    found = Members(instance.kafka_of(given)).ask(groups.values()).members()
    return {stage: found[group] for stage, group in groups.items() if group in found}


@contextmanager
def _talk(opening: str) -> Iterator[Callable[[str], None]]:
    """A spinner on a terminal; in a log one line a step (what stands before a colon), not one a jar."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    steps: set[str] = set()

    def say(message: str) -> None:
        spinner.update(message)
        step = message.partition(":")[0]
        if not console.is_terminal and step not in steps:
            steps.add(step)
            console.print(message, markup=False)

    with console.status(opening) as spinner:
        yield say

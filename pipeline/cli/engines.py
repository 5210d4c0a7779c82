"""`tideline up`, `down`, `status`: a real Kafka and a real Cassandra on this machine.

Addresses go to stdout and talk to stderr, so `TIDELINE_KAFKA=$(tideline up --json | jq -r .kafka)` works.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from pipeline.cli.options import DEFAULT_HOME, HomeOption, JsonOption, SecureOption
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
    """Say where the engines are, whether they answer, and how the stages are; exit 1 unless both answer."""
    from pipeline.local import engines, instance

    found = engines.status(home)
    if as_json:
        print_json(found)
    else:
        for name, engine in found.items():
            pid = f"pid {engine.pid}" if engine.pid else ""
            echo(f"{name:<13} {'up' if engine.up else 'down':<8} {engine.address:<16} {pid}".rstrip())
        for worker in instance.stages(home):
            pid = f"pid {worker.pid}" if worker.pid else ""
            restarts = f"{worker.restarts} restarts" if worker.restarts else ""
            echo(f"{worker.stage:<13} {worker.state:<8} {restarts:<16} {pid}".rstrip())
    if not all(engine.up for engine in found.values()):
        raise typer.Exit(1)


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

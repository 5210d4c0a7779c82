"""`tideline run`, `stop` and `stage`: the whole pipeline on this machine."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import DEFAULT_HOME, HomeOption, ProfileOption, SecureOption, settings
from pipeline.cli.running import echo

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.local.instance import Instance

DEFAULT_PORT = 8480

StageArgument = Annotated[str, typer.Argument(help="classify, fanout.large, notifications/classify …")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("run")(run)
    app.command("stop")(stop)
    stage = typer.Typer(no_args_is_help=True, help="Stop and start single stages of the running instance.")
    stage.command("stop")(stage_stop)
    stage.command("start")(stage_start)
    app.add_typer(stage, name="stage")


def run(
    home: HomeOption = DEFAULT_HOME,
    profile: ProfileOption = "default",
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, envvar="TIDELINE_PORT", help="Of the HTTP API: this or none; 0: any."),
    ] = DEFAULT_PORT,
    domain: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Beside the home feed; may be given several times."),
    ] = None,
    secure: SecureOption = False,
) -> None:
    """Run engines, topology and every stage until Ctrl-C; prints `ready URL` when all of it answers.

    A domain's API gets the next free port, and a line `NAME URL`.

    Workers that die are started again. Engines that ran before keep running afterwards. Logs are on stderr
    and in HOME/logs; `stage stop` and `stage start` take single stages out and back in.
    """
    from pipeline.local import launch

    launch.run(
        settings(home=home, profile=profile, port=port),
        domain or (),
        secured=secure,
        say=lambda text: echo(text, err=True),
        ready=_ready,
    )


def _ready(instance: "Instance") -> None:
    echo(f"ready {instance.api}")
    for domain, url in instance.domains.items():
        echo(f"{domain} {url}")


def stop(home: HomeOption = DEFAULT_HOME) -> None:
    """Stop the running instance and wait until it is gone."""
    from pipeline.local import instance

    supervisor = instance.find(home).supervisor
    if process := supervisor.process():
        process.terminate()
    while supervisor.process():  # not process.wait(): one that its parent has not reaped yet is gone too
        time.sleep(0.1)


def stage_stop(stage: StageArgument, home: HomeOption = DEFAULT_HOME) -> None:
    """Stop a stage's workers and leave them stopped; returns when they are gone."""
    _order("stop", stage, home)


def stage_start(stage: StageArgument, home: HomeOption = DEFAULT_HOME) -> None:
    """Start a stage's workers again."""
    _order("start", stage, home)


def _order(verb: str, stage: str, home: "Path") -> None:
    from pipeline.local import control, instance

    control.order(instance.find(home).control, verb, stage)

"""`tideline policy`: who is pushed and who is pulled, read and changed while everything runs."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import DEFAULT_HOME, HomeOption, JsonOption, ProfileOption, settings

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.ops.policy_settings import InForce

_CHANGES = "push_below=N pull_above=N"


def register(app: typer.Typer) -> None:
    """Add the command group."""
    policy = typer.Typer(no_args_is_help=True, help="Who is pushed and who is pulled, while everything runs.")
    policy.command("get")(get)
    policy.command("set")(change)
    app.add_typer(policy, name="policy")


def get(
    home: HomeOption = DEFAULT_HOME, profile: ProfileOption = "default", json: JsonOption = False
) -> None:
    """Show the thresholds in force, and which of them were changed since when."""
    _show(_read(home, profile)[1], json=json)


def change(
    changes: Annotated[list[str], typer.Argument(metavar=_CHANGES, help="Followers; one or both.")],
    home: HomeOption = DEFAULT_HOME,
    profile: ProfileOption = "default",
    json: JsonOption = False,
) -> None:
    """Change thresholds; each author's next post goes by them. Posts already published keep their class."""
    import asyncio

    from pipeline.ops import policy_settings

    wanted = dict(map(_setting, changes))
    kafka, now = _read(home, profile)
    settings = policy_settings.changed(now, wanted, time.time_ns() // 1_000_000)
    asyncio.run(policy_settings.write(kafka, settings))
    _show(policy_settings.InForce(now.files, settings), json=json)


def _setting(text: str) -> tuple[str, int]:
    name, _, value = text.partition("=")
    if not value.isascii() or not value.isdigit():
        raise typer.BadParameter(f"{text}: give {_CHANGES}, in followers")
    return name, int(value)


def _read(home: "Path", profile: str) -> "tuple[str, InForce]":
    """Where Kafka is, and what is in force there."""
    from pipeline.cli.running import topology_of
    from pipeline.local.instance import kafka_of
    from pipeline.ops import policy_settings

    given = settings(home=home, profile=profile)
    kafka = kafka_of(given)
    return kafka, policy_settings.read(kafka, topology_of(given).policy)


def _show(now: "InForce", *, json: bool) -> None:
    from pipeline.cli.running import print_json
    from pipeline.ops.policy_settings import NAMES

    if json:
        print_json(now.document())
        return
    for name in NAMES:
        files = f", {getattr(now.files, name):,} in the files" if now.overridden(name) else ""
        typer.echo(f"{name:<12} {now.value(name):>12,} followers{files}")
    if now.changed is not None:
        typer.echo(
            f"changed      {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(now.changed.at / 1000))}"
        )

"""The command `tideline`: one module a command group, each with `register(app)`, loaded when it is called.

Data goes to stdout, talk to stderr. Exit codes: 0 done, 1 failure, 2 wrong usage, 3 differences found, 130
interrupted. What a command needs is imported inside it, or in a module `_…`, so that none waits for what
another one needs, and `--help`, which loads all of these modules, loads neither Kafka nor Cassandra.
"""

import os
import sys
from collections.abc import MutableMapping
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from pipeline.cli.running import echo
from pipeline.errors import TidelineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typer._click import Command

MODULES = {
    **dict.fromkeys(("up", "down", "status"), "engines"),
    **dict.fromkeys(("run", "stop", "stage"), "run"),
    "import": "imports",
    "policy": "routing",
}
"""Where commands are whose module has another name."""

COMMANDS = (
    *("advise", "audit", "bench", "budget", "contain", "demo", "dlq", "drain", "up", "down", "status"),
    *("erased", "groups", "import", "lag", "offsets", "publish", "rebuild", "replay", "routing", "policy"),
    *("run", "stop", "stage", "timeline", "token", "topology", "trace", "worker"),
)
"""In the order of their help."""


class Commands(MutableMapping[str, "Command"]):
    """Every command by its name; its module is loaded when it is asked for."""

    def __init__(self, loaded: "dict[str, Command]") -> None:
        self._loaded = loaded

    def __getitem__(self, name: str) -> "Command":
        if name in COMMANDS and name not in self._loaded:
            app = typer.Typer()
            import_module(f"{__name__}.{MODULES.get(name, name)}").register(app)
            self._loaded |= get_group(app).commands
        return self._loaded[name]

    def __setitem__(self, name: str, command: "Command") -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> "Iterator[str]":
        return iter(dict.fromkeys((*COMMANDS, *self._loaded)))

    def __len__(self) -> int:
        return len(list(iter(self)))


class Group(TyperGroup):
    """The command itself, which has `Commands`."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = Commands(dict(self.commands))


def build() -> typer.Typer:
    """The application with every command group in this package."""
    app = typer.Typer(
        name="tideline",
        cls=Group,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        help="A hybrid fan-out timeline pipeline: Kafka, Faust and Cassandra behind every home feed.",
    )
    app.callback()(_options)
    return app


def main() -> None:
    """Run the command line; errors the user can act on are two lines on stderr, never a traceback."""
    try:
        try:
            build()(prog_name="tideline")
        finally:
            sys.stdout.flush()
    except TidelineError as error:
        _fail(error.message, error.hint)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever read stdout has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if os.environ.get("TIDELINE_LOG_LEVEL", "").lower() == "debug":
            import traceback

            traceback.print_exc()
        _fail(f"unexpected {type(error).__name__}: {error}", "TIDELINE_LOG_LEVEL=debug shows where")


def _fail(message: str, hint: str) -> None:
    echo(*f"error: {message}".split("\n"), err=True)
    if hint:
        echo(*f"hint: {hint}".split("\n"), err=True)
    sys.exit(1)


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=lambda asked: _version(asked), help="Print it."),
    ] = False,
) -> None:
    """What stands before the command."""


def _version(asked: bool) -> None:
    if not asked:
        return
    from importlib import metadata

    try:
        echo(f"tideline {metadata.version('tideline')}")
    except metadata.PackageNotFoundError:
        echo("tideline, run from its source, not installed")
    raise typer.Exit

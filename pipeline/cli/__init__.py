"""The command `tideline`: one module a command group, each with `register(app)`, found by being here.

Data goes to stdout, talk to stderr. Exit codes: 0 done, 1 failure, 2 wrong usage, 3 differences found, 130
interrupted. What a command needs is imported inside it, or in a module `_…` that is not looked into here, so
that `--help` does not load Kafka and Cassandra.
"""

import os
import sys
import traceback
from importlib import import_module, metadata
from pkgutil import iter_modules
from typing import Annotated

import typer

from pipeline.cli.running import echo
from pipeline.errors import TidelineError


def build() -> typer.Typer:
    """The application with every command group in this package."""
    app = typer.Typer(
        name="tideline",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        help="A hybrid fan-out timeline pipeline: Kafka, Faust and Cassandra behind every home feed.",
    )
    app.callback()(_options)
    for found in iter_modules(__path__):
        if not found.name.startswith("_"):
            register = getattr(import_module(f"{__name__}.{found.name}"), "register", None)
            if register is not None:
                register(app)
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
    try:
        echo(f"tideline {metadata.version('tideline')}")
    except metadata.PackageNotFoundError:
        echo("tideline, run from its source, not installed")
    raise typer.Exit

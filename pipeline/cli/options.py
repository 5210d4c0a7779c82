"""The options that many commands share, and how they become settings."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.config.settings import Settings

DEFAULT_HOME = Path.home() / ".tideline"

HomeOption = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="TIDELINE_HOME",
        show_default="~/.tideline",
        file_okay=False,
        resolve_path=True,
        help="Where engines and instance keep their files.",
    ),
]
SecureOption = Annotated[
    bool,
    typer.Option(
        "--secure", help="With TLS, users and permissions, made in HOME/secure; the home stays secured."
    ),
]
ProfileOption = Annotated[
    str, typer.Option("--profile", envvar="TIDELINE_PROFILE", help="Topology profile: default, small-graph …")
]
AskedProfileOption = Annotated[
    str,
    typer.Option(
        "--profile",
        envvar="TIDELINE_PROFILE",
        help="Topology profile where no instance runs in the home; one that runs has its own.",
    ),
]
DomainOption = Annotated[
    str,
    typer.Option(
        "--domain",
        envvar="TIDELINE_DOMAIN",
        metavar="NAME",
        show_default="the home feed",
        help="A file in topology/domains: notifications …",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


def settings(**given: Any) -> "Settings":
    """The settings of the environment, with these in place of the environment's.

    Raises ConfigError that names the variable when one cannot be used.
    """
    from pydantic import ValidationError

    from pipeline.config.settings import Settings

    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(("TIDELINE", *map(str, first["loc"]))).upper()
        raise ConfigError(f"{name}: {first['msg']}", f"it is {first['input']!r} now") from None

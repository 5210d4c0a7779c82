"""`tideline token`: a token with which a reader, or an operator, asks the HTTP API."""

from typing import Annotated

import typer

from pipeline.cli.options import DEFAULT_HOME, HomeOption, settings
from pipeline.cli.running import echo
from pipeline.errors import TidelineError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("token")(token)


def token(
    reader: Annotated[
        int, typer.Argument(metavar="READER", min=1, max=2**63 - 1, help="The id of the reader.")
    ],
    operator: Annotated[
        bool, typer.Option("--operator", help="May read for anyone, and is not limited.")
    ] = False,
    minutes: Annotated[int, typer.Option(metavar="N", min=1, max=525_600, help="How long it is valid.")] = 60,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Print a token for `Authorization: Bearer …`, signed with the first of TIDELINE_TOKEN_KEYS.

    Without them it is signed with the key of the home. Whoever has the token is the reader until it expires.
    """
    from pipeline.auth.home_keys import tokens_of
    from pipeline.auth.tokens import Caller

    keys = tokens_of(settings(home=home))
    if keys is None:
        raise TidelineError(
            f"no keys in {home}", f"tideline run --home {home} makes one, or set TIDELINE_TOKEN_KEYS"
        )
    echo(keys.sign(Caller(reader, operator), life_s=60 * minutes))

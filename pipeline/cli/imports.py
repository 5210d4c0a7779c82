"""`tideline import`: what other systems hold, as events."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import DEFAULT_HOME, DomainOption, HomeOption, JsonOption, settings
from pipeline.clock import now_ms

if TYPE_CHECKING:
    from pipeline.ops.lines import Line
    from pipeline.ops.publish import LineBatch


def register(app: typer.Typer) -> None:
    """Add the command group."""
    imports = typer.Typer(no_args_is_help=True, help="Import what other systems hold, as events.")
    imports.command("follows")(follows)
    app.add_typer(imports, name="import")


def follows(
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="Lines FOLLOWER FOLLOWED, plain or .gz; -: stdin.")
    ],
    at: Annotated[
        int | None, typer.Option(metavar="MS", help="When they followed; default: the beginning of 2020.")
    ] = None,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Import a follow graph; lines that start with # are comments.

    A bad line is told on stderr as `line N: reason` and does not hold up the others; the exit code is then 1.
    Importing the same file again changes nothing: whoever has left meanwhile stays away, as what people do is
    later than an import. Give --at with the time of the list to have it count against what was done before.
    """
    from pipeline.cli import _delivery
    from pipeline.domain import fields, snowflake
    from pipeline.ops import import_follows

    try:
        event_time = snowflake.EPOCH_MS if at is None else fields.time(at)
    except fields.FieldError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="--at") from None
    if event_time > now_ms():
        raise typer.BadParameter("must not be ahead of now", param_hint="--at")

    def batches(blocks: "AsyncIterator[list[Line]]") -> "AsyncIterator[LineBatch]":
        return import_follows.batches(blocks, at=event_time, now_ms=now_ms)

    given = settings(home=home, domain=domain)
    told = _delivery.summary_as_json() if json else _delivery.DeliveryOutput()
    _delivery.run(file, batches, source=import_follows.SOURCE, given=given, title="Importing", told=told)

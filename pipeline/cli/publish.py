"""`tideline publish`: events from lines of JSON."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import DEFAULT_HOME, DomainOption, HomeOption, JsonOption, settings
from pipeline.cli.running import topology_of
from pipeline.clock import now_ms

if TYPE_CHECKING:
    from pipeline.ops.lines import Line
    from pipeline.ops.publish import LineBatch

SOURCE = "tideline/publish"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("publish")(publish)


def publish(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="Lines of JSON, plain or .gz; -: stdin.")],
    topic: Annotated[str, typer.Option(help="The topic of lines that name none.")] = "",
    source: Annotated[
        str, typer.Option(metavar="NAME", help="Who produces them: ce_source, and the producer's client.id.")
    ] = SOURCE,
    domain: DomainOption = "",
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Publish events, one JSON object a line, and wait until the broker has acknowledged them.

    Prints `line N: post ID` for each post published; with --json an object for each line: line, topic, type,
    post_id (null when it is about no post), or line, field, reason of one that was refused.

    A line that is no event is told on stderr as `line N: field: reason` and does not hold up the others; the
    exit code is then 1. A line without a time (at, created_at) is of now: sent again, it is another event,
    and another post. With a time, publishing it again is harmless. A line whose time the pipeline would
    refuse is refused here: one ahead of now, a post older than the window that does not say imported.
    """
    from pipeline.cli import _delivery
    from pipeline.domain.intake import RENAMED, TOPICS
    from pipeline.ops.publish import Times, batch_of
    from pipeline.runtime.admitting import limits_of
    from pipeline.wire.headers import MAX_NAME_BYTES

    if topic and RENAMED.get(topic, topic) not in TOPICS:
        raise typer.BadParameter(f"must be one of {', '.join(TOPICS)}", param_hint="--topic")

    async def batches(blocks: "AsyncIterator[list[Line]]") -> "AsyncIterator[LineBatch]":
        times = Times()
        async for lines in blocks:
            yield batch_of(
                lines, default_topic=topic or None, source=source, now_ms=now_ms(), times=times, limits=limits
            )

    if not 0 < len(source.encode()) <= MAX_NAME_BYTES:
        raise typer.BadParameter(f"must have 1 to {MAX_NAME_BYTES} bytes", param_hint="--source")
    given = settings(home=home, domain=domain)
    limits = limits_of(topology_of(given))
    told = _delivery.lines_as_json() if json else _delivery.posts()
    _delivery.run(file, batches, source=source, given=given, title="Publishing", told=told)

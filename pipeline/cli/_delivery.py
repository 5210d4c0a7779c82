"""What `publish` and `import` share: a file goes in, progress and refusals are told, the exit code tells."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TYPE_CHECKING

import orjson
import typer

from pipeline.cli.meter import Meter
from pipeline.kafka.outbox import Outbox
from pipeline.ops.lines import Line, Source, in_background, opened
from pipeline.ops.publish import Batch, Report, deliver

if TYPE_CHECKING:
    from pipeline.settings import Settings

Batches = Callable[[AsyncIterator[list[Line]]], AsyncIterator[Batch]]

LINGER_MS = 20
"""How long the producer waits to fill a request: bulk wants large ones, and nobody waits for one line."""

DELIVERY_TIMEOUT_MS = 30_000
"""After this a broker counts as gone; whoever sits at the terminal would not wait two minutes to hear it."""


def run(file: str, batches: Batches, *, source: str, given: "Settings", title: str, as_json: bool) -> None:
    """Deliver what `batches` makes of the lines of a file, as the producer `source`.

    Raises typer.Exit(1) unless all were sent.
    """
    from pipeline.cli.running import names_of
    from pipeline.local.instance import kafka_of

    outbox = partial(
        Outbox,
        kafka_of(given),
        names_of(given),
        producer=source,
        linger_ms=LINGER_MS,
        delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
    )
    started = time.monotonic()
    with opened(file) as lines, Meter(title, lines.size) as meter:
        report = asyncio.run(_deliver(lines, batches, outbox, meter))
    seconds = time.monotonic() - started
    if report.undelivered:
        typer.echo(f"error: not delivered {report.undelivered}", err=True)
        typer.echo("hint: run the command again: what arrives twice counts once", err=True)
    typer.echo(f"sent {report.sent:,}, refused {report.refused:,}, {seconds:.1f} s", err=True)
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(_summary(report, seconds), option=orjson.OPT_APPEND_NEWLINE))
        sys.stdout.flush()
    if not report.complete:
        raise typer.Exit(1)


async def _deliver(source: Source, batches: Batches, outbox: Callable[[], Outbox], meter: Meter) -> Report:
    def show(report: Report) -> None:
        meter.show(source.position, f"{report.sent:,} sent, {report.refused:,} refused")

    async with outbox() as producer:
        return await deliver(
            batches(in_background(source.batches())),
            producer,
            refused=lambda refusal: meter.say(str(refusal)),
            progress=show,
        )


def _summary(report: Report, seconds: float) -> dict[str, object]:
    return {
        "sent": report.sent,
        "refused": [{"line": r.line, "field": r.field, "reason": r.reason} for r in report.refusals],
        "refused_total": report.refused,
        "undelivered": report.undelivered or None,
        "seconds": round(seconds, 3),
    }

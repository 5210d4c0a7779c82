"""What `publish` and `import` share: a file goes in, progress and refusals are told, the exit code tells.

What stdout is told of is a `DeliveryOutput`: by `publish` each line, by `import` a summary.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import typer

from pipeline.cli.meter import Meter
from pipeline.cli.running import echo, json_text, names_of, print_json
from pipeline.kafka.outbox import Outbox
from pipeline.ops.lines import Line, LineSource, in_background, opened
from pipeline.ops.publish import DeliveryReport, LineBatch, RefusedLine, Sent, deliver
from pipeline.wire.enums import EventType

if TYPE_CHECKING:
    from pipeline.config.settings import Settings

Batches = Callable[[AsyncIterator[list[Line]]], AsyncIterator[LineBatch]]

LINGER_MS = 20
"""How long the producer waits to fill a request: bulk wants large ones, and nobody waits for one line."""

DELIVERY_TIMEOUT_MS = 30_000
"""After this a broker counts as gone; whoever sits at the terminal would not wait two minutes to hear it."""


@dataclass(frozen=True, slots=True)
class DeliveryOutput:
    """What goes to stdout: of acknowledged events, of a refused line, at the end."""

    sent: Callable[[Sequence[Sent]], None] = lambda _: None
    refused: Callable[[RefusedLine], None] = lambda _: None
    ended: Callable[[DeliveryReport, float], None] = lambda *_: None


def posts() -> DeliveryOutput:
    """A line for each post that was published, as edits, deletions and `trace` want its id."""

    def sent(events: Sequence[Sent]) -> None:
        _write(f"line {one.line}: post {one.post_id}" for one in events if one.type == EventType.PUBLISHED)

    return DeliveryOutput(sent)


def lines_as_json() -> DeliveryOutput:
    """An object for each line."""

    def sent(events: Sequence[Sent]) -> None:
        _write(json_text(one) for one in events)

    return DeliveryOutput(sent, lambda refusal: _write([json_text(refusal)]))


def summary_as_json() -> DeliveryOutput:
    """One object at the end."""
    return DeliveryOutput(ended=lambda report, seconds: print_json(_summary(report, seconds)))


def _write(lines: Iterable[str]) -> None:
    """In one go: flushing after each line takes longer than sending it."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def run(
    file: str, batches: Batches, *, source: str, given: "Settings", title: str, told: DeliveryOutput
) -> None:
    """Deliver what `batches` makes of the lines of a file, as the producer `source`.

    Raises typer.Exit(1) unless all were sent.
    """
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
        report = asyncio.run(_deliver(lines, batches, outbox, meter, told))
    seconds = time.monotonic() - started
    if report.undelivered:
        echo(f"error: not delivered {report.undelivered}", err=True)
        echo("hint: send these lines again; what has a time and arrives twice counts once", err=True)
    echo(f"sent {report.sent:,}, refused {report.refused:,}, {seconds:.1f} s", err=True)
    told.ended(report, seconds)
    if not report.complete:
        raise typer.Exit(1)


async def _deliver(
    source: LineSource, batches: Batches, outbox: Callable[[], Outbox], meter: Meter, told: DeliveryOutput
) -> DeliveryReport:
    def refused(refusal: RefusedLine) -> None:
        meter.say(str(refusal))
        told.refused(refusal)

    def show(report: DeliveryReport) -> None:
        meter.show(source.position, f"{report.sent:,} sent, {report.refused:,} refused")

    async with outbox() as producer:
        return await deliver(
            batches(in_background(source.batches())),
            producer,
            refused=refused,
            sent=told.sent,
            progress=show,
        )


def _summary(report: DeliveryReport, seconds: float) -> dict[str, object]:
    return {
        "sent": report.sent,
        "refused": [{"line": r.line, "field": r.field, "reason": r.reason} for r in report.refusals],
        "refused_total": report.refused,
        "undelivered": report.undelivered or None,
        "seconds": round(seconds, 3),
    }

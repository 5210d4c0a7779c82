"""Publish events: lines of JSON in, acknowledged messages out, and a reason for every line refused.

A line that is no event does not hold up the others. Batches go out while the next ones are read and checked,
in the order of the lines, with a bounded number in flight. Publishing a line with a time twice is harmless:
ids are deterministic and every stage is idempotent. `tests/ops/test_publish.py` shows it on a real Kafka.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

import orjson

from pipeline.domain.admission import ClockLimits, clock
from pipeline.domain.intake import Accepted, Rejected, parse
from pipeline.kafka.outbox import Outbox
from pipeline.kafka.ports import NoSuchTopic, NotDelivered, NotTaken, Outgoing
from pipeline.ops.lines import MAX_LINE_BYTES, Line
from pipeline.wire.codec import CodecError, encode
from pipeline.wire.headers import cloud_event, published
from pipeline.wire.records import PostEvent

IN_FLIGHT = 8
"""Batches in flight: 8 blocks of lines keep the broker busy and stay below the outbox's own limit, past
which batches would overtake each other."""

MAX_LEAD_MS = 500
"""How far the times of posts without one may run ahead: half of what the strictest profile allows."""

MAX_REFUSALS = 1000
"""Refusals a report holds; more are counted, and were told when they happened."""


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line that was not sent, and why. `field` is empty when it is about the line as a whole."""

    line: int
    field: str
    reason: str

    def __str__(self) -> str:
        return ": ".join(part for part in (f"line {self.line}", self.field, self.reason) if part)


@dataclass(frozen=True, slots=True)
class Sent:
    """A line and the event it became; `post_id`: of the post it is about, None when it is about none."""

    line: int
    topic: str
    type: str
    post_id: int | None


@dataclass(frozen=True, slots=True)
class LineBatch:
    """Messages that go out together, the lines refused among them, and how many lines they stand for.

    `events`: what each line became, where that is of interest: lines of posts, not edges that are imported.
    """

    first_line: int
    messages: list[Outgoing]
    refusals: list[RefusedLine]
    lines: int
    events: list[Sent] = field(default_factory=list)


@dataclass(slots=True)
class Times:
    """The time of lines that name none: now, and each post a millisecond after the post before.

    So posts of one file are shown in the order of its lines, and equal ones are posts of their own. Beyond
    `MAX_LEAD_MS`, which takes over 1,000 lines a second, they share a millisecond.
    """

    last_ms: int = 0

    def after(self, now_ms: int) -> int:
        """The time for the next line."""
        return min(max(self.last_ms + 1, now_ms), now_ms + MAX_LEAD_MS)


@dataclass(slots=True)
class DeliveryReport:
    """What became of the lines. `undelivered`: from which line on the broker did not acknowledge, and why."""

    sent: int = 0
    refused: int = 0
    refusals: list[RefusedLine] = field(default_factory=list)
    undelivered: str = ""

    @property
    def complete(self) -> bool:
        """Whether every line was sent."""
        return not self.refused and not self.undelivered


def outgoing(event: Accepted, *, source: str, now_ms: int, traceparent: bytes | None = None) -> Outgoing:
    """The message of an event published now. Raises CodecError when it is too large to be one."""
    headers = cloud_event(
        event_id=event.event_id,
        event_type=f"io.tideline.{event.topic}.{event.record.type}",
        source=source,
        at_ms=event.record.at,
        carried=published(now_ms, traceparent),
    )
    return Outgoing(event.topic, encode(event.record), event.key, headers)


def batch_of(
    lines: Iterable[Line],
    *,
    default_topic: str | None,
    source: str,
    now_ms: int,
    times: Times | None = None,
    limits: ClockLimits | None = None,
) -> LineBatch:
    """The messages of these lines and the refusals among them; empty lines are neither.

    `times`: shared by the batches of a file. `limits`: refuse the times that every stage would refuse; None:
    take them.
    """
    messages: list[Outgoing] = []
    refusals: list[RefusedLine] = []
    events: list[Sent] = []
    times = times or Times()
    first = 0
    for line in lines:
        first = first or line.number
        if not line.data or line.data.isspace():
            continue
        at = times.after(now_ms)
        match _in_time(_event(line, default_topic, at), now_ms, limits):
            case Accepted() as event:
                try:
                    messages.append(outgoing(event, source=source, now_ms=now_ms))
                except CodecError as error:
                    refusals.append(RefusedLine(line.number, "", error.message))
                    continue
                events.append(_sent(line, event))
                if isinstance(event.record, PostEvent) and event.record.at == at:
                    times.last_ms = at
            case Rejected(name, reason):
                refusals.append(RefusedLine(line.number, name, reason))
    return LineBatch(first, messages, refusals, len(messages), events)


def _in_time(event: Accepted | Rejected, now_ms: int, limits: ClockLimits | None) -> Accepted | Rejected:
    """What is refused downstream is refused here, where its sender sees it."""
    if isinstance(event, Accepted) and limits is not None:
        refusal = clock(event.record, now_ms, limits)
        if refusal is not None:
            name, _, reason = refusal.detail.partition(": ")
            return Rejected(name, reason)
    return event


def _sent(line: Line, event: Accepted) -> Sent:
    return Sent(line.number, event.topic, event.record.type, getattr(event.record, "post_id", None))


def _event(line: Line, default_topic: str | None, at: int) -> Accepted | Rejected:
    if line.too_long:
        return Rejected("", f"longer than {MAX_LINE_BYTES} bytes")
    try:
        value = orjson.loads(line.data)
    except orjson.JSONDecodeError as error:
        return Rejected("", f"not JSON: {error.msg} (column {error.colno})")
    return parse(value, default_topic=default_topic, now_ms=at)


async def deliver(
    batches: AsyncIterable[LineBatch],
    outbox: Outbox,
    *,
    refused: Callable[[RefusedLine], None],
    sent: Callable[[Sequence[Sent]], None] = lambda _: None,
    progress: Callable[[DeliveryReport], None],
) -> DeliveryReport:
    """Send batches in order and wait for every acknowledgement.

    `refused` is told of each refusal at once; `sent` of its events, then `progress`, when a batch is
    acknowledged. Ends early when the broker does not acknowledge a batch: what comes after would not fare
    better.
    """
    report = DeliveryReport()
    flights: deque[tuple[LineBatch, asyncio.Task[int]]] = deque()

    async def land() -> None:
        batch, sending = flights.popleft()
        try:
            await sending
            report.sent += batch.lines
            sent(batch.events)
        except (NotDelivered, NoSuchTopic, NotTaken) as error:
            report.undelivered = report.undelivered or f"from line {batch.first_line} on: {error.message}"
        progress(report)

    async for batch in batches:
        for refusal in batch.refusals:
            refused(refusal)
        report.refused += len(batch.refusals)
        report.refusals += batch.refusals[: MAX_REFUSALS - len(report.refusals)]
        flights.append((batch, asyncio.create_task(outbox.send_all(batch.messages))))
        while len(flights) >= IN_FLIGHT or (flights and flights[0][1].done()):
            await land()
        if report.undelivered:
            break
    while flights:
        await land()
    return report

"""Who is let in: every event of a stranger is held against this before any stage's rule sees it.

    record ─▶ type ─▶ fields (`intake.checked`) ─▶ times against the broker's ─▶ the stage

Times that an event brings are claims: `at`, `created_at`, the time of its post's id, and the headers
`origin_ts` and `ce_time`. One that is further ahead of the broker's append time than `ahead_ms`, or that is
no time of this century or the next (seconds, microseconds), refuses the event; an `at` that is a little ahead
counts as of the broker's time. So nothing that is in a table can make a later, right event powerless.
Late is not wrong: a post may come up to the window late, and what is older says `imported`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline.domain import fields, intake, snowflake
from pipeline.wire.enums import EventType, RefusalReason
from pipeline.wire.records import ActivityEvent, FollowEvent, PostEvent, TimelineRequest

INPUTS = (*intake.TOPICS, *intake.RENAMED, "timeline.requests")
"""The topics that strangers write to."""

EDGE_MARKS = (EventType.RETRACTED, EventType.REFILLED, EventType.WARMED, EventType.COOLED)
READER_MARKS = (EventType.LAPSED, EventType.REBUILD)
MARKS: Mapping[str, tuple[str, ...]] = {"edge.marks": EDGE_MARKS, "reader.marks": READER_MARKS}
"""By topic, the types of events that the pipeline itself adds to what others say of an edge or a reader."""

APART_MS = 60_000
"""So far apart may `created_at` and the time of the id be: services make ids a while before the post."""

REQUEST_ID_BYTES = 1_024

_TIMES = ("at", "created_at")


@dataclass(frozen=True, slots=True)
class ClockLimits:
    """How far (ms) a claim may be ahead of the broker's time, and a post that is not imported behind it."""

    ahead_ms: int
    window_ms: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an event is not let in. detail: `FIELD: REASON`."""

    reason: RefusalReason
    detail: str


def admit(
    topic: str,
    record: Any,
    appended_at_ms: int,
    limits: ClockLimits,
    headers: Iterable[tuple[str, int]] = (),
) -> Any:
    """The record as its stage may trust it, or a Refusal.

    `topic`: as the code calls it, one of INPUTS or MARKS. `headers`: the times that its headers claim.
    """
    match record:
        case TimelineRequest():
            wrong = _request(record)
        case FollowEvent() | ActivityEvent() if topic in MARKS:
            wrong = _mark(topic, record)
        case _:
            record, wrong = _checked(record)
    wrong = wrong or clock(record, appended_at_ms, limits, headers)
    if wrong is None and getattr(record, "at", 0) > appended_at_ms:
        record = replace(record, at=appended_at_ms)  # or it outlasts a right event of the next seconds
    return wrong or record


def _checked(record: Any) -> tuple[Any, Refusal | None]:
    found = intake.checked(record)
    if isinstance(found, intake.Rejected):
        return record, Refusal(_reason(found.field), str(found))
    return found, None


def clock(
    record: Any, appended_at_ms: int, limits: ClockLimits, headers: Iterable[tuple[str, int]] = ()
) -> Refusal | None:
    """Why the times of an event cannot be right when the broker had it at `appended_at_ms`, or None."""
    for name, at_ms in (*_claims(record), *headers):
        if not fields.MIN_TIME <= at_ms < fields.END_OF_TIME:
            return Refusal(
                RefusalReason.CLOCK, f"{name}: {at_ms}: must be milliseconds since 1970, from 2000 to 2199"
            )
        lead = at_ms - appended_at_ms
        if lead > limits.ahead_ms:
            allowed = f"at most {limits.ahead_ms} are allowed"
            return Refusal(RefusalReason.CLOCK, f"{name}: {lead} ms ahead of the broker's time, {allowed}")
    match record:
        case PostEvent(EventType.PUBLISHED, post, at=at, imported=imported):
            made = snowflake.time_ms(post)
            if abs(at - made) > APART_MS:
                return Refusal(
                    RefusalReason.CLOCK, f"created_at: {at - made} ms after the time of its post_id"
                )
            if not imported and appended_at_ms - made > limits.window_ms:
                late = appended_at_ms - made
                return Refusal(
                    RefusalReason.CLOCK, f"post_id: {late} ms old, past the window: imported is not true"
                )
    return None


def _reason(field: str) -> RefusalReason:
    if field == "type":
        return RefusalReason.TYPE
    return RefusalReason.CLOCK if field in _TIMES else RefusalReason.FIELD


def _claims(record: Any) -> Iterator[tuple[str, int]]:
    """The times that a record tells, by the names that producers know them by."""
    at = getattr(record, "at", None)
    if at is not None:
        yield (
            "created_at" if isinstance(record, PostEvent) and record.type == EventType.PUBLISHED else "at",
            at,
        )
    post = getattr(record, "post_id", None)
    if post is not None:
        yield "post_id", snowflake.time_ms(post)


def _mark(topic: str, record: FollowEvent | ActivityEvent) -> Refusal | None:
    if record.type not in MARKS[topic]:
        return Refusal(RefusalReason.TYPE, f"type: must be one of {', '.join(MARKS[topic])} on topic {topic}")
    return None


def _request(record: TimelineRequest) -> Refusal | None:
    """What the reply repeats must fit into it; everything else that is wrong, the reply itself says."""
    if len(record.request_id.encode()) > REQUEST_ID_BYTES:
        return Refusal(RefusalReason.FIELD, f"request_id: must be at most {REQUEST_ID_BYTES} bytes in UTF-8")
    return None

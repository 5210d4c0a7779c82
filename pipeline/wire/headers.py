"""The headers of every message: CloudEvents in binary mode, the publish time, and the trace.

Pure functions, the same for all stages. `tideline_entered_at` (when the broker had the event), `origin_ts`
(when its producer says that it was published) and `traceparent` are carried across every hop, so that one
trace spans the path (`tracing` puts a span of its own into it where spans are kept); the `ce_*` headers are
made anew for each message. Headers come from strangers: nothing here raises for what they hold.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from operator import methodcaller
from typing import Any, Protocol

Header = tuple[str, bytes]

ORIGIN_TS = "origin_ts"
TRACEPARENT = "traceparent"
APPENDED_AT = "tideline_appended_at"
ENTERED_AT = "tideline_entered_at"
"""When (ms) the broker had the event that a path began with; believed on the pipeline's own topics alone."""
ERRORS = "__streams.errors."
"""Before the name of a header of a dead letter that tells of the failure (KIP-1034)."""
_CARRIED = (ORIGIN_TS, TRACEPARENT)

_MAX_TIME_DIGITS = 13
"""Digits of a time in ms at most: enough until the year 2286, and always an Avro long."""

_MAX_CLAIM_DIGITS = 19
"""Digits of a claimed time at most: also one in the wrong unit is an Avro long. Longer is no time at all."""

MAX_NAME_BYTES = 200
"""Bytes of the name of a producer."""

OURS = "tideline"
"""The `client.id` of the pipeline's own producers."""


def own_headers(headers: Iterable[Header]) -> list[Header]:
    """Of a dead letter, those that the message had when it came."""
    return [one for one in headers if one[0] != APPENDED_AT and not one[0].startswith(ERRORS)]


class Headed(Protocol):
    """A message of confluent-kafka."""

    def headers(self) -> Any:
        """Its headers; raises for a name that is not UTF-8."""


def headers_of(message: Headed) -> list[tuple[str, bytes | None]]:
    """The headers of a message; none when one has a name that is not UTF-8, as the client then gives none.

    To be called once for a message. Of such a name confluent-kafka returns a list with a hole in it and an
    exception beside it. A call from C checks for both and raises; Python's specialised call instruction does
    not, and who unpacks the hole then crashes the process (seen: Python 3.11.7, confluent-kafka 2.16).
    """
    try:
        return list(_headers(message) or ())
    except (UnicodeDecodeError, SystemError):
        return []


_headers: Callable[[Headed], Any] = methodcaller("headers")


def cloud_event(
    *, event_id: str, event_type: str, source: str, at_ms: int, carried: Iterable[Header] = ()
) -> list[Header]:
    """The headers of one message, CloudEvents 1.0 in binary mode.

    `event_id`: the same whenever the same event is sent again, as subscribers drop duplicates by it and
    `source`. `at_ms`: when the event happened. `carried`: what the message takes along, see `carry`.
    """
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_type", event_type.encode()),
        ("ce_source", source.encode()),
        ("ce_time", rfc3339(at_ms).encode()),
        *carried,
    ]


def published(now_ms: int, traceparent: bytes | None = None) -> list[Header]:
    """What the first message of a path carries: when it was published, and the producer's trace."""
    trace = [(TRACEPARENT, traceparent)] if traceparent else []
    return [(ORIGIN_TS, b"%d" % now_ms), *trace]


def carry(headers: Iterable[tuple[str, bytes | None]] | None) -> list[Header]:
    """Those headers of a message that go along with all it causes; of a repeated one the first."""
    found: dict[str, bytes] = {}
    for name, value in headers or ():
        if value is not None and name in _CARRIED:
            found.setdefault(name, value)
    return list(found.items())


def origin_ts(headers: Iterable[tuple[str, bytes | None]] | None, default: int) -> int:
    """When the path of this message began, in ms; `default` when the header is missing or is no time."""
    value = dict(carry(headers)).get(ORIGIN_TS, b"")
    return int(value) if value.isdigit() and len(value) <= _MAX_TIME_DIGITS else default


def entered_at(headers: Iterable[tuple[str, bytes | None]] | None, timestamp_ms: int, *, own: bool) -> int:
    """When (ms) the path of this message began, by the broker's time: what its age is counted from.

    `own`: it is on a topic of the pipeline's own. On others the header is anybody's, and a path begins there.
    """
    return next(_times(headers, ENTERED_AT), timestamp_ms) if own else timestamp_ms


def _times(headers: Iterable[tuple[str, bytes | None]] | None, wanted: str) -> Iterator[int]:
    for name, value in headers or ():
        if name == wanted and value and value.isdigit() and len(value) <= _MAX_TIME_DIGITS:
            yield int(value)


def claimed_times(headers: Iterable[tuple[str, bytes | None]] | None) -> Iterator[tuple[str, int]]:
    """The times (ms) that headers claim: `origin_ts` and `ce_time`. What is no time claims nothing."""
    for name, value in headers or ():
        if name == ORIGIN_TS and value and value.isdigit() and len(value) <= _MAX_CLAIM_DIGITS:
            yield name, int(value)
        elif name == "ce_time" and value and (at := _parsed(value)) is not None:
            yield name, at


def _parsed(value: bytes) -> int | None:
    """RFC 3339 in ms, UTC where no zone is given; None for anything else."""
    try:
        found = datetime.fromisoformat(value[:MAX_NAME_BYTES].decode("ascii"))
    except ValueError:
        return None
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def appended_at(headers: Iterable[tuple[str, bytes | None]] | None, timestamp_ms: int) -> int:
    """When this message was first in its topic: dead letters that are replayed carry that along.

    Never later than the broker's own time for it: whoever writes this header can make a message older, as
    anybody can who imports, and never newer.
    """
    return min(next(_times(headers, APPENDED_AT), timestamp_ms), timestamp_ms)


def producer(headers: Iterable[tuple[str, bytes | None]] | None) -> str:
    """Who produced this message, by its own word (`ce_source`): to be shown, never to be acted upon.

    Empty when that is not told, is too long, or is who we are.
    """
    source = next((value for name, value in headers or () if name == "ce_source" and value), b"")
    found = source.decode(errors="replace")
    return "" if len(source) > MAX_NAME_BYTES or found == OURS else found


def rfc3339(at_ms: int) -> str:
    """A time as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"

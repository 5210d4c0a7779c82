"""Where a consumer group goes on after a reset: the words of kafka-consumer-groups, and what they mean.

A group never lands outside of what is there: before the oldest record is the oldest, behind the newest is the
end. The clock is an argument.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class ToEarliest:
    """The oldest record there is."""


@dataclass(frozen=True, slots=True)
class ToLatest:
    """Behind the newest record."""


@dataclass(frozen=True, slots=True)
class ToOffset:
    """A given offset."""

    offset: int


@dataclass(frozen=True, slots=True)
class ShiftBy:
    """So many records on; back when negative."""

    records: int


@dataclass(frozen=True, slots=True)
class ToTime:
    """The first record of this time (ms) or later; behind the newest when all are older."""

    at_ms: int


Reset = ToEarliest | ToLatest | ToOffset | ShiftBy | ToTime


def next_offset(committed: int | None, begin: int, end: int) -> int:
    """The next offset a group processes: from the beginning when its commit is none or no longer there."""
    return committed if committed is not None and begin <= committed <= end else begin


def new_offset(reset: Reset, current: int, begin: int, end: int, of_time: int | None = None) -> int:
    """Where the group goes on in a partition that holds `begin` to `end`, and at `current` without a reset.

    `of_time`: the first record of the time of a `ToTime`; None when all are older.
    """
    match reset:
        case ToEarliest():
            wanted = begin
        case ToLatest():
            wanted = end
        case ToOffset(offset):
            wanted = offset
        case ShiftBy(records):
            wanted = current + records
        case ToTime():
            wanted = end if of_time is None else of_time
    return min(max(wanted, begin), end)


def time_of(text: str) -> int:
    """The time (ms) of an ISO 8601 date and time; in UTC when it names no zone. Raises ValueError."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no time such as 2026-11-21T15:48:00 or 2026-11-21T15:48:00+01:00"
        ) from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (at - _EPOCH) // _MS


def duration_ms(text: str) -> int:
    """The milliseconds of an ISO 8601 duration of days and less, or of 90s, 15m, 2h, 3d; else ValueError."""
    short, long = _SHORT.fullmatch(text), _LONG.fullmatch(text)
    if short:
        parts = {short["unit"]: short["number"]}
    elif long and any(long.groupdict().values()) and not text.upper().endswith("T"):
        parts = {unit: number for unit, number in long.groupdict().items() if number}
    else:
        raise ValueError(f"{text!r} is no duration such as PT1H30M, P1D, 90s or 15m")
    try:
        return sum(timedelta(**{_UNITS[unit]: float(number)}) // _MS for unit, number in parts.items())
    except OverflowError:
        raise ValueError(f"{text!r} is longer than time") from None


_EPOCH, _MS = datetime.fromtimestamp(0, UTC), timedelta(milliseconds=1)
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_SHORT = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>[dhms])", re.ASCII)
_LONG = re.compile(
    r"P((?P<d>\d+)D)?(T((?P<h>\d+)H)?((?P<m>\d+)M)?((?P<s>\d+(\.\d+)?)S)?)?", re.ASCII | re.IGNORECASE
)

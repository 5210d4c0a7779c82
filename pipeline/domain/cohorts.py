"""Active or dormant: nothing is pushed to readers who do not come (W5), and who comes back misses nothing.

    never seen ──registered, opened, engaged──▶ active ──lapsed──▶ dormant ──opened, engaged──▶ active

A dormant reader is pulled for everything. Who turns active is pushed to from a bound on, one margin ahead,
and pulled below it until a backfill has written what is missing; `rebuild` puts an active reader there again.
Every change has a version that grows, so events may come twice or late: an activity counts only when it is
newer than the last one known, a lapse only when nothing is known to have happened since.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from pipeline.wire.enums import EventType


class CohortChange(StrEnum):
    """What a reader's events amount to."""

    NONE = "none"
    WAKE = "wake"
    LAPSE = "lapse"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a reader; `active` None: never seen. Times in ms, 0: never."""

    active: bool | None = None
    last_seen: int = 0
    cohort_at: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to do, as of which time (a new version of the cohort), and what is known then."""

    change: CohortChange
    at: int
    known: Known


def after(known: Known, events: Iterable[tuple[str, int]]) -> Outcome:
    """The outcome of a reader's events `(type, at)` in the order they came."""
    change, at = CohortChange.NONE, known.cohort_at
    for kind, when in events:
        one = _change(known, kind, when)
        if kind in (EventType.OPENED, EventType.ENGAGED) and when > known.last_seen:
            known = replace(known, last_seen=when)
        if one is not CohortChange.NONE:
            change, at = one, when if _again(known, kind, when) else max(when, known.cohort_at + 1)
            known = replace(known, active=one is CohortChange.WAKE, cohort_at=at)
    return Outcome(change, at, known)


def _change(known: Known, kind: str, at: int) -> CohortChange:
    wakes = False
    match kind:
        case EventType.REGISTERED:
            wakes = known.active is None
        case EventType.OPENED | EventType.ENGAGED:
            wakes = not known.active and (known.active is None or at > known.last_seen)
        case EventType.REBUILD:
            wakes = known.active is True and at > known.cohort_at
        case EventType.LAPSED if known.active and at > max(known.last_seen, known.cohort_at):
            return CohortChange.LAPSE
        case EventType.LAPSED if _again(known, kind, at):
            return CohortChange.LAPSE
    return CohortChange.WAKE if wakes else CohortChange.NONE


def _again(known: Known, kind: str, at: int) -> bool:
    """A lapse that is stored already: the crash may have come before anybody was told."""
    return kind == EventType.LAPSED and known.active is False and at == known.cohort_at

"""How a consumer gets on with one partition, in Burrow's words, from looks at where it stands.

The rules in their order, over the last ten commits and the latest look:

1. lag is 0 now, or was at any time in the window: OK
2. the group went back: REWIND
3. lag has stood for longer without a commit than the window's commits took: STOP; where no commit was ever
   seen: STALL
4. lag never fell: WARN, once the window is full or its patience over; before, nobody can say
5. otherwise: OK

Burrow is told of each commit. From outside only those can be seen that move the group, so a group that never
moved while it was watched is the one that stalls. Where Burrow is known to mislead, this does not follow it:

- Only time while lag stands counts, on both sides of rule 3. Otherwise a topic with one record an hour would
  hide a dead worker for ten hours, and a record after a quiet night would be a STOP at once.
- A lag of 0 counts for no longer than a commit does: a group that was done and then died does not stay OK.
- What could not be read is UNKNOWN, and never 0. It says nothing about what was seen before and after.
- A group without a member is a STOP at once, whatever its lags are: Burrow does not ask who is in a group.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

COMMITS = 10
"""How many the window holds."""

PATIENCE_S = 10.0
"""With a look a second ten commits take as long: who has not been seen to commit is given that time too."""


class Status(StrEnum):
    """Burrow's words, and UNKNOWN; the further down, the worse, as in Burrow.

    No partition is ERR: it is Burrow's word for a group with a partition that is worse still. Here the group
    takes the word of its worst partition, which says more.
    """

    OK = "OK"
    UNKNOWN = "UNKNOWN"
    WARN = "WARN"
    ERR = "ERR"
    STALL = "STALL"
    STOP = "STOP"
    REWIND = "REWIND"


_SEVERITY = {status: rank for rank, status in enumerate(Status)}


def worst(statuses: Iterable[Status]) -> Status:
    """UNKNOWN hides nothing that is known to be worse. Of nothing it is UNKNOWN."""
    return max(statuses, key=_SEVERITY.__getitem__, default=Status.UNKNOWN)


def of_group(partitions: Iterable[Status], workers: int | None) -> Status:
    """The word of a group with so many members (None: unknown): STOP without one, else the worst."""
    return Status.STOP if workers == 0 else worst(partitions)


def goes_on(before: Status, now: Status) -> bool:
    """Whether a status is still what it was: STOP and STALL are one, told apart by who has seen it move."""
    return before == now or {before, now} == {Status.STOP, Status.STALL}


@dataclass(frozen=True, slots=True)
class LagSample:
    """What was seen of a partition at a time (s).

    `committed` None: the group never did. `end` and `lag` None: unknown. `lag` is given beside them, because
    retention may have removed what lies between the two.
    """

    at_s: float
    committed: int | None
    end: int | None
    lag: int | None


@dataclass(frozen=True, slots=True)
class _Mark:
    """A commit: the first look that found the group there. `cleared`: lag was 0 then or before the next."""

    committed: int | None
    lag: int
    stood_s: float
    cleared: bool


@dataclass(frozen=True, slots=True)
class CommitWindow:
    """The last commits of a group in one partition, and the latest look.

    `said`: the word to go by until the window can say: that of whoever looked before.
    """

    said: Status = Status.UNKNOWN
    latest: LagSample | None = None
    _end: int = 0
    _marks: tuple[_Mark, ...] = ()
    _stood_s: float = 0.0
    """How long lag stood, of all the time up to the latest look."""
    _still_s: float = 0.0
    """What `_stood_s` was when the group last committed, or had nothing to do."""

    def add(self, look: LagSample) -> "CommitWindow":
        """The window after one more look. When the end went back, the topic and its window begin anew."""
        if look.end is not None and look.end < self._end:
            return CommitWindow().add(look)
        seen = replace(self, latest=look, _end=self._end if look.end is None else look.end)
        if look.lag is None:
            return seen
        stood = self._stood_s + self._standing_until(look.at_s)
        still, marks = self._still_s, self._marks
        if not marks or look.committed != marks[-1].committed:
            marks = (*marks, _Mark(look.committed, look.lag, stood, cleared=False))[-COMMITS:]
            still = stood
        if look.lag == 0:
            marks = (*marks[:-1], replace(marks[-1], cleared=True))
            still = stood
        return replace(seen, _marks=marks, _stood_s=stood, _still_s=still)

    def standing_s(self, now_s: float) -> float:
        """Seconds for which lag has stood since the group was last seen to commit."""
        return self._stood_s + self._standing_until(now_s) - self._still_s

    def _standing_until(self, at_s: float) -> float:
        """Seconds since the latest look for which lag stood: all, when it stood then."""
        return max(at_s - self.latest.at_s, 0.0) if self.latest is not None and self.latest.lag else 0.0


def judge(window: CommitWindow, now_s: float, patience_s: float = PATIENCE_S) -> Status:
    """The word for the partition. `patience_s`: how long a group may stand still that was not seen to commit,
    or that commits more often.
    """
    latest, marks = window.latest, window._marks
    if latest is None or latest.lag is None:
        return Status.UNKNOWN
    if latest.lag == 0:
        return Status.OK
    stood_s = window._stood_s + window._standing_until(now_s)
    ceased = window.standing_s(now_s) > max(marks[-1].stood_s - marks[0].stood_s, patience_s)
    if not ceased and any(mark.cleared for mark in marks):
        return Status.OK
    places = [mark.committed or 0 for mark in marks]
    if any(later < earlier for earlier, later in pairwise(places)):
        return Status.REWIND
    if ceased:
        return Status.STOP if len(marks) > 1 else Status.STALL
    lags = [*(mark.lag for mark in marks), latest.lag]
    if any(later < earlier for earlier, later in pairwise(lags)):
        return Status.OK
    known = len(marks) == COMMITS or stood_s - marks[0].stood_s >= patience_s
    return Status.WARN if known else window.said

"""When a stage stops instead of emptying its topic into the dead letters (decision 20).

A refused message costs its sender alone, so refusals by themselves stop nothing. Two things say that it is
not one sender:

- Faults: messages that break our code, or that an engine will never do, and whatever is refused of a topic
  that we alone write to. Nobody else can make those at will.
- Nothing good: in all of the time looked at not one message could be processed, and many were not. Whoever
  floods a topic cannot bring that about while anybody else uses it.
"""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """`ratio` of at least `records` within `within_s` seconds. No `records`: never."""

    ratio: float
    records: int
    within_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Settled:
    """A batch at a time (s): its records, those that became dead letters, and those of them by a fault."""

    at_s: float
    records: int
    refused: int
    faults: int


def bad(batch: Settled, limit: Limit) -> bool:
    """Whether a stage that stands still has no reason to go on after this batch."""
    return batch.refused == batch.records or batch.faults >= limit.ratio * batch.records


class RecentOutcomes:
    """What became of the messages of a stage lately."""

    def __init__(self, limit: Limit, now_s: float) -> None:
        self._limit = limit
        self.forget(now_s)

    def forget(self, now_s: float) -> None:
        """Begin anew."""
        self._good_s, self._since_good = now_s, 0
        self._batches: deque[Settled] = deque()
        self._records = self._faults = 0

    def add(self, batch: Settled) -> bool:
        """Whether the stage stops after this batch."""
        limit = self._limit
        if batch.refused < batch.records:
            self._good_s, self._since_good = batch.at_s, 0
        else:
            self._since_good += batch.records
        self._batches.append(batch)
        self._records += batch.records
        self._faults += batch.faults
        while self._batches[0].at_s <= batch.at_s - limit.within_s:
            gone = self._batches.popleft()
            self._records -= gone.records
            self._faults -= gone.faults
        if not limit.records:
            return False
        nothing_good = self._since_good >= limit.records and batch.at_s - self._good_s >= limit.within_s
        return nothing_good or (
            self._records >= limit.records and self._faults >= limit.ratio * self._records
        )

"""What waits in a partition, by weight: sums over its records, from where its group stands.

Records are added in their order, so what lies behind a commit is the difference of two sums. What is
committed is forgotten; a group that is moved back to before what is kept needs the records once more
(`sums_from`).
"""

from bisect import bisect_left

MAX_SUMS = 100_000
"""Sums kept of a partition; of more every second one is forgotten, which costs precision and no weight."""


class Sums:
    """Weights added up, offset by offset. `next`: the record that is to be added now."""

    def __init__(self, begin: int) -> None:
        self.begin = self.next = begin
        self._offsets: list[int] = []
        self._totals: list[int] = []
        self._before = 0

    def add(self, offset: int, weight: int) -> None:
        """The next record; offsets may have holes."""
        self._offsets.append(offset)
        self._totals.append(self._total + weight)
        self.next = offset + 1
        if len(self._offsets) > MAX_SUMS:
            self._offsets = self._offsets[::-2][::-1]  # the last stays
            self._totals = self._totals[::-2][::-1]

    def reach(self, offset: int) -> None:
        """There is no record before this offset that was not added."""
        self.next = max(self.next, offset)

    def between(self, committed: int, end: int) -> int | None:
        """The weight of what is not committed, which is not before `begin`; None while not all is added."""
        done = bisect_left(self._offsets, committed)
        if done:
            self._before, self.begin = self._totals[done - 1], committed
            del self._offsets[:done], self._totals[:done]
        return self._total - self._before if max(self.next, committed) >= end else None

    @property
    def _total(self) -> int:
        return self._totals[-1] if self._totals else self._before


def sums_from(committed: int, sums: Sums | None) -> Sums:
    """These sums; new ones, to be added from there on, when the group stands before what they hold."""
    return Sums(committed) if sums is None or committed < sums.begin else sums

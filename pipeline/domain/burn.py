"""How fast a tier spends its error budget: the multi-window burn rates of the SRE Workbook.

A look is bad when the oldest unprocessed record is older than the lag budget, good when it is not, and
neither when that is unknown: what was not seen must page nobody, and calm nobody down. The share of bad looks
stands for the share of late entries, which an objective is about: it needs no worker to be alive.

A rate of 1 spends exactly what the objective allows, a rate of 100 at an objective of 99 % is a tier that is
always late. Time goes by whole minutes: a window is the present minute and those before it.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from pipeline.wire.records import Burn

SEEN = 0.5
"""The share of a window's minutes that must have been seen: one bad minute after a start is not a bad day."""

OBJECTIVE = 0.99
"""Of stages that have a lag budget and name no objective."""


@dataclass(frozen=True, slots=True)
class WindowPair:
    """An alert: both windows burn faster than `rate`. The long one: it matters. The short one: it goes on."""

    rate: float
    short_s: int
    long_s: int
    alert: str


PAIRS = (
    WindowPair(14.4, 300, 3_600, "page"),
    WindowPair(6, 1_800, 21_600, "page"),
    WindowPair(3, 7_200, 86_400, "ticket"),
    WindowPair(1, 21_600, 259_200, "ticket"),
)
"""The more urgent first. At these rates 2, 5, 10 and 10 % of a month's budget go before anyone is told."""

WINDOWS_S = tuple(sorted({window for pair in PAIRS for window in (pair.short_s, pair.long_s)}))

_MINUTES = WINDOWS_S[-1] // 60


class Freshness:
    """Good and bad looks by minute, three days of them. A look and a rate cost next to nothing."""

    def __init__(self) -> None:
        self._minutes: list[int] = []
        self._before: list[tuple[float, float]] = []
        """By minute that was seen: bad looks and all looks until it began."""
        self._bad = self._looks = 0.0

    def saw(self, at_s: float, bad: bool) -> None:
        """A look at a time (s). A clock that went back does not go back in here."""
        self._put(int(at_s // 60), float(bad), 1.0)

    def share(self, window_s: int, now_s: float) -> float | None:
        """The share of bad looks in a window; None when less than `SEEN` of its minutes were seen."""
        minutes = window_s // 60
        first = bisect_right(self._minutes, int(now_s // 60) - minutes)
        if len(self._minutes) - first < SEEN * minutes:
            return None
        bad, looks = self._before[first]
        return (self._bad - bad) / (self._looks - looks)

    def _put(self, minute: int, bad: float, looks: float) -> None:
        if not self._minutes or minute > self._minutes[-1]:
            gone = bisect_right(self._minutes, minute - _MINUTES)
            del self._minutes[:gone], self._before[:gone]
            self._minutes.append(minute)
            self._before.append((self._bad, self._looks))
        self._bad += bad
        self._looks += looks


def rates(seen: Freshness, objective: float, now_s: float) -> tuple[Burn, ...]:
    """By window, shortest first: the share of bad looks over the share that the objective allows."""
    shares = ((window, seen.share(window, now_s)) for window in WINDOWS_S)
    return tuple(Burn(w, None if share is None else share / (1 - objective)) for w, share in shares)


def alert(burn: Iterable[Burn]) -> str:
    """page, ticket or nothing. What is unknown raises none."""
    found = {one.window_s: one.rate or 0.0 for one in burn}
    for pair in PAIRS:
        if min(found.get(pair.short_s, 0.0), found.get(pair.long_s, 0.0)) > pair.rate:
            return pair.alert
    return ""


def restored(burn: Iterable[Burn], objective: float, at_s: float) -> Freshness:
    """What its rates at a time (s) tell of a history: each is as it was, and even between the windows."""
    shares: list[float] = []  # of bad looks, by minute, the latest first
    for one in burn:
        minutes = one.window_s // 60
        if one.rate is None:
            del shares[ceil(SEEN * minutes) - 1 :]  # or its successor would know more than it did
        else:
            bad, more = one.rate * (1 - objective) * minutes - sum(shares), minutes - len(shares)
            shares += [min(max(bad / more, 0.0), 1.0)] * more
    seen = Freshness()
    for minute, share in enumerate(reversed(shares), int(at_s // 60) - len(shares) + 1):
        seen._put(minute, share * 60, 60.0)
    return seen

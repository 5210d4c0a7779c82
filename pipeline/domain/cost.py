"""What a post costs pushed, and what it costs pulled, in seconds of work as the running system measured them.

    cost(push) = pushed readers × row cost
    cost(pull) = expected reads of those readers in the window × pull cost / posts shared by a pull

A pull reads all the author's posts at once, so a burst shares its pulls and is cheap to pull, while a lone
post pays for every look at it. How many posts share one follows from the time since the author's last post.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.wire.records import CostSample

ROW, PULL, READS = "row_seconds", "pull_seconds", "reads_per_second"
"""Seconds to write a timeline row; seconds to read an author for a page; pages a second a reader asks for."""

TELL_FROM = 0.2
"""A cost is told again once it has moved by this share: below, no decision would be another."""

COLD = 10
"""Units of a process that say nothing: they open connections, prepare statements and fill caches."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What is measured now: `row_s` a row, `pull_s` a source read, `reads_s` pages a second and reader."""

    row_s: float
    pull_s: float
    reads_s: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One post, both ways: `push_s` and `pull_s` in seconds of work, and what they are made of."""

    readers: int
    reads: float
    shared: float
    push_s: float
    pull_s: float

    def __str__(self) -> str:
        return (
            f"pushing to {self.readers} readers takes {self.push_s:.3g} s of work,"
            f" pulling {self.pull_s:.3g} s ({self.reads:.3g} reads, each shared by {self.shared:.3g} posts)"
        )


def measured(samples: Iterable[CostSample]) -> Costs | None:
    """The costs that these samples amount to; None until every one of the three was measured.

    Each stage tells its own (`row_seconds@fanout.small`): the mean of them counts. A reader's pages come from
    all stages that serve them, so these add up.
    """
    found: dict[str, list[float]] = {}
    for sample in samples:
        found.setdefault(sample.name.partition("@")[0], []).append(sample.value)
    if not all(found.get(name) for name in (ROW, PULL, READS)):
        return None
    rows, pulls = found[ROW], found[PULL]
    return Costs(sum(rows) / len(rows), sum(pulls) / len(pulls), sum(found[READS]))


def compare(readers: int, gap_ms: int, window_ms: int, costs: Costs) -> Comparison:
    """A post that comes `gap_ms` after the author's last, with these readers, in a window."""
    shared = max(1.0, window_ms / max(1, gap_ms))
    reads = readers * costs.reads_s * window_ms / 1000
    return Comparison(readers, reads, shared, readers * costs.row_s, reads * costs.pull_s / shared)


def pull_is_cheaper(both: Comparison, hysteresis: float, *, pulled: bool) -> bool:
    """Whether the post should be pulled; `pulled`: the last one was, so it has to pay a little less."""
    slack = 1 - hysteresis if pulled else 1 + hysteresis
    return both.push_s > both.pull_s * slack


@dataclass(frozen=True, slots=True)
class Mean:
    """A moving mean of the cost of a unit, in which each sample weighs by its units.

    The first COLD units are left out: `left` of them are to come.
    """

    left: int = COLD
    _total: float = 0.0
    _weight: float = 0.0

    @property
    def value(self) -> float | None:
        """Seconds a unit; None while nothing counts."""
        return self._total / self._weight if self._weight else None

    def after(self, seconds: float, units: int, memory: float) -> "Mean":
        """After `units` more, at least one, took so long together; what was before goes in `memory` units."""
        if self.left > 0:
            return Mean(self.left - units)
        kept = math.exp(-units / memory)
        weight = memory * (1 - kept)
        return Mean(0, self._total * kept + seconds / units * weight, self._weight * kept + weight)


def news(told: Mapping[str, float], now: Mapping[str, float | None]) -> dict[str, float]:
    """Those of the values that have moved enough to be told again."""
    return {
        name: value
        for name, value in now.items()
        if value is not None
        and (name not in told or abs(value - told[name]) > TELL_FROM * max(abs(told[name]), 1e-12))
    }

"""The figures of `bench reads`: what every contender took, what the faults did, and is it good enough."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from pipeline.bench.reads_load import Sample, Turns

MOST_P50, MOST_P99 = 2.0, 3.0
"""Times the bare read of one timeline partition that a page may cost."""

RECOVERED_BY_S = 10.0
"""Seconds after which the p99 is at most MOST_P99 times what it was before the caches were emptied."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One contender over all its turns; `degraded`: pages that took a step of the ladder."""

    name: str
    reads: int
    reads_s: float
    p50_ms: float
    p99_ms: float
    degraded: int
    p50_by_round: Sequence[float]
    p99_by_round: Sequence[float]


@dataclass(frozen=True, slots=True)
class SlowAuthorFigures:
    """The fault `slow-author`. `silent`: pages of followers that lack the author and do not say so;
    `wrong`: pages that name anybody else.
    """

    delay_ms: float
    deadline_ms: float
    pages: int
    p50_ms: float
    p99_ms: float
    degraded: Mapping[str, int]
    lacks: Mapping[int, int]
    silent: int
    wrong: int

    @property
    def problems(self) -> list[str]:
        """Why this is not good enough."""
        found = []
        if self.p99_ms > self.deadline_ms:
            found.append(f"slow-author: p99 {self.p99_ms:.0f} ms, the deadline is {self.deadline_ms:.0f} ms")
        if self.silent or not self.lacks:
            found.append(f"slow-author: {self.silent} pages do not say what they lack")
        if self.wrong:
            found.append(f"slow-author: {self.wrong} pages say that they lack another author")
        return found


@dataclass(frozen=True, slots=True)
class EmptyCaches:
    """The fault `empty-caches`. `p99_ms`: by second, from before to after; `within_s`: after the emptying
    until the p99 is what it may be, for good; None: never. `most`: reads of the key read most often.
    """

    before_ms: float
    p99_ms: Mapping[int, float]
    within_s: int | None
    keys: int
    reads: int
    most: int

    @property
    def problems(self) -> list[str]:
        """Why this is not good enough."""
        found = []
        if self.most != 1:
            found.append(f"empty-caches: a key was read {self.most} times")
        if self.within_s is None or self.within_s > RECOVERED_BY_S:
            found.append(f"empty-caches: p99 above {MOST_P99:.0f} times for more than {RECOVERED_BY_S:.0f} s")
        return found


@dataclass(frozen=True, slots=True)
class ReadsFigures:
    """Everything a run measured; None: not part of this run. `untrusted`: keys that no cache was asked for,
    as changes had not been heard of in time.
    """

    machine: Mapping[str, Any]
    workload: Mapping[str, Any]
    contenders: Sequence[Contender] = ()
    slow_author: SlowAuthorFigures | None = None
    empty_caches: EmptyCaches | None = None
    untrusted: int = 0

    def ratio(self, name: str) -> tuple[float, float]:
        """A contender's p50 and p99 over those of the bare read."""
        one, bare = self._named(name), self._named("bare")
        return one.p50_ms / bare.p50_ms, one.p99_ms / bare.p99_ms

    def ratio_by_round(self, name: str) -> tuple[float, float]:
        """The same within a round; the median of all rounds."""
        one, bare = self._named(name), self._named("bare")
        p50 = median(a / b for a, b in zip(one.p50_by_round, bare.p50_by_round, strict=True))
        return p50, median(a / b for a, b in zip(one.p99_by_round, bare.p99_by_round, strict=True))

    @property
    def problems(self) -> list[str]:
        """Why the verdict is not good; nothing when it is."""
        found = []
        if self.contenders:
            ratios = zip(("p50", "p99"), self.ratio("page"), (MOST_P50, MOST_P99), strict=True)
            found += [
                f"page: {name} {at:.2f} times bare, at most {most}" for name, at, most in ratios if at > most
            ]
        for fault in (self.slow_author, self.empty_caches):
            found += [] if fault is None else fault.problems
        return found

    def document(self) -> dict[str, Any]:
        """What `tideline bench reads --json FILE` writes."""
        from dataclasses import asdict

        return {
            "met": not self.problems,
            "problems": self.problems,
            "ratios": {
                one.name: dict(zip(("p50", "p99", "p50_by_round", "p99_by_round"), both, strict=True))
                for one in self.contenders
                for both in [(*self.ratio(one.name), *self.ratio_by_round(one.name))]
            },
            **asdict(self),
        }

    def _named(self, name: str) -> Contender:
        return next(one for one in self.contenders if one.name == name)


def contender(name: str, turns: Turns) -> Contender:
    """The figures of all turns of one."""
    samples = [sample for turn in turns.samples for sample in turn]
    return Contender(
        name,
        len(samples),
        len(samples) / sum(turns.seconds),
        percentile_ms(samples, 0.5),
        percentile_ms(samples, 0.99),
        sum(bool(sample.degraded) for sample in samples),
        [percentile_ms(turn, 0.5) for turn in turns.samples],
        [percentile_ms(turn, 0.99) for turn in turns.samples],
    )


def slow_author(
    samples: Sequence[Sample], author: int, followers: Iterable[int], delay_ms: float, deadline_ms: float
) -> SlowAuthorFigures:
    """Of a run in which every follower needs a read of this author, and none comes in time."""
    those = set(followers)
    return SlowAuthorFigures(
        delay_ms,
        deadline_ms,
        len(samples),
        percentile_ms(samples, 0.5),
        percentile_ms(samples, 0.99),
        dict(Counter(step for sample in samples for step in sample.degraded)),  # asdict miscounts a Counter
        dict(Counter(one for sample in samples for one in sample.lacks)),
        sum(author not in sample.lacks for sample in samples if sample.reader in those),
        sum(bool({*sample.lacks} - {author}) for sample in samples),
    )


def empty_caches(samples: Sequence[Sample], emptied_at: float, reads: Counter[Any]) -> EmptyCaches:
    """Of a run in which all caches were emptied at this moment; `reads` of the store since then, by key."""
    seconds: dict[int, list[Sample]] = {}
    for sample in samples:
        seconds.setdefault(int((sample.at - emptied_at) // 1), []).append(sample)
    p99 = {second: percentile_ms(seconds[second], 0.99) for second in sorted(seconds)}
    before = percentile_ms([sample for sample in samples if sample.at < emptied_at], 0.99)
    slow = [second for second, ms in p99.items() if second >= 0 and ms > MOST_P99 * before]
    ended = max(p99)
    within = 0 if not slow else None if slow[-1] == ended else slow[-1] + 1
    return EmptyCaches(before, p99, within, len(reads), reads.total(), max(reads.values(), default=0))


def percentile_ms(samples: Sequence[Sample], share: float) -> float:
    """The smallest time that `share` of the answers did not exceed, in ms."""
    times = sorted(sample.seconds for sample in samples)
    return times[max(-int(-share * len(times) // 1), 1) - 1] * 1000

"""What a run of the demo measured, and whether it is clean: figures in, reasons why not out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.audit.from_events import AuditReport
from pipeline.bench.probe import Sighting
from pipeline.domain.audit import KINDS

LEAST_READERS = 500
"""An audit of fewer readers proves nothing."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from publish to visible. `never`: probes whose post was not seen in time, in no percentile.

    Probes stand for all posts of their kind: a kind with many posts and few probes counts accordingly.
    """

    probes: int
    never: int
    p50_s: float | None
    p99_s: float | None


@dataclass(frozen=True, slots=True)
class TierFigures:
    """One fan-out tier: rows written, publish-to-visible of its posts, and the oldest age it was seen at."""

    rows: int
    lag_budget_s: float
    worst_age_s: float
    visible: Latency


@dataclass(frozen=True, slots=True)
class DemoFigures:
    """Everything a run measured. `seconds`: by phase. `unprocessed`: records left when waiting was over."""

    accounts: int
    edges: int
    posts: int
    events: int
    classes: Mapping[str, Latency]
    tiers: Mapping[str, TierFigures]
    rows_s: float
    peak_rows_s: float
    unprocessed: int | None
    dead_letters: int
    audit: AuditReport
    seconds: Mapping[str, float]
    machine: Mapping[str, object]

    @property
    def problems(self) -> list[str]:
        """Why the verdict is not clean; nothing when it is."""
        found = [f"{kind} {self.audit.found[kind]:,}" for kind in KINDS if self.audit.found[kind]]
        if self.audit.readers < LEAST_READERS:
            found.append(f"only {self.audit.readers:,} readers audited, {LEAST_READERS} are needed")
        if self.audit.degraded:
            found.append(f"{self.audit.degraded:,} degraded pages")
        if self.unprocessed != 0:
            found.append(f"{'unknown' if self.unprocessed is None else self.unprocessed} records unprocessed")
        if self.dead_letters:
            found.append(f"{self.dead_letters:,} dead letters")
        for name, visible in self.classes.items():
            if visible.never:
                found.append(f"{visible.never} of {visible.probes} probes of {name} authors never seen")
            elif not visible.probes:
                found.append(f"no probe of {name} authors")
        for name, tier in self.tiers.items():
            p99_s, budget_s = tier.visible.p99_s or 0, tier.lag_budget_s
            if p99_s > budget_s:
                found.append(f"{name}: visible in {p99_s:.2f} s at p99, {budget_s:g} s are its budget")
        return found

    def document(self) -> dict[str, Any]:
        """What `tideline demo --json FILE` writes."""
        return {
            "clean": not self.problems,
            "problems": self.problems,
            "graph": {
                "accounts": self.accounts,
                "edges": self.edges,
                "import_seconds": self.seconds["import"],
                "edges_per_second": self.edges / self.seconds["import"],
            },
            "machine": self.machine,
            "posts": self.posts,
            "events": self.events,
            "rows": {
                "written": sum(tier.rows for tier in self.tiers.values()),
                "per_second": self.rows_s,
                "peak_per_second": self.peak_rows_s,
            },
            "publish_to_visible": {name: _latency(one) for name, one in self.classes.items()},
            "tiers": {
                name: {
                    "rows": tier.rows,
                    "lag_budget_seconds": tier.lag_budget_s,
                    "worst_age_seconds": tier.worst_age_s,
                    "publish_to_visible": _latency(tier.visible),
                }
                for name, tier in self.tiers.items()
            },
            "unprocessed": self.unprocessed,
            "dead_letters": self.dead_letters,
            "audit": self.audit.document(),
            "seconds": dict(self.seconds),
        }


def latency(sightings: Iterable[Sighting], kinds: Iterable[str], posts: Mapping[str, int]) -> Latency:
    """Of the sightings of these kinds. `posts`: by kind, how many posts its probes stand for."""
    wanted = set(kinds)
    of_kind = [one for one in sightings if one.kind in wanted]
    probes = {kind: sum(one.kind == kind for one in of_kind) for kind in wanted}
    seen = [(one.seconds, posts[one.kind] / probes[one.kind]) for one in of_kind if one.seconds is not None]
    return Latency(len(of_kind), len(of_kind) - len(seen), percentile(seen, 0.5), percentile(seen, 0.99))


def percentile(weighted: Sequence[tuple[float, float]], share: float) -> float | None:
    """The smallest value that `share` of the weight does not exceed; None of nothing."""
    reached, whole = 0.0, sum(weight for _, weight in weighted)
    for value, weight in sorted(weighted):
        reached += weight
        if reached >= share * whole:
            return value
    return None


def _latency(one: Latency) -> dict[str, Any]:
    return {"probes": one.probes, "never": one.never, "p50_seconds": one.p50_s, "p99_seconds": one.p99_s}

"""What the controller holds, as metrics: how stages stand, what is in force, what was done."""

from collections.abc import Sequence

from pipeline.domain.containment import CONTROLLER, OPERATOR, Kind
from pipeline.domain.lag_status import Status
from pipeline.path import tier_of
from pipeline.telemetry import metrics
from pipeline.telemetry.gauges import Exactly, Labels
from pipeline.wire.records import Containment, JournalEntry, StageHealth

_OF_MANY: dict[str, str] = {Kind.PULL: "authors", Kind.RATE: "authors", Kind.THROTTLE: "users"}
"""The target of what is done to authors and users: their names are no labels."""

_status, _budget = Exactly(metrics.STAGE_STATUS), Exactly(metrics.LAG_BUDGET)
_workers = Exactly(metrics.STAGE_WORKERS)
_burn, _pending = Exactly(metrics.BURN_RATE), Exactly(metrics.PENDING_DELIVERIES)
_in_force, _since = Exactly(metrics.CONTAINMENT), Exactly(metrics.CONTAINMENT_SINCE)


def acting(acts: bool) -> None:
    """Whether this process is the controller that acts. One that is not tells nothing else."""
    metrics.CONTROLLER_ACTING.set(acts)
    if not acts:
        health([])
        in_force([])


def health(stages: Sequence[StageHealth]) -> None:
    """How these stages stand, and no others."""
    _status.show({(one.stage, status): status == one.status for one in stages for status in Status})
    _workers.show({(one.stage,): one.workers for one in stages if one.workers is not None})
    _budget.show({(one.stage,): one.lag_budget_s for one in stages if one.lag_budget_s is not None})
    _burn.show(
        {(one.stage, window(b.window_s)): b.rate for one in stages for b in one.burn if b.rate is not None}
    )
    _pending.show(
        {
            (tier,): one.pending
            for one in stages
            if (tier := tier_of(one.stage)) is not None and one.pending is not None
        }
    )


def in_force(containments: Sequence[Containment]) -> None:
    """What is in force, and nothing else."""
    targets: dict[Labels, set[str]] = {}
    since: dict[Labels, float] = {}
    for one in containments:
        labels = one.kind, _OF_MANY.get(one.kind, one.target)
        targets.setdefault(labels, set()).add(one.target)
        since[labels] = min(since.get(labels, float("inf")), one.since / 1000)
    _in_force.show({labels: len(those) for labels, those in targets.items()})
    _since.show(since)


def journalled(entry: JournalEntry) -> None:
    """Count what was done."""
    by = CONTROLLER if entry.by == CONTROLLER else OPERATOR  # a label is one of these, whatever was written
    metrics.CONTAINMENT_EVENTS.labels(entry.kind, entry.event, by).inc()


def window(seconds: int) -> str:
    """A window as Prometheus writes it: 5m, 1h, 3d."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % length == 0 and seconds:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"

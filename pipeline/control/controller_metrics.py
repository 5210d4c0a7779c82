"""What the controller sees and does, as metrics: told by the one that leads, and by no other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.control import health_metrics, lag_metrics
from pipeline.control.lag import StageLag
from pipeline.wire.records import Containment, JournalEntry, StageHealth


@dataclass(frozen=True, slots=True)
class JournalMetrics:
    """Hears of every look, and is what a view of the journal fills. `lags`: what the last look saw."""

    leads: Callable[[], bool]
    lags: Callable[[], Sequence[StageLag]]

    def __call__(self, healths: Sequence[StageHealth], in_force: Sequence[Containment]) -> None:
        """How all stages stand, and what is in force."""
        leads = self.leads()
        health_metrics.acting(leads)
        lag_metrics.export(self.lags() if leads else ())
        if leads:
            health_metrics.health(healths)
            health_metrics.in_force(in_force)

    def put(self, key: bytes, entry: JournalEntry | None) -> None:
        """An entry, whoever made it; on the thread of the view."""
        if entry is not None and self.leads():
            health_metrics.journalled(entry)

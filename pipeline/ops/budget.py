"""What is left of each lag budget: its age now, from the broker, and its burn, as the controller said."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.control.health import objective
from pipeline.control.health_topic import Said
from pipeline.control.lag import StageLag
from pipeline.domain.burn import WINDOWS_S
from pipeline.path import tier_stage
from pipeline.topology import Topology
from pipeline.wire.records import Burn


@dataclass(frozen=True, slots=True)
class Budget:
    """A stage and its budget. `burn` unknown and `alert` None: no controller has spoken lately."""

    stage: StageLag
    status: str
    objective: float
    burn: tuple[Burn, ...]
    alert: str | None

    def document(self) -> dict[str, object]:
        """What `tideline budget --json` prints of it: null is unknown, of `late_since_ms` that it is not."""
        return {
            "stage": self.stage.stage,
            "status": self.status,
            "workers": self.stage.workers,
            "lag_budget_seconds": self.stage.lag_budget_s,
            "objective": self.objective,
            "age_seconds": self.stage.age_s,
            "budget_spent": self.stage.spent,
            "late_since_ms": self.stage.late_since_ms,
            "burn": [{"window_seconds": one.window_s, "rate": one.rate} for one in self.burn],
            "alert": self.alert,
        }


def budgeted(topology: Topology) -> list[str]:
    """The stages that have a lag budget: the tiers, and repairs."""
    repairs = [name for name, stage in topology.stages.items() if stage.lag_budget is not None]
    return [*repairs, *(tier_stage(name) for name in topology.tiers)]


def of(stages: Sequence[StageLag], said: Said, topology: Topology) -> Iterable[Budget]:
    """The budget of each of these stages."""
    for stage in stages:
        record = said.of(stage.stage)
        yield Budget(
            stage=stage,
            status=said.status(stage),
            objective=objective(topology, stage.stage),
            burn=record.burn if record else tuple(Burn(window, None) for window in WINDOWS_S),
            alert=record.alert if record else None,
        )

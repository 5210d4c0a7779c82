"""Moving the group of a stage: `tideline offsets reset`.

Back: records are processed again, which changes no table (every stage is idempotent) and costs work. Forward:
records are never processed; no stage notices, readers do, so it has to be asked for by name. The group of a
stage that works is not moved: the broker refuses, and its workers would commit over it.
"""

from collections.abc import Mapping
from typing import Protocol

from pipeline.errors import EngineError, TidelineError
from pipeline.kafka.bounds import Partition
from pipeline.ops.offsets_plan import ResetPlan
from pipeline.path import tier_of

WORDS = {"classify": "posts"}
"""What the records of a stage are called where they are not tasks of a tier."""


class MovableGroups(Protocol):
    """What a reset does to consumer groups: `replay.KafkaGroups`."""

    def has_members(self, group: str) -> bool:
        """Whether somebody works in the group now."""

    def move(self, group: str, to: Mapping[Partition, int]) -> None:
        """Have the group go on there; raises EngineError when it has members."""


def refuse_active(plan: ResetPlan, called: str, groups: MovableGroups) -> None:
    """Raise EngineError when somebody works in the group. `called`: the stage as commands know it."""
    if groups.has_members(plan.group):
        raise EngineError(
            f"nothing was moved: {plan.group} is active, and the broker moves no group that has members",
            f"`tideline stage stop {called}` first; or `tideline replay`, which stops, moves to the"
            " beginning and starts",
        )


def refuse_skipping(plan: ResetPlan) -> None:
    """Raise TidelineError when records would never be processed."""
    if plan.skipped:
        raise TidelineError(f"nothing was moved: {lost(plan)}", "--skip-records beside --execute does it")


def lost(plan: ResetPlan) -> str:
    """What readers would lack."""
    word = WORDS.get(plan.stage, "tasks" if tier_of(plan.stage) else "records")
    about = "about " if plan.deliveries and plan.deliveries.estimated else ""
    rows = f" ({about}{plan.deliveries.deliveries:,} deliveries)" if plan.deliveries else ""
    return f"{plan.skipped:,} {word}{rows} would never be processed: readers would lack what they bring"


def execute(plan: ResetPlan, groups: MovableGroups) -> None:
    """Move the group to where the plan says. Raises EngineError when it is active."""
    groups.move(plan.group, {move.at.place: move.new for move in plan.moves})

"""Stages without a live worker: what every look at the pipeline says first, and the next command."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.config.names import Names
    from pipeline.control.lag import StageLag
    from pipeline.local.worker import WorkerStatus


def commands(stages: Iterable[str], names: "Names", home: Path) -> dict[str, str]:
    """By stage without a live worker, what to do next, as the instance of this home has it."""
    from pipeline.local import instance

    known = instance.stages(home)
    called = {stage: names.stage(stage) for stage in stages}
    return {
        stage: next_command(name, [one for one in known if one.stage == name])
        for stage, name in called.items()
    }


def next_command(stage: str, workers: "Sequence[WorkerStatus]") -> str:
    """`workers`: of this stage, that the instance here keeps; none: they run elsewhere, or nowhere."""
    if not workers:
        return f"tideline worker {stage}"
    states = {one.state for one in workers}
    if states == {"stopped"}:
        return f"tideline stage start {stage}"
    if "ready" in states:  # it lives, and does not answer Kafka
        return f"tideline stage stop {stage}; tideline stage start {stage}"
    return "tideline status"


def lines(stages: "Iterable[StageLag]", next_: Mapping[str, str]) -> list[str]:
    """Of each stage without a live worker: that it has none, what waits, the next command."""
    return [f"{one.stage}: {explanation(one.lag, next_[one.stage])}" for one in stages if one.workers == 0]


def explanation(lag: int | None, command: str) -> str:
    """One stage without a live worker, in words."""
    waits = "" if lag == 0 else ", unknown what waits" if lag is None else f", {lag:,} records wait"
    return f"no live worker{waits}: {command}"

"""Lag as people read it: the table of `tideline lag`, and how numbers, ages and shares are written."""

from datetime import datetime
from typing import TYPE_CHECKING

from pipeline.cli._tables import Table
from pipeline.path import tier_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.control.health_topic import Said
    from pipeline.control.lag import PartitionLag, StageLag

_COLOURS = {"WARN": "yellow", "ERR": "red", "STALL": "red", "STOP": "red", "REWIND": "red"}


def lag_table(stages: "Sequence[StageLag]", said: "Said") -> Table:
    """A row a stage, and below it a dim one for each partition that is behind or unknown."""
    table = Table("stage", "status", "since / partition", box=None, pad_edge=False)
    for title in ("committed", "end", "lag", "deliveries", "oldest", "budget", "spent"):
        gives_way = title in ("committed", "end", "budget")  # in a narrow window
        table.add_column(title, justify="right", no_wrap=not gives_way)
    for stage in stages:
        status = said.status(stage)
        table.add_row(
            stage.stage,
            status,
            clock(said.since_ms(stage)),
            "",
            "",
            number(stage.lag),
            deliveries(stage, said),
            age(stage.age_s),
            *spending(stage),
            style=colour(stage, status),
        )
        for one, word in zip(stage.partitions, said.shards(stage), strict=True):
            if one.lag != 0:
                table.add_row(f" {one.topic}", word, *_partition(one), style="dim")
    return table


def colour(stage: "StageLag", status: str) -> str:
    """Red is late or stands still, yellow falls behind."""
    return "red" if (stage.spent or 0) > 1 else _COLOURS.get(status, "")


def deliveries(stage: "StageLag", said: "Said") -> str:
    """What the lag of a tier weighs; nothing for stages that deliver nothing."""
    return number(said.pending(stage)) if tier_of(stage.stage) else ""


def spending(stage: "StageLag") -> tuple[str, str]:
    """The lag budget, and the share of it that is spent; nothing where there is none."""
    if stage.lag_budget_s is None:
        return "", ""
    return f"{stage.lag_budget_s:g} s", "unknown" if stage.spent is None else f"{stage.spent:.0%}"


def number(value: int | None) -> str:
    """So many, or unknown."""
    return "unknown" if value is None else f"{value:,}"


def age(value: float | None) -> str:
    """Seconds; nothing when nothing waits."""
    return "unknown" if value is None else "" if value == 0 else f"{value:.1f} s"


def clock(at_ms: int | None) -> str:
    """A time of today; with its date when it is another day's, and nothing when it is not known."""
    if at_ms is None:
        return ""
    at = datetime.fromtimestamp(at_ms / 1000).astimezone()
    return at.strftime("%H:%M:%S" if at.date() == datetime.now().astimezone().date() else "%m-%d %H:%M")


def _partition(one: "PartitionLag") -> tuple[str, ...]:
    committed = "none" if one.committed is None else str(one.committed)
    where = str(one.partition), committed, number(one.end), number(one.lag)
    return *where, "", age(one.age_s)

"""The table of `tideline lag` in windows of any width."""

import io
import time

import pytest
from rich.console import Console

from pipeline.cli._lag_shown import clock, lag_table
from pipeline.control.health_topic import Said
from pipeline.control.lag import PartitionLag, StageLag
from pipeline.wire.records import StageHealth

NOW_MS = time.time_ns() // 1_000_000


def shown(width):
    partitions = tuple(PartitionLag("fanout.medium", n, 1234, 4334, 3100, NOW_MS, 70.5) for n in range(2))
    stage = StageLag("fanout.medium", "tideline.fanout.medium", 5.0, partitions)
    health = StageHealth("fanout.medium", "STOP", 1, 1_234_567, 1.0, 5.0, (), "", (), NOW_MS, NOW_MS)
    console = Console(width=width, file=io.StringIO())
    console.print(lag_table([stage], Said([health], NOW_MS)))
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 120])
def test_which_tier_how_late_and_how_much_waits_is_whole_in_a_narrow_window(width):
    stage = next(line for line in shown(width).splitlines() if line.startswith("fanout.medium"))

    assert {"STOP", "6,200", "1,234,567", "70.5", "1410%"} <= set(stage.split())


def test_a_wide_window_has_everything_in_its_line():
    _, stage, *partitions = (line.split() for line in shown(120).splitlines())

    assert stage[:3] == ["fanout.medium", "STOP", clock(NOW_MS)]
    assert [line[:6] for line in partitions] == [
        ["fanout.medium", "UNKNOWN", str(n), "1234", "4,334", "3,100"] for n in range(2)
    ]


def test_a_time_of_another_day_has_its_date():
    assert clock(None) == ""
    assert clock(NOW_MS).count(":") == 2
    assert clock(NOW_MS - 3 * 86_400_000).count("-") == 1

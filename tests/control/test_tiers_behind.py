"""Which tiers are behind and since when, as the audit asks it; what is not known is not named."""

import asyncio

import pytest

from pipeline.control.lag import PartitionLag, StageLag
from pipeline.control.tiers_behind import TiersBehind


def tier(name, *ages_s):
    """Its budget is 2 s; a partition whose age is None could not be read."""
    partitions = tuple(
        PartitionLag(f"fanout.{name}", number, 5, 6, None if age is None else 1, origin(age), age)
        for number, age in enumerate(ages_s)
    )
    return StageLag(f"fanout.{name}", f"tideline.fanout.{name}", 2.0, partitions)


def origin(age):
    return None if age is None else round(100_000 - age * 1000)


class Lag:
    """Each snapshot is the next one of these, and the last one from then on."""

    def __init__(self, *snapshots):
        self.snapshots, self.looks = list(snapshots), 0

    def snapshot(self):
        self.looks += 1
        return self.snapshots.pop(0) if len(self.snapshots) > 1 else self.snapshots[0]


@pytest.mark.parametrize(
    ("seen", "behind"),
    [
        ([tier("small", 2.0, 0.1), tier("large", 2.1, 9.0, 3.0)], {"large": 91_000}),
        ([tier("small", None, 3.0), tier("large", None, None)], {"small": 97_000}),
        ([], {}),
    ],
)
async def test_a_tier_is_behind_from_its_broken_budget_on_since_its_oldest_record(seen, behind):
    assert await TiersBehind(Lag(seen))() == behind


async def test_one_look_is_enough_for_all_who_ask_within_a_second():
    lag = Lag([tier("small", 3.0)], [tier("small", 0.5)])
    behind = TiersBehind(lag)

    assert await asyncio.gather(*(behind() for _ in range(5))) == [{"small": 97_000}] * 5
    assert lag.looks == 1

    behind._until = 0
    assert await behind() == {}
    assert lag.looks == 2

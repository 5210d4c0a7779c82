"""Tables in a window of 100 columns: names of stages and tiers are whole, for the next command needs them."""

import io
import time
from dataclasses import replace

import pytest
from rich.console import Console

from pipeline import topology
from pipeline.cli import _containing, budget, groups, replay
from pipeline.cli._lag_shown import lag_table
from pipeline.control.health_topic import Said
from pipeline.control.lag import PartitionLag, StageLag, consumers
from pipeline.kafka.groups import Group, Member
from pipeline.ops.budget import of
from pipeline.ops.replay import Target
from pipeline.wire.records import AuthorClass, Containment, StageHealth

NOW_MS = time.time_ns() // 1_000_000
TOPOLOGY = topology.load()
STAGES = [
    StageLag(
        one.stage,
        one.group,
        30.0,
        tuple(PartitionLag(*place, 1_234_567, 9_234_567, 8_000_000, NOW_MS, 3_600.5) for place in one.places),
        workers=1,
    )
    for one in consumers(TOPOLOGY, api=False)
]
SAID = Said(
    [
        StageHealth(one.stage, "REWIND", 1, 12_345_678, 1.0, 5.0, (), "ticket", (), NOW_MS, NOW_MS)
        for one in STAGES
    ],
    NOW_MS,
)
MEMBER = Member(
    "faust-0.15.3", "192.168.100.200", tuple((one.topic, one.partition) for one in STAGES[0].partitions)
)
CAUSE = "fanout.medium is 36.4 s behind, 121% of its budget of 30 s, and 43% of its new work is theirs"
IN_FORCE = [
    Containment(kind, target, AuthorClass.PARTIAL, 0, CAUSE, "controller", NOW_MS, NOW_MS + 60_000, "medium")
    for kind, target in (("shed", "medium"), ("defer", "backfill"), ("pull", str(2**62)))
]


def shown(table, width=100):
    console = Console(width=width, file=io.StringIO())
    console.print(table)
    return console.file.getvalue()


NAMES = {one.stage for one in STAGES}
TABLES = {
    "lag": (lag_table(STAGES, SAID), NAMES),
    "budget": (budget._table(list(of(STAGES, SAID, TOPOLOGY))), NAMES),
    "groups": (
        groups._table(STAGES, {one.group: Group("stable", (MEMBER,)) for one in STAGES}),
        {one.group for one in STAGES},
    ),
    "contain list": (
        _containing.in_force_table(IN_FORCE, {"fanout.medium": STAGES[6]}),
        {"medium", "backfill", str(2**62)},
    ),
    "replay": (
        replay._table(
            [Target(one.stage, one.group, one.topics, 9, 9, 10**9) for one in consumers(TOPOLOGY, api=False)]
        ),
        NAMES,
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_names_are_whole_at_100_columns(name):
    table, names = TABLES[name]
    lines = shown(table).splitlines()

    assert {*(word for line in lines for word in line.split())} >= names
    assert max(len(line.rstrip()) for line in lines) <= 100


def test_the_topic_of_a_tier_is_whole_in_the_table_of_lag():
    partitions = [
        line.split() for line in shown(lag_table(STAGES, SAID)).splitlines() if line.startswith(" ")
    ]

    assert [one[:3] for one in partitions if one[0] == "fanout.medium"] == [
        ["fanout.medium", "UNKNOWN", str(n)] for n in range(TOPOLOGY.topics["fanout.medium"].partitions)
    ]


def test_what_was_done_for_a_stage_without_a_worker_says_so_now():
    table = _containing.in_force_table(IN_FORCE[:1], {"fanout.medium": replace(STAGES[6], workers=0)})

    assert "fanout.medium: no live worker" in " ".join(shown(table, 200).split())

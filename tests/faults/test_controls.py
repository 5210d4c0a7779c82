"""The verifier goes red when a rule of the pipeline is broken on purpose: one rule at a time, by `saboteur/`.

Not among the tests that run by default: each starts engines of its own. `make faults-controls`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.engines.harness import REPOSITORY, Instance
from tests.faults.chaos import Chaos
from tests.faults.plan import Fault, Kind
from tests.faults.rounds import Run
from tests.faults.workload import World

pytestmark = [pytest.mark.engines, pytest.mark.slow, pytest.mark.controls]

WORLD = World(readers=60, never_registered=10, audiences=(*range(4, 56, 4),))
BUSY = World(readers=60, never_registered=10, audiences=(12, 15))
"""Two authors, who post and are followed several times a second: what a cache of their followers lacks, shows."""

ROUND_S = 14.0
ROUNDS = 4
"""Tries a rule that is broken has until it shows."""

KILLS = [
    Fault(at, Kind.KILL, stage)
    for at, stage in ((5, "fanout.small"), (6, "classify"), (11, "fanout.medium"), (12, "fanout.small"))
]
WRITERS = ("graph", "readers", "policy", "classify", "fanout.small", "fanout.medium")
OUTAGE = [Fault(3, Kind.PAUSE, "cassandra", 4), *(Fault(9, Kind.KILL, stage) for stage in WRITERS)]
"""The kills end what an outage has left standing: an agent that raised under `take()` never goes on."""


@contextmanager
def sabotaged(home: Path, how: str, world: World = WORLD) -> Iterator[Run]:
    """A run on an instance whose workers are broken so."""
    path = os.pathsep.join([str(Path(__file__).parent / "saboteur"), str(REPOSITORY)])
    with Instance(home, {"PYTHONPATH": path, "SABOTAGE": how}) as instance:
        run = Run(instance, 11, world, print)
        run.open()
        yield run


@pytest.mark.parametrize(
    ("how", "faults"),
    [
        ("take", OUTAGE),
        ("concurrency", KILLS),
        ("ack-first", KILLS),
        ("route-late", KILLS),
        ("no-margin", []),
    ],
)
def test_a_broken_rule_is_seen_as_missing_posts(tmp_path: Path, how: str, faults: list[Fault]) -> None:
    """take: Faust's own batches. concurrency: two streams an agent. ack-first: before the writes. route-late: the
    route record after the tasks, and not waited for (one that is waited for is made good by the replay). no-margin:
    edges and classes count from the moment they change.
    """
    with sabotaged(tmp_path, how, BUSY if how == "no-margin" else WORLD) as run, Chaos(run.instance) as chaos:
        for _ in range(ROUNDS):
            if run.play(chaos, faults, ROUND_S).missing:
                return

    pytest.fail(f"{how}: nothing missing among {run.report.checked} deliveries")


def test_the_same_faults_find_nothing_wrong_where_no_rule_is_broken(tmp_path: Path) -> None:
    with sabotaged(tmp_path, "nothing") as run, Chaos(run.instance) as chaos:
        run.play(chaos, KILLS, ROUND_S)
        run.play(chaos, OUTAGE, ROUND_S)

    assert run.report.clean, run.report.examples
    assert run.report.checked > 1000

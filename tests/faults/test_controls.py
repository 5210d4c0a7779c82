"""The verifier goes red when a rule of the pipeline is broken on purpose: one rule at a time, by `saboteur/`.

Not among the tests that run by default: each starts engines of its own. `make faults-controls`.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.engines.harness import Instance
from tests.faults import verify
from tests.faults.chaos import Chaos
from tests.faults.plan import Fault, Kind
from tests.faults.rounds import Run
from tests.faults.sabotage import sabotage
from tests.faults.workload import World
from tests.waiting import eventually

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
WRITERS = ("graph", "readers", "moderation", "classify", "fanout.small", "fanout.medium")
OUTAGE = [Fault(3, Kind.PAUSE, "cassandra", 4), *(Fault(9, Kind.KILL, stage) for stage in WRITERS)]
"""The kills end what an outage has left standing: an agent that raised under `take()` never goes on."""


CALM_S = 6.0
LATE_S = 6.0
"""Where work is acknowledged before it is done, what is acknowledged is late by this at most, or lost."""

SLOW = [Fault(1, Kind.FREEZE, "fanout.small", 8)]
"""Four times the tier's budget."""


@contextmanager
def sabotaged(home: Path, how: str, world: World = WORLD, *, controlled: bool = False) -> Iterator[Run]:
    """A run on an instance whose workers are broken so; without a controller, who would have pulled what is not
    pushed in time.
    """
    with Instance(home, sabotage(how)) as instance:
        if not controlled:
            instance.tideline("stage", "stop", "controller")
        run = Run(instance, 11, world, print)
        run.open()
        yield run


def lost(run: Run) -> int:
    """Posts that are missing now and will be."""

    def missing() -> int:
        return len(verify.check(run.instance, run.workload.readers, run.workload.model).missing)

    with suppress(AssertionError):
        eventually(lambda: not missing(), LATE_S)
    return missing()


@pytest.mark.parametrize(
    ("how", "faults"),
    [
        ("take", OUTAGE),
        ("concurrency", KILLS),
        ("ack-first", KILLS),
        ("route-late", []),
        ("no-margin", []),
    ],
)
def test_a_broken_rule_is_seen_as_missing_posts(tmp_path: Path, how: str, faults: list[Fault]) -> None:
    """take: Faust's own batches. concurrency: two streams an agent. ack-first: before the writes. What these lose is
    not lost without a fault. route-late: the route record after the tasks, and not waited for, so that the next post
    does not know of it (one that is waited for is made good by the replay). no-margin: edges and classes count from the
    moment they change.
    """
    with sabotaged(tmp_path, how, BUSY if how == "no-margin" else WORLD) as run, Chaos(run.instance) as chaos:
        if faults:
            run.play(chaos, [], CALM_S)
            assert not lost(run)
        for _ in range(ROUNDS):
            if run.play(chaos, faults, ROUND_S).missing and lost(run):
                return

    pytest.fail(f"{how}: nothing missing among {run.report.checked} deliveries")


def test_a_controller_who_lets_nothing_go_is_seen(tmp_path: Path) -> None:
    with sabotaged(tmp_path, "never-over", controlled=True) as run, Chaos(run.instance) as chaos:
        assert run.play(chaos, SLOW, ROUND_S).clean
        run.end()

    assert "shed small" in run.report.left_in_force
    assert not run.report.clean


@pytest.mark.parametrize("controlled", [False, True])
def test_the_same_faults_find_nothing_wrong_where_no_rule_is_broken(tmp_path: Path, controlled: bool) -> None:
    with sabotaged(tmp_path, "nothing", controlled=controlled) as run, Chaos(run.instance) as chaos:
        for faults in (KILLS, OUTAGE, SLOW):
            run.play(chaos, faults, ROUND_S)
        run.end()

    assert run.report.clean, (run.report.examples, run.report.left_in_force)
    assert run.report.checked > 1000
    assert ("started" in run.report.journal) is controlled

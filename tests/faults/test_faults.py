"""Every kind of fault on every stage, under traffic, with one seed: no feed lacks a post, has one twice, or one too many.

`make faults MINUTES=15` is the same for longer.
"""

from pathlib import Path

import pytest

from tests.engines.harness import Instance
from tests.faults.chaos import Chaos
from tests.faults.plan import ENGINE_FAULTS, Kind
from tests.faults.rounds import Run
from tests.faults.workload import World

pytestmark = [pytest.mark.engines, pytest.mark.slow]

SEED = 4
SECONDS = 75.0
WORLD = World(readers=120, never_registered=20, audiences=(*range(3, 45, 8), *range(50, 116, 13)))


def test_under_every_fault_every_feed_is_right(tmp_path: Path) -> None:
    with Instance(tmp_path, {}) as instance:
        run = Run(instance, SEED, WORLD, print)
        run.open()
        with Chaos(instance) as chaos:
            run.round(chaos, SECONDS, len(ENGINE_FAULTS))

    report = run.report
    assert report.clean, report.examples
    assert report.checked > 20 * WORLD.readers
    assert {kind.value for kind in Kind if kind not in (Kind.PAUSE, Kind.RESTART, Kind.CRASH)} <= {
        *report.faults
    }
    assert {f"{kind} {engine}" for kind, engine in ENGINE_FAULTS} <= {*report.faults}
    assert {*run.stages} <= {*report.killed}

"""Half a minute of everything that strangers may send, on an instance of its own: nobody but they may notice.

`make hostile MINUTES=30` is the same for longer, and holds the times of tiers against the quiet round's; here, on
a machine that runs other tests as well, they are only told.
"""

from pathlib import Path

import pytest

from tests.engines.harness import Instance
from tests.faults.workload import World
from tests.hostile.run import Hostile

pytestmark = [pytest.mark.engines, pytest.mark.slow]

SEED = 12
SECONDS = 30.0
WORLD = World(readers=120, never_registered=20, audiences=(*range(3, 45, 8), *range(50, 116, 13)))


def test_nobody_notices_what_strangers_send(tmp_path: Path) -> None:
    with Instance(tmp_path, {}) as instance:
        report = Hostile(instance, SEED, WORLD, SECONDS, print).run(ratios=False)

    print(report.document())
    assert report.problems == []
    assert report.sent.total() > 20 * SECONDS
    assert report.kinds > 60
    assert min(report.sent[fate] for fate in ("taken", "refused", "either", "unseen")) > 0
    assert sum(report.http.values()) > SECONDS
    assert report.checked > 5 * WORLD.readers

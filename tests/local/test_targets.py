"""Where Prometheus finds the metrics of an instance."""

import json

from pipeline.local.targets import Targets
from pipeline.local.worker import State, WorkerStatus


def worker(stage, port, number=0, state=State.READY):
    return WorkerStatus(stage, number, state, 1, port, 0)


def read(home):
    return json.loads((home / "metrics" / "targets.json").read_text())


def test_every_worker_with_a_port_is_a_target(tmp_path):
    """By domain, stage and number; one that was never ready has no port."""
    Targets(tmp_path).record(
        [worker("fanout.large", 41_001), worker("inbox/api", 8481, number=1), worker("graph", None)],
    )

    assert read(tmp_path) == [
        {
            "targets": ["127.0.0.1:41001"],
            "labels": {"domain": "home", "worker": "fanout.large", "number": "0"},
        },
        {"targets": ["127.0.0.1:8481"], "labels": {"domain": "inbox", "worker": "api", "number": "1"}},
    ]


def test_the_folder_holds_nothing_else(tmp_path):
    """A container sees it whole."""
    targets = Targets(tmp_path)
    targets.record([worker("graph", 1)])
    targets.record([])

    assert read(tmp_path) == []
    assert [path.name for path in (tmp_path / "metrics").iterdir()] == ["targets.json"]


def test_a_worker_that_died_stays_where_it_answered_last_until_it_is_stopped_by_hand(tmp_path):
    """So that Prometheus' `up` is 0 and does not vanish; started again it may answer elsewhere."""
    targets = Targets(tmp_path)

    def ports(port, state):
        targets.record([worker("graph", port, state=state), worker("api", 8480)])
        return [one["targets"][0].partition(":")[2] for one in read(tmp_path)]

    assert ports(41_001, State.READY) == ["41001", "8480"]
    assert ports(None, State.WAITING) == ["41001", "8480"]
    assert ports(None, State.STARTING) == ["41001", "8480"]
    assert ports(41_002, State.READY) == ["41002", "8480"]
    assert ports(None, State.STOPPED) == ["8480"]
    assert ports(None, State.STARTING) == ["8480"], "where it answers is not known yet"

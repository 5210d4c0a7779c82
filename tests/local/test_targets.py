"""Where Prometheus finds the metrics of an instance."""

import json

from pipeline.local import targets
from pipeline.local.worker import State, WorkerStatus


def worker(stage, port, number=0):
    return WorkerStatus(stage, number, State.READY, 1, port, 0)


def read(home):
    return json.loads((home / "metrics" / "targets.json").read_text())


def test_every_worker_with_a_port_is_a_target(tmp_path):
    """By domain, stage and number; one that is starting or gone has no port."""
    targets.record(
        tmp_path,
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
    targets.record(tmp_path, [worker("graph", 1)])
    targets.record(tmp_path, [])

    assert read(tmp_path) == []
    assert [path.name for path in (tmp_path / "metrics").iterdir()] == ["targets.json"]

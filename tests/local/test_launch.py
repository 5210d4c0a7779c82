"""What `tideline run` starts, without starting it."""

import socket

import pytest

from pipeline import topology
from pipeline.errors import TidelineError
from pipeline.local.launch import run, workers_by_stage
from pipeline.settings import Settings


def test_every_stage_has_its_workers_in_path_order():
    assert workers_by_stage(topology.load()) == {
        "graph": 1,
        "readers": 1,
        "counters": 1,
        "policy": 1,
        "classify": 1,
        "fanout.small": 1,
        "fanout.medium": 1,
        "fanout.large": 1,
        "backfill": 1,
        "retract": 1,
        "query": 1,
        "api": 1,
        "auditor": 1,
    }


def test_a_taken_port_is_refused_before_anything_starts(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        with pytest.raises(TidelineError, match=f"port {port} is taken"):
            run(Settings(home=tmp_path, port=port), say=pytest.fail, ready=pytest.fail)

    assert sorted(path.name for path in tmp_path.rglob("*")) == ["lock", "run"]

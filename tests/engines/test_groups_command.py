"""`tideline groups`, `lag` and `budget` on a running instance: Faust's workers, and a controller that speaks."""

import json
from collections.abc import Iterator

import pytest

from tests.engines.harness import Instance
from tests.waiting import eventually


@pytest.fixture(scope="module", autouse=True)
def controller(instance: Instance) -> Iterator[None]:
    """The tests of this folder share an instance whose controller is stopped."""
    instance.tideline("stage", "start", "controller")
    yield
    instance.tideline("stage", "stop", "controller")


def test_every_stage_works_on_all_its_partitions(instance: Instance) -> None:
    def everybody_is_there() -> bool:
        rows = json.loads(instance.tideline("groups", "--json"))
        assert {"graph", "fanout.small", "query", "controller"} <= {row["stage"] for row in rows}
        for row in rows:
            stage = row["stage"].removeprefix("fanout.")
            spec = instance.topology.tiers.get(stage) or instance.topology.stages[stage]
            topics = getattr(spec, "topics", None) or [getattr(spec, "topic", "pipeline.health")]
            places = sorted((p["topic"], p["partition"]) for m in row["members"] for p in m["partitions"])
            assert row["state"] == "stable", row
            assert places == sorted(instance.topology.places(topics)), row
            assert all(m["client_id"] and m["host"] for m in row["members"])
        return True

    assert eventually(everybody_is_there, 60)


def test_a_settled_path_is_ok_and_burns_nothing(instance: Instance) -> None:
    instance.settle()

    def all_well() -> bool:
        budgets = json.loads(instance.tideline("budget", "--json"))
        lag = json.loads(instance.tideline("lag", "--json"))
        return {row["status"] for row in (*budgets, *lag)} == {"OK"} and {b["alert"] for b in budgets} == {""}

    assert eventually(all_well, 60)

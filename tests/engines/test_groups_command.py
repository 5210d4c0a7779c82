"""`tideline groups` and `tideline lag` on a running instance: Faust's workers with all their partitions."""

import json

from tests.engines.harness import Instance
from tests.waiting import eventually


def test_every_stage_works_on_all_its_partitions(instance: Instance) -> None:
    def everybody_is_there() -> bool:
        for row in json.loads(instance.tideline("groups", "--json")):
            stage = row["stage"].removeprefix("fanout.")
            spec = instance.topology.stages.get(stage) or instance.topology.tiers[stage]
            topics = getattr(spec, "topics", None) or [getattr(spec, "topic", "")]
            places = sorted((p["topic"], p["partition"]) for m in row["members"] for p in m["partitions"])
            assert (row["stage"], row["state"]) == (row["stage"], "stable")
            assert places == sorted(instance.topology.places(topics)), row
            assert all(m["client_id"] and m["host"] for m in row["members"])
        return True

    assert eventually(everybody_is_there, 60)


def test_a_settled_path_is_ok_without_a_controller(instance: Instance) -> None:
    instance.settle()

    assert {row["status"] for row in json.loads(instance.tideline("lag", "--json"))} == {"OK"}

"""What a stage is as a Faust app: who keeps dead letters, and which partitions one worker gets together."""

from types import SimpleNamespace

import pytest
from faust.assignor.partition_assignor import PartitionAssignor

from pipeline import topology
from pipeline.runtime.apps import _read_before


@pytest.mark.parametrize("stage", ["graph", "readers", "counters", "classify", "fanout.small", "query"])
def test_the_first_stage_of_a_topic_keeps_its_dead_letters(stage):
    """Every other one leaves them to it; today that is one stage alone."""
    loaded = topology.load()
    tier = loaded.tiers.get(stage.removeprefix("fanout."))
    topics = [tier.topic] if tier else list(loaded.stages[stage].topics)

    assert _read_before(stage, topics, loaded) == (["activity"] if stage == "counters" else [])


@pytest.mark.parametrize(("stage", "marks"), [("graph", "edge.marks"), ("readers", "reader.marks")])
def test_an_author_or_reader_has_one_worker_for_events_and_marks(stage, marks):
    """Faust gives out partition n of all topics of a stage that have the same number of partitions together."""
    loaded = topology.load()
    topics = loaded.stages[stage].topics
    cluster = SimpleNamespace(partitions_for_topic=lambda topic: {*range(loaded.topics[topic].partitions)})
    workers = {name: [*topics] for name in ("one", "two", "three")}

    groups = PartitionAssignor._get_copartitioned_groups({*topics}, cluster, workers)

    assert marks in topics
    assert {count: [{*group} for group in some] for count, some in groups.items()} == {
        loaded.topics[marks].partitions: [{*topics}]
    }

"""A topic that two stages read has one that keeps what cannot be read."""

import pytest

from pipeline import topology
from pipeline.apps import _read_before


@pytest.mark.parametrize("stage", ["graph", "readers", "counters", "classify", "fanout.small", "query"])
def test_the_first_stage_of_a_topic_keeps_its_dead_letters(stage):
    """Every other one leaves them to it; today that is one stage alone."""
    loaded = topology.load()
    tier = loaded.tiers.get(stage.removeprefix("fanout."))
    topics = [tier.topic] if tier else list(loaded.stages[stage].topics)

    assert _read_before(stage, topics, loaded) == (["activity"] if stage == "counters" else [])

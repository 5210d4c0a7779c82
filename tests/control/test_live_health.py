"""What waits for a tier by weight, wherever its group is moved: `LiveHealth` on a real Kafka, with nobody at work."""

import asyncio
import time

import pytest

from pipeline.control.live_health import LiveHealth
from pipeline.kafka import groups
from pipeline.wire.codec import encode
from pipeline.wire.records import AuthorClass, FanoutTask
from tests.control.test_lag_commands import Domain
from tests.waiting import eventually


@pytest.fixture(scope="module")
def domain(engines, tmp_path_factory):
    return Domain(engines.kafka, tmp_path_factory.mktemp("live") / "topology")


@pytest.fixture
def pending(domain):
    """What the tier `large` has not delivered, seen by one that looks all the time."""
    live = LiveHealth(domain.kafka, domain.topology, now_ms=lambda: time.time_ns() // 1_000_000)

    def look():
        return next(one.pending for one in asyncio.run(live()) if one.stage == "fanout.large")

    yield look
    live.close()


def test_a_tier_that_was_moved_back_has_the_deliveries_to_make_that_lie_behind(domain, pending):
    """Three tasks in each shard; its group goes to their end, and back to the second of shard 0."""
    shards = range(domain.topology.topics["fanout.large"].partitions)
    for n, shard in ((n, shard) for n in range(3) for shard in shards):
        task = FanoutTask(n, 7, AuthorClass.PUSH, 0, 0, 0, deliveries=10**n)
        domain.send("fanout.large", encode(task), partition=shard)
    domain.flush()
    group, topic = domain.topology.tiers["large"].group, domain.topology.names.topic("fanout.large")
    assert eventually(pending, 30) == 111 * len(shards)

    groups.move(domain.kafka, group, {(topic, shard): 3 for shard in shards})
    assert pending() == 0
    groups.move(domain.kafka, group, {(topic, 0): 1})
    assert eventually(pending, 30) == 110

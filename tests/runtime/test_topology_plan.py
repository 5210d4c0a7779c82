"""What a plan holds for every way a topic can differ from its file."""

import pytest

from pipeline.kafka.admin import TopicState
from pipeline.runtime.topology_plan import (
    CreateTopic,
    Mismatch,
    RaisePartitions,
    SetConfig,
    TopologyPlan,
    plan_topics,
)
from pipeline.topology import TopicSpec

SPEC = TopicSpec(name="posts", partitions=4, replicas=2, configs={"retention.ms": "1000"})


def plan(state: TopicState | None) -> TopologyPlan:
    return plan_topics({"posts": SPEC}, {"posts": state} if state else {})


def found(partitions: int = 4, replicas: int = 2, **configs: str) -> TopicState:
    settings = {"retention.ms": "1000", "cleanup.policy": "delete"}
    return TopicState(
        partitions, replicas, settings | {key.replace("_", "."): value for key, value in configs.items()}
    )


def test_a_topic_as_named_needs_nothing() -> None:
    assert plan(found()) == TopologyPlan()
    assert not plan(found())


def test_a_missing_topic_is_created() -> None:
    missing = plan(None)

    assert missing.changes == (CreateTopic("posts", 4, 2, {"retention.ms": "1000"}),)
    assert str(missing.changes[0]) == "create topic posts: 4 partitions, 2 replicas, retention.ms=1000"
    assert missing.blocking == [str(missing.changes[0])]


def test_partitions_are_raised() -> None:
    fewer = plan(found(partitions=3))

    assert fewer.changes == (RaisePartitions("posts", 3, 4),)
    assert fewer.blocking


def test_partitions_are_never_taken_away() -> None:
    more = plan(found(partitions=5))

    assert more.changes == ()
    assert more.blocking == [
        "topic posts: there is 5 partitions, wanted is 4 partitions: "
        "Kafka takes no partition away; raise `partitions` in topics.yaml or in a profile"
    ]


def test_other_replicas_are_told_and_keep_no_worker_from_its_work() -> None:
    (mismatch,) = plan(found(replicas=1)).mismatches

    assert isinstance(mismatch, Mismatch)
    assert "kafka-reassign-partitions" in str(mismatch)
    assert plan(found(replicas=1)).blocking == []


def test_a_setting_of_another_value_is_set_and_keeps_no_worker_from_its_work() -> None:
    other = plan(found(retention_ms="5"))

    assert other.changes == (SetConfig("posts", "retention.ms", "5", "1000"),)
    assert str(other.changes[0]) == "set retention.ms of posts: 5 -> 1000"
    assert other.blocking == []


@pytest.mark.parametrize("value", ["compact", "delete"])
def test_a_setting_the_file_does_not_name_is_left_alone(value: str) -> None:
    assert plan(found(cleanup_policy=value)) == TopologyPlan()


def test_a_topic_the_file_does_not_name_is_left_alone() -> None:
    assert plan_topics({}, {"strange": found()}) == TopologyPlan()


def test_plans_add_up_in_order() -> None:
    assert (plan(None) + plan(found(partitions=5))) == TopologyPlan(
        plan(None).changes, plan(found(partitions=5)).mismatches
    )

"""Lag as metrics: unknown is absent, never 0, and what is gone is gone."""

import pytest

from pipeline.control import lag_metrics
from pipeline.control.lag import PartitionLag, StageLag
from tests import exported

LAG, LAG_S = "kafka_consumergroup_group_lag", "kafka_consumergroup_group_lag_seconds"
END, OLDEST = "kafka_partition_latest_offset", "tideline_oldest_unprocessed_timestamp_seconds"


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    lag_metrics.export([])


def stage(*partitions, name="classify", group="tideline.classify"):
    return StageLag(name, group, None, partitions)


def behind(number, lag=7, topic="posts"):
    return PartitionLag(
        topic, number, 3, 3 + lag, lag, oldest_ms=1_500 if lag else None, age_s=0.5 * bool(lag)
    )


def test_a_partition_has_its_lag_its_age_its_end_and_its_oldest_record():
    lag_metrics.export([stage(behind(0), behind(1, lag=0))])

    group = {"cluster_name": "tideline", "group": "tideline.classify", "topic": "posts"}
    assert exported.value(LAG, **group, partition="0") == 7
    assert exported.value(LAG, **group, partition="1") == 0
    assert exported.value(LAG_S, **group, partition="0") == 0.5
    assert exported.value(END, cluster_name="tideline", topic="posts", partition="0") == 10
    assert exported.values(OLDEST) == {("classify", "posts", "0"): 1.5}


def test_unknown_is_absent():
    """Not read at all; read, but not where the oldest record is."""
    nothing = PartitionLag("posts", 0, None, None, None)
    no_origin = PartitionLag("posts", 1, 3, 9, 6)
    lag_metrics.export([stage(nothing, no_origin)])

    assert exported.values(LAG) == {("tideline", "tideline.classify", "posts", "1"): 6}
    assert exported.values(LAG_S) == {}
    assert exported.values(END) == {("tideline", "posts", "1"): 9}
    assert exported.values(OLDEST) == {}


def test_who_follows_without_a_group_has_no_group_lag():
    """The API; how old what it has not read is, is told under its own name."""
    lag_metrics.export([stage(behind(0), name="api", group="")])

    assert exported.values(LAG) == exported.values(LAG_S) == {}
    assert exported.values(OLDEST) == {("api", "posts", "0"): 1.5}


def test_two_groups_of_a_topic_are_two_series_and_it_has_one_end():
    lag_metrics.export([stage(behind(0)), stage(behind(0), name="counters", group="tideline.counters")])

    assert len(exported.values(LAG)) == 2
    assert len(exported.values(END)) == 1


def test_partitions_that_are_gone_lose_their_series():
    lag_metrics.export([stage(behind(0), behind(1))])
    lag_metrics.export([stage(behind(1))])

    assert set(exported.values(LAG)) == {("tideline", "tideline.classify", "posts", "1")}
    lag_metrics.export([])
    assert [exported.values(name) for name in (LAG, LAG_S, END, OLDEST)] == [{}] * 4

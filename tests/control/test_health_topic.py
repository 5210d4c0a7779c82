"""What the controller said last, read back from a real Kafka; and whose word counts."""

from dataclasses import replace
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.config.names import HOME, Names
from pipeline.control.health_topic import Said, document, heard, newest
from pipeline.control.lag import PartitionLag, StageLag
from pipeline.errors import EngineError
from pipeline.wire.codec import encode
from pipeline.wire.records import ShardHealth, StageHealth
from tests.waiting import eventually

NOW_MS = 1_767_225_600_000


def record(stage="fanout.small", status="WARN", at=NOW_MS, shards=()):
    return StageHealth(stage, status, 3, None, 1.0, 2.0, (), "", shards, at)


def stage(*lags, name="fanout.small"):
    partitions = tuple(
        PartitionLag(name, number, 5, None if lag is None else 5 + lag, lag, None, 0.0 if lag == 0 else None)
        for number, lag in enumerate(lags)
    )
    return StageLag(name, f"tideline.{name}", 2.0, partitions)


@pytest.fixture
def said_on(engines):
    """`said_on(value, …)`: what a topic of its own holds then; returns the names to find it by."""
    names = Names(f"said_{uuid4().hex[:8]}")
    topic = NewTopic(names.topic("pipeline.health"), 1, 1, config={"cleanup.policy": "compact"})
    admin = AdminClient({"bootstrap.servers": engines.kafka})
    admin.create_topics([topic])[topic.topic].result(30)
    producer = Producer({"bootstrap.servers": engines.kafka, "log_level": 0})

    def put(*values):
        for value in values:
            producer.produce(topic.topic, value, b"stage")
        assert producer.flush(30) == 0
        return names

    eventually(lambda: newest(engines.kafka, put()) == {})  # it has its leader, and holds nothing
    return put


def test_the_last_record_of_each_stage_counts(engines, said_on):
    small, large = record(status="STOP", at=NOW_MS + 1000), record("fanout.large", "OK")
    names = said_on(*map(encode, (record(), large, small)))

    assert newest(engines.kafka, names) == {"fanout.small": small, "fanout.large": large}


def test_what_cannot_be_decoded_hides_nothing(engines, said_on):
    names = said_on(encode(record()), b"of a version to come", None)

    assert newest(engines.kafka, names) == {"fanout.small": record()}


def test_without_the_topic_nobody_has_said_anything(engines):
    missing = Names(f"said_{uuid4().hex[:8]}")

    with pytest.raises(EngineError):
        newest(engines.kafka, missing)
    assert heard(engines.kafka, missing, [stage(0)], NOW_MS).of("fanout.small") is None


def test_a_kafka_that_gave_no_lag_is_not_asked_again():
    """It would take its time-out."""
    assert heard("127.0.0.1:1", HOME, [stage(None), stage(None)], NOW_MS).of("fanout.small") is None


@pytest.mark.parametrize(("age_ms", "status"), [(0, "WARN"), (10_000, "WARN"), (10_001, "UNKNOWN")])
def test_a_word_counts_for_ten_seconds(age_ms, status):
    assert Said([record()], NOW_MS + age_ms).status(stage(3)) == status


@pytest.mark.parametrize(
    ("lags", "status"),
    [((0, 0), "OK"), ((0, 1), "UNKNOWN"), ((0, None), "UNKNOWN"), ((None, None), "UNKNOWN")],
)
def test_without_a_word_only_who_has_nothing_to_do_is_ok(lags, status):
    assert Said([], NOW_MS).status(stage(*lags)) == status


def test_the_document_has_the_words_of_stage_and_partitions():
    """Of a partition that was not spoken of, nothing is known but that it has nothing to do."""
    shards = (ShardHealth("fanout.small", 0, "STALL", 3, 1.0),)
    said = replace(record(status="STALL", shards=shards), since=NOW_MS - 5_000, pending=40)
    [row] = document([stage(3, 0, 2)], Said([said], NOW_MS), {})

    assert (row["status"], row["status_since_ms"], row["pending_deliveries"]) == ("STALL", NOW_MS - 5_000, 40)
    assert [one["status"] for one in row["partitions"]] == ["STALL", "OK", "UNKNOWN"]
    assert [one["lag"] for one in row["partitions"]] == [3, 0, 2]


def test_without_a_word_or_where_it_was_not_said_nothing_is_known_of_since_when():
    """A controller of the version before this one says no time, which is 0."""
    [silent] = document([stage(3)], Said([], NOW_MS), {})
    [of_old] = document([stage(3)], Said([record()], NOW_MS), {})

    assert (silent["status_since_ms"], silent["pending_deliveries"]) == (None, None)
    assert (of_old["status"], of_old["status_since_ms"]) == ("WARN", None)


@pytest.mark.parametrize("lag", [0, 3, None])
def test_a_stage_without_a_live_worker_is_a_stop_whatever_was_said_and_says_what_to_do(lag):
    dead = replace(stage(lag), workers=0)
    [row] = document([dead], Said([record(status="OK")], NOW_MS), {"fanout.small": "tideline status"})

    assert (row["status"], row["workers"], row["next"]) == ("STOP", 0, "tideline status")

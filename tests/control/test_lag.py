"""`control.lag` against a real Kafka, with no worker alive: ages are right, and unknown never counts as nothing.

Every test has topics and groups of its own, in the shape of the shipped topology.
"""

import json
import time
from contextlib import closing
from dataclasses import replace
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline import topology
from pipeline.config.names import Names
from pipeline.control import lag
from pipeline.control.lag import Lag, PartitionLag, StageLag
from pipeline.domain.admission import INPUTS
from pipeline.kafka.offsets import Offsets
from pipeline.path import FOLLOWED
from tests.kafka.strangers import Transaction
from tests.waiting import eventually

LOADED = topology.load()


def now_ms():
    return time.time_ns() // 1_000_000


class Bench:
    """A domain of its own: topics and groups under its name, 2 partitions a topic."""

    def __init__(self, kafka):
        self.kafka, self.mark = kafka, f"lag_{uuid4().hex[:8]}"
        self.admin = AdminClient({"bootstrap.servers": kafka})
        self.topology = replace(
            LOADED,
            topics={
                topic: spec.model_copy(update={"partitions": 2, "name": self.name(topic)})
                for topic, spec in LOADED.topics.items()
            },
            stages={name: self.grouped(spec) for name, spec in LOADED.stages.items()},
            tiers={name: self.grouped(spec) for name, spec in LOADED.tiers.items()},
            names=Names(self.mark),
        )
        self.offsets = Offsets(kafka)
        self.lag = Lag(self.offsets, self.topology, now_ms=now_ms)

    def name(self, word):
        return f"{self.mark}.{word}"

    def grouped(self, spec):
        return spec.model_copy(update={"group": self.name(spec.group)})

    def create(self, *topics):
        wanted = [NewTopic(self.name(topic), 2, 1) for topic in topics or LOADED.topics]
        for future in self.admin.create_topics(wanted).values():
            future.result(30)
        places = [(topic.topic, number) for topic in wanted for number in range(2)]
        eventually(lambda: len(self.offsets.ends(places)) == len(places))  # each has its leader

    def send(self, topic, *origins, partition=0):
        """One record a time when its path began, on an input topic with this message; None: now."""
        producer = Producer({"bootstrap.servers": self.kafka})
        for origin in origins:
            more = {}
            if origin is not None and topic in INPUTS:
                more = {"timestamp": origin}
            elif origin is not None:
                more = {"headers": [("tideline_entered_at", b"%d" % origin)]}
            producer.produce(self.name(topic), b"x", partition=partition, **more)
        assert producer.flush(30) == 0

    def commit(self, group, topic, offset, partition=0):
        """As a worker of the group would have, before it died."""
        with closing(Consumer({"bootstrap.servers": self.kafka, "group.id": self.name(group)})) as worker:
            place = TopicPartition(self.name(topic), partition, offset)
            worker.commit(offsets=[place], asynchronous=False)

    def stage(self, name):
        return next(stage for stage in self.lag.snapshot() if stage.stage == name)


@pytest.fixture
def bench(engines):
    made = Bench(engines.kafka)
    with made.offsets:
        yield made


@pytest.fixture
def path(bench):
    """All topics there, all empty."""
    bench.create()
    return bench


def test_the_age_is_that_of_the_record_at_the_committed_offset(path):
    now = now_ms()
    path.send("fanout.small", now - 60_000, now - 7_000, now - 1_000)
    path.commit("tideline.fanout.small", "fanout.small", 1)

    stage = path.stage("fanout.small")

    assert stage.lag == 2
    assert stage.age_s == pytest.approx(7, abs=1)
    assert stage.spent == pytest.approx(7 / 2, abs=0.5)
    first = stage.partitions[0]
    assert (first.committed, first.end, first.lag, first.oldest_ms) == (1, 3, 2, now - 7_000)


def test_a_group_that_never_committed_is_behind_from_the_beginning(path):
    now = now_ms()
    path.send("posts", now - 30_000, now)

    stage = path.stage("classify")

    assert stage.lag == 2
    assert stage.partitions[0].committed is None
    assert stage.age_s == pytest.approx(30, abs=1)


@pytest.mark.parametrize("name", ["origin_ts", "tideline_entered_at", "tideline_appended_at"])
def test_nobody_makes_others_late_by_claiming_that_an_event_is_old(path, name):
    """The controller acts by this age, and might contain whoever is beside it."""
    producer = Producer({"bootstrap.servers": path.kafka})
    headers = [(name, b"%d" % (now_ms() - 3_600_000))]
    producer.produce(path.name("posts"), b"x", headers=headers, partition=0)
    assert producer.flush(30) == 0

    assert path.stage("classify").age_s == pytest.approx(0, abs=2)


def test_a_record_that_does_not_say_counts_from_its_timestamp(path):
    path.send("fanout.small", None)

    assert path.stage("fanout.small").age_s == pytest.approx(0, abs=2)


def test_the_oldest_partition_decides(path):
    now = now_ms()
    path.send("posts", now - 3_000, partition=0)
    path.send("posts", now - 9_000, partition=1)

    stage = path.stage("classify")

    assert [one.lag for one in stage.partitions] == [1, 1]
    assert stage.age_s == pytest.approx(9, abs=1)


def test_what_retention_removed_is_not_waited_for(path):
    """The group stands at 1; records 0 and 1 are gone."""
    now = now_ms()
    path.send("posts", now - 90_000, now - 80_000, now - 5_000)
    path.commit("tideline.classify", "posts", 1)
    place = TopicPartition(path.name("posts"), 0, 2)
    path.admin.delete_records([place])[place].result(30)

    stage = path.stage("classify")

    assert stage.lag == 1
    assert stage.age_s == pytest.approx(5, abs=1)


def test_ages_follow_the_commits_of_a_group(path):
    """The reader is kept between looks; it must not give the record of the look before."""
    now = now_ms()
    path.send("posts", now - 50_000, now - 20_000)

    ages = [path.stage("classify").age_s]
    path.commit("tideline.classify", "posts", 1)
    ages.append(path.stage("classify").age_s)
    path.commit("tideline.classify", "posts", 2)
    ages.append(path.stage("classify").age_s)

    assert ages == pytest.approx([50, 20, 0], abs=1)


def test_an_empty_path_is_settled(path):
    stages = path.lag.snapshot()

    assert lag.settled(stages)
    assert [stage.stage for stage in stages] == [
        "graph",
        "readers",
        "counters",
        "moderation",
        "classify",
        "fanout.small",
        "fanout.medium",
        "fanout.large",
        "backfill",
        "retract",
        "query",
    ]


def test_a_topic_that_cannot_be_read_is_unknown_and_never_settled(bench):
    bench.create(*(set(LOADED.topics) - {"fanout.large"}))

    stages = bench.lag.snapshot()
    large = next(stage for stage in stages if stage.stage == "fanout.large")

    assert (large.lag, large.age_s, large.spent) == (None, None, None)
    assert lag.unprocessed(stages) is None
    assert not lag.settled(stages)


def test_waiting_ends_as_soon_as_nothing_is_unprocessed(path):
    """The group commits its last record while it is waited for."""
    path.send("posts", now_ms())
    looks = []

    def told(stages):
        looks.append(lag.unprocessed(stages))
        if len(looks) == 2:
            path.commit("tideline.classify", "posts", 1)

    stages = path.lag.wait(30, told)

    assert lag.settled(stages)
    assert looks == [1, 1, 0]


def test_waiting_gives_up_with_what_is_left(path):
    path.send("posts", now_ms())

    stages = path.lag.wait(0.3, lambda _: None)

    assert [stage.stage for stage in stages if stage.lag] == ["classify"]


class Recorded:
    """Stands between `Lag` and the broker, and keeps the order of the questions."""

    def __init__(self):
        self.asked = []

    def committed(self, groups):
        self.asked.append("committed")
        return {(group, place): 0 for group, places in groups.items() for place in places}

    def ends(self, places):
        self.asked.append("ends")
        return dict.fromkeys(places, 0)

    def origins(self, at, ends, own=()):
        return {}


def test_every_position_is_read_before_any_end():
    """Otherwise a record that arrives between the two would count as processed."""
    recorded = Recorded()

    def topics_read():
        recorded.asked.append("api")
        return dict.fromkeys(LOADED.places(FOLLOWED), 0)

    stages = Lag(recorded, LOADED, now_ms=now_ms, topics_read=topics_read).snapshot()

    assert recorded.asked[-1] == "ends"
    assert sorted(recorded.asked) == ["api", "committed", "ends"]
    assert lag.settled(stages)


def test_an_api_that_does_not_answer_is_unknown():
    stages = Lag(Recorded(), LOADED, now_ms=now_ms, topics_read=dict).snapshot()

    assert stages[-1].stage == "api"
    assert stages[-1].lag is None
    assert not lag.settled(stages)


def test_no_server_has_read_anything():
    assert lag.topics_read(lambda: "http://127.0.0.1:1") == {}
    assert lag.topics_read(lambda: "") == {}


def partition(lagging, age):
    return PartitionLag("t", 0, 0, lagging, lagging, None, age)


def test_one_unknown_partition_does_not_hide_the_others():
    """What is known is a lower bound; 0 and unknown together are unknown."""
    behind = StageLag("s", "g", 10.0, (partition(5, 2.0), partition(None, None)))
    maybe = StageLag("s", "g", 10.0, (partition(0, 0.0), partition(None, None)))

    assert (behind.lag, behind.age_s, behind.spent, behind.unknown) == (5, 2.0, 0.2, 1)
    assert (maybe.lag, maybe.age_s, maybe.spent, maybe.unknown) == (None, None, None, 1)


def test_a_budget_is_spent_by_age():
    stage = StageLag("s", "g", 2.0, (partition(1, 3.0),))

    assert stage.spent == 1.5
    assert StageLag("s", "g", None, stage.partitions).spent is None


def test_the_command_says_every_stage_and_fails_while_something_is_unprocessed(tideline):
    """Others use the shipped topics of this broker, so either may be; --json and the exit code must agree."""
    command = tideline("lag", "--wait", "0.2", "--json")
    out, err = command.communicate()

    rows = json.loads(out)
    done = all(row["lag"] == 0 and not row["unknown_partitions"] for row in rows)
    assert [row["stage"] for row in rows][:2] == ["graph", "readers"]
    assert command.returncode == (0 if done else 1)
    assert ("unprocessed: " in err) is not done


def test_markers_of_transactions_are_not_waited_for(path):
    """Committed: its records are, until they are processed. Aborted: nothing is."""
    path.commit("tideline.classify", "posts", 0)
    Transaction(path.kafka).send(path.name("posts"), b"1", b"2").commit()
    Transaction(path.kafka).send(path.name("posts"), b"3").abort()

    assert path.stage("classify").lag == 5, "an upper bound"

    path.commit("tideline.classify", "posts", 2)

    eventually(lambda: path.stage("classify").lag == 0)
    stage = path.stage("classify")
    assert (stage.age_s, stage.unknown, lag.settled([stage])) == (0.0, 0, True)
    path.send("posts", now_ms() - 5_000)
    assert path.stage("classify").age_s == pytest.approx(5, abs=2)


def test_what_an_open_transaction_holds_up_is_no_lag_and_is_told(path):
    path.send("posts", now_ms())
    path.commit("tideline.classify", "posts", 1)
    transaction = Transaction(path.kafka).send(path.name("posts"), b"2")
    path.send("posts", now_ms())

    assert path.stage("classify").lag == 0
    assert path.lag.open_transactions() == {path.name("posts"): 2}

    transaction.commit()
    eventually(lambda: path.stage("classify").lag == 3)
    assert path.lag.open_transactions() == {}

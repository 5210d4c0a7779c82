"""A compacted topic held whole, on librdkafka's mock cluster: the real protocol, in this process."""

import random
import threading
import time
from functools import partial

import pytest
from confluent_kafka import Producer, TopicPartition

from pipeline.errors import EngineError, Unavailable
from pipeline.kafka.view import Follower, TopicView
from pipeline.telemetry import metrics
from pipeline.wire.codec import decode, encode
from pipeline.wire.records import RoutingSettings
from tests.kafka.strangers import bomb, produce
from tests.waiting import eventually

DECODE = partial(decode, expected=RoutingSettings)


@pytest.fixture(scope="module")
def producer():
    """A producer whose process is also its broker; a topic has four partitions."""
    return Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})


@pytest.fixture
def topic(producer):
    """A topic of its own, as a function that sends records by key; None takes a key out."""
    name = f"view-{random.getrandbits(48):x}"

    def send(**records):
        for key, record in records.items():
            value = encode(record) if isinstance(record, RoutingSettings) else record
            producer.produce(name, value, key)
        assert producer.flush(10) == 0

    send.name = name
    return send


@pytest.fixture
def follower(producer):
    """What follows the topics of a process."""
    (broker,) = producer.list_topics(timeout=10).brokers.values()
    made = Follower(f"{broker.host}:{broker.port}")
    yield made
    made.close()  # also when a test has


@pytest.fixture
def view(follower, topic):
    """A view of the topic, read to its end."""
    return lambda decode=DECODE, **how: follower.view(TopicView(topic.name, decode, **how))


def settings(push_below):
    return RoutingSettings(push_below, 100, 1)


def test_what_is_there_is_known_when_the_view_has_started(topic, view):
    """The newest record of each key, of all partitions; what was taken out is not."""
    topic(a=settings(1), b=settings(2), c=settings(3))
    topic(a=settings(4), c=None)

    started = view()

    assert [started.get(key) for key in "abcd"] == [settings(4), settings(2), None, None]


def test_a_view_from_the_end_knows_what_comes_from_now_on(topic, view):
    """Nothing of what was there before; and it knows at once that it has all of it."""
    topic(a=settings(1), b=settings(2))
    gaps = []
    started = view(lost=lambda: gaps.append(1))

    assert (started.get("a"), started.get("b")) == (None, None)
    assert started.age_s() < 5
    topic(b=settings(3))
    eventually(lambda: started.get("b") == settings(3))
    assert started.get("a") is None
    assert sum(started.positions().values()) == 3
    assert not gaps


def test_a_view_from_the_end_tells_when_records_went_unread(topic, view, follower):
    """Here they come again, as after a topic was made anew: whatever was kept of it is not to be trusted."""
    topic(a=settings(1), b=settings(2), c=settings(3))
    gaps = []
    started = view(lost=lambda: gaps.append(1))

    partition = next(number for number, at in started.positions().items() if at)
    follower._consumer.seek(TopicPartition(topic.name, partition, 0))

    eventually(lambda: gaps)
    topic(a=settings(4))
    eventually(lambda: started.get("a") == settings(4))


def test_what_comes_later_is_followed(topic, view):
    """Records and tombstones."""
    topic(a=settings(1), b=settings(2))
    started = view()

    topic(a=settings(5), b=None)

    eventually(lambda: started.get("a") == settings(5) and started.get("b") is None)
    assert sum(started.positions().values()) == 4


def test_a_record_that_cannot_be_read_leaves_the_one_before_it_in_force(topic, view):
    """And stops nothing."""
    topic(a=settings(1), b=b"garbage")
    started = view()
    topic(a=b"garbage")
    topic(b=settings(2))

    eventually(lambda: started.get("b") == settings(2))
    assert started.get("a") == settings(1)


class Picky:
    """Keeps what has a number as its key, as `known_routes.ByAuthor` does."""

    def __init__(self):
        self.kept = {}

    def put(self, key, record):
        self.kept[int(key)] = record


@pytest.mark.parametrize("key", [b"no-number", b"\xff\xfe", b"", b"9" * 5000])
def test_a_key_that_nobody_can_use_is_passed_over(producer, topic, view, key):
    """The thread goes on, and counts it."""
    kept = Picky()
    producer.produce(topic.name, encode(settings(1)), key, partition=0)
    producer.produce(topic.name, None, key, partition=0)
    producer.produce(topic.name, encode(settings(2)), b"7", partition=0)
    producer.flush(10)

    started = view(kept=kept)

    assert kept.kept == {7: settings(2)}
    assert metrics.VIEW_SKIPPED.labels(topic.name)._value.get() == 2
    assert sum(started.positions().values()) == 3


def test_a_batch_that_cannot_be_inflated_is_passed_over(producer, topic, view):
    """The client says so for ever, and would never go on by itself."""
    topic(a=settings(1))
    (broker,) = producer.list_topics(timeout=10).brokers.values()
    for partition in range(4):
        produce(f"{broker.host}:{broker.port}", topic.name, bomb(200), partition)
    topic(b=settings(2))

    started = view()

    assert (started.get("a"), started.get("b")) == (settings(1), settings(2))
    topic(a=settings(3))
    eventually(lambda: started.get("a") == settings(3))


def test_a_broker_that_is_away_is_said_so():
    """As `tideline contain list` says it: the topic, why, and what to do next."""
    follower = Follower("localhost:1")

    with pytest.raises(EngineError, match=r"^containment: Failed to get metadata: .*transport") as raised:
        follower.view(TopicView("containment", DECODE), timeout_s=0.2)

    assert raised.value.hint == "tideline status"
    follower.close()


@pytest.mark.parametrize("error", [Unavailable("away"), EngineError("401")])
def test_a_record_waits_for_a_registry_that_does_not_answer(topic, view, error, monkeypatch):
    """A view that gave up would show old routes for ever, and nobody would know."""
    monkeypatch.setattr("pipeline.kafka.view._PAUSE_S", 0.01)
    errors = [error, error]

    def decode_when_there(value):
        if errors:
            raise errors.pop()
        return DECODE(value)

    topic(a=settings(1))
    started = view(decode_when_there)

    assert started.get("a") == settings(1)


def test_a_record_that_waits_holds_up_its_topic_alone(producer, topic, view, follower, monkeypatch):
    """Those behind it keep their order; other topics are followed meanwhile."""
    monkeypatch.setattr("pipeline.kafka.view._PAUSE_S", 0.05)
    away = threading.Event()

    def decode_when_there(value):
        if away.is_set():
            raise Unavailable("away")
        return DECODE(value)

    waiting = view(decode_when_there)
    producer.produce(topic.name + "-beside", encode(settings(1)), "b")
    producer.flush(10)
    beside = follower.view(TopicView(topic.name + "-beside", DECODE))

    away.set()
    for number in range(2, 50):
        topic(a=settings(number))
    producer.produce(topic.name + "-beside", encode(settings(2)), "b")
    producer.flush(10)

    eventually(lambda: beside.get("b") == settings(2))
    assert waiting.get("a") is None
    assert eventually(lambda: waiting.age_s() > 0.7)
    away.clear()
    eventually(lambda: waiting.get("a") == settings(49))
    eventually(lambda: waiting.age_s() < 0.5)
    topic(a=settings(50))
    eventually(lambda: waiting.get("a") == settings(50))


def test_a_view_can_be_closed_while_it_waits(topic, view, follower):
    """A stage ends also when its registry is away."""
    asked = []

    def away_for_the_second(value):
        asked.append(value)
        if len(asked) > 1:
            raise Unavailable("away")
        return DECODE(value)

    topic(a=settings(1))
    view(away_for_the_second)
    topic(a=settings(2))
    eventually(lambda: len(asked) > 1)

    follower.close()

    assert "views" not in [thread.name for thread in threading.enumerate()]


def test_a_view_that_has_all_is_young_again_and_again(topic, view):
    """Its age counts from the last time it was known to hold all that there was."""
    topic(routing=settings(1))
    started = view()

    assert eventually(lambda: started.age_s() < 5)
    begin = time.monotonic()
    eventually(
        lambda: time.monotonic() - begin > started.age_s(), 10
    )  # as of later than when it was first asked


def test_a_view_that_is_closed_grows_old(topic, view, follower):
    """Nobody asks for it any more."""
    started = view()
    follower.close()

    first = started.age_s()

    assert eventually(lambda: started.age_s() > first)

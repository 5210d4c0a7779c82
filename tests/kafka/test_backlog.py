"""What waits, by weight: sums between any two offsets, of messages that were there and of those that come."""

import random

import pytest
from confluent_kafka import Consumer, Producer

from pipeline.kafka import backlog as module
from pipeline.kafka.backlog import Backlog
from tests.waiting import eventually


@pytest.fixture(scope="module")
def producer():
    """A producer whose process is also its broker; a topic has four partitions."""
    return Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})


@pytest.fixture(scope="module")
def bootstrap(producer):
    (broker,) = producer.list_topics(timeout=10).brokers.values()
    return f"{broker.host}:{broker.port}"


@pytest.fixture
def topic():
    return f"backlog-{random.getrandbits(48):x}"


@pytest.fixture
def backlog(producer, bootstrap, topic):
    """Of a topic whose partitions 0 and 1 have the weights 0, 2, 4, 6, 8 and 1, 3, 5, 7, 9."""
    for weight in range(10):
        producer.produce(topic, str(weight), partition=weight % 2)
    producer.flush(10)
    backlog = Backlog(bootstrap, int)
    yield backlog
    backlog.close()


def known(backlog, committed, ends):
    return eventually(lambda: backlog.pending(committed, ends), timeout=30)


def test_what_waits_is_known_once_it_is_read(producer, topic, backlog):
    ends = {(topic, 0): 5, (topic, 1): 5}
    assert known(backlog, {(topic, 0): 1, (topic, 1): 0}, ends) == 2 + 4 + 6 + 8 + 1 + 3 + 5 + 7 + 9
    assert backlog.pending({(topic, 0): 4, (topic, 1): 5}, ends) == 8
    assert backlog.pending({(topic, 0): 4}, {(topic, 0): 6}) is None, "the next one is not read yet"

    producer.produce(topic, "100", partition=0)
    producer.flush(10)
    assert known(backlog, {(topic, 0): 4}, {(topic, 0): 6}) == 108


def test_a_group_that_was_moved_back_has_its_topic_read_again(producer, topic, backlog):
    """Also while others are followed; every record counts once, and so does what comes later."""
    ends = {(topic, 0): 5, (topic, 1): 5}
    assert known(backlog, {(topic, 0): 4, (topic, 1): 5}, ends) == 8

    assert backlog.pending({(topic, 0): 1, (topic, 1): 5}, ends) is None
    assert known(backlog, {(topic, 0): 1, (topic, 1): 5}, ends) == 2 + 4 + 6 + 8
    assert known(backlog, {(topic, 0): 3, (topic, 1): 2}, ends) == 6 + 8 + 5 + 7 + 9
    producer.produce(topic, "100", partition=1)
    producer.flush(10)
    assert known(backlog, {(topic, 0): 5, (topic, 1): 4}, {(topic, 0): 5, (topic, 1): 6}) == 9 + 100


def test_a_tier_that_is_asked_about_later_is_followed_from_there(topic, backlog):
    assert known(backlog, {(topic, 0): 3}, {(topic, 0): 5}) == 6 + 8
    assert known(backlog, {(topic, 1): 4}, {(topic, 1): 5}) == 9
    assert backlog.pending({(topic, 0): 3, (topic, 1): 4}, {(topic, 0): 5, (topic, 1): 5}) == 6 + 8 + 9


def test_what_was_on_its_way_when_a_group_was_moved_back_counts_once(backlog, bootstrap, topic, monkeypatch):
    """Moved while the messages from 3 on were fetched already and not added yet."""
    ends, moves = {(topic, 0): 5}, []

    class Held(Consumer):
        def consume(self, *args, **more):
            messages = super().consume(*args, **more)
            if messages and not moves:
                moves.append(held.pending({(topic, 0): 0}, ends))
            return messages

    monkeypatch.setattr(module, "Consumer", Held)
    held = Backlog(bootstrap, int)
    try:
        assert held.pending({(topic, 0): 3}, ends) is None
        eventually(lambda: moves == [None], timeout=30)
        assert known(held, {(topic, 0): 0}, ends) == 0 + 2 + 4 + 6 + 8
    finally:
        held.close()


def test_markers_behind_the_last_record_do_not_leave_it_unknown(producer, topic, backlog, monkeypatch):
    """The end of the partition tells that there is nothing more, whatever offset the last record had."""
    place = (topic, 0)
    assert known(backlog, {place: 0}, {place: 5}) == 20

    backlog._sums[place].reach(7)

    assert backlog.pending({place: 4}, {place: 7}) == 8
    assert backlog.pending({place: 4}, {place: 8}) is None

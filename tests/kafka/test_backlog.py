"""What waits, by weight: sums between any two offsets, of messages that were there and of those that come."""

import random

import pytest
from confluent_kafka import Producer
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kafka import backlog as module
from pipeline.kafka.backlog import Backlog, _Sums
from tests.waiting import eventually


@pytest.fixture(scope="module")
def producer():
    """A producer whose process is also its broker; a topic has four partitions."""
    return Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})


def test_what_waits_is_known_once_it_is_read(producer):
    topic = f"backlog-{random.getrandbits(48):x}"
    for weight in range(10):
        producer.produce(topic, str(weight), partition=weight % 2)
    producer.flush(10)
    (broker,) = producer.list_topics(timeout=10).brokers.values()
    backlog = Backlog(f"{broker.host}:{broker.port}", {(topic, 0): 1, (topic, 1): 0}, int)
    ends = {(topic, 0): 5, (topic, 1): 5}
    try:
        pending = eventually(lambda: backlog.pending({(topic, 0): 1, (topic, 1): 0}, ends), timeout=30)
        assert pending == 2 + 4 + 6 + 8 + 1 + 3 + 5 + 7 + 9
        assert backlog.pending({(topic, 0): 4, (topic, 1): 5}, ends) == 8
        assert backlog.pending({(topic, 0): 4}, {(topic, 0): 6}) is None, "the next one is not read yet"

        producer.produce(topic, "100", partition=0)
        producer.flush(10)
        assert eventually(lambda: backlog.pending({(topic, 0): 4}, {(topic, 0): 6}), timeout=30) == 108
    finally:
        backlog.close()


@given(
    st.lists(st.integers(0, 100), max_size=40),
    st.lists(st.integers(0, 40), max_size=5).map(sorted),
    st.sampled_from([4, 1000]),
)
def test_sums_are_those_of_what_is_not_committed(weights, commits, most):
    """Exactly while nothing is forgotten; never less than what waits, however much is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_MOST", most)
        sums = _Sums(0)
        for offset, weight in enumerate(weights):
            sums.add(offset, weight)
    for committed in commits:
        wanted = sum(weights[committed:])
        found = sums.after(committed)
        assert found == wanted if most > len(weights) else found >= wanted


def test_a_group_that_was_moved_back_is_unknown():
    sums = _Sums(3)
    sums.add(3, 5)
    sums.add(4, 7)

    assert (sums.after(2), sums.after(3), sums.after(4), sums.after(3)) == (None, 12, 7, None)

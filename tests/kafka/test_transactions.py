"""Transactions of other people's producers, on a real broker: committed, aborted and open ones.

A marker has an offset and is no record, so nobody waits for it; what is open is there for nobody yet.
"""

from functools import partial
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.kafka.backlog import Backlog
from pipeline.kafka.offsets import Offsets
from pipeline.kafka.spans import spans
from pipeline.kafka.tail import tail
from pipeline.kafka.view import Follower, TopicView
from pipeline.wire.codec import decode, encode
from pipeline.wire.records import RoutingSettings
from tests.kafka.strangers import Transaction, batch, bomb, produce
from tests.waiting import eventually


@pytest.fixture
def kafka(engines):
    return engines.kafka


@pytest.fixture
def topic(kafka):
    """A topic of one partition."""
    name = f"transactions-{uuid4().hex[:12]}"
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)
    return name


@pytest.fixture
def offsets(kafka):
    with Offsets(kafka) as made:
        yield made


def send(kafka, topic, *values):
    producer = Producer({"bootstrap.servers": kafka})
    for value in values:
        producer.produce(topic, value, b"key", partition=0)
    assert producer.flush(30) == 0


def first(offsets, topic, at, end):
    """When the first record at this offset or behind it was published, once the topic ends here.

    A commit returns before its markers are written: until then the topic ends in front of the transaction.
    """
    ends = {(topic, 0): end}
    eventually(lambda: offsets.ends(ends) == ends)
    return offsets.origins({(topic, 0): at}, ends)[topic, 0]


def test_behind_a_committed_transaction_nothing_waits(kafka, topic, offsets):
    """
    ::

        offset  0       1        2        3
                record  record   marker   end
    """
    Transaction(kafka).send(topic, b"1", b"2").commit()

    assert first(offsets, topic, 0, end=3) is not None
    assert first(offsets, topic, 1, end=3) is not None
    assert first(offsets, topic, 2, end=3) is None
    assert offsets.with_records({(topic, 0): 2}, {(topic, 0): 3}) == {(topic, 0): 2}
    assert offsets.with_records({(topic, 0): 1}, {(topic, 0): 3}) == {(topic, 0): 3}

    send(kafka, topic, b"3")
    assert first(offsets, topic, 2, end=4) is not None


def test_an_aborted_transaction_was_never_there(kafka, topic, offsets):
    send(kafka, topic, b"1")
    Transaction(kafka).send(topic, b"2", b"3", b"4").abort()

    assert first(offsets, topic, 1, end=5) is None

    send(kafka, topic, b"5")
    assert first(offsets, topic, 1, end=6) is not None


def test_what_is_open_and_what_is_behind_it_is_not_there_yet(kafka, topic, offsets):
    send(kafka, topic, b"1")
    transaction = Transaction(kafka).send(topic, b"2")
    send(kafka, topic, b"3")
    place = (topic, 0)

    assert first(offsets, topic, 0, end=1) is not None
    assert offsets.appended([place]) == {place: 3}
    with spans(kafka) as reader:
        assert reader.whole(topic) == {place: (0, 1)}
        assert [one.value for one in reader.messages({place: (0, 3)})] == [b"1"]

    transaction.commit()
    assert first(offsets, topic, 3, end=4) is None
    assert [one.value for one in tail(kafka, topic, 10).messages] == [b"3", b"2", b"1"]


def test_a_view_begins_and_follows_past_transactions(kafka, topic):
    """It knows that it has all of it, though its last offset is a marker."""
    settings = [encode(RoutingSettings(number, 100, 1)) for number in range(1, 5)]
    Transaction(kafka).send(topic, settings[0]).commit()
    Transaction(kafka).send(topic, settings[1]).abort()
    follower = Follower(kafka)
    try:
        view = follower.view(TopicView(topic, partial(decode, expected=RoutingSettings)))
        assert view.get("key") == RoutingSettings(1, 100, 1)
        assert view.positions() == {0: 4}

        Transaction(kafka).send(topic, settings[2]).commit()
        eventually(lambda: view.get("key") == RoutingSettings(3, 100, 1))
        eventually(lambda: view.positions() == {0: 6})
        eventually(lambda: view.age_s() < 1)
    finally:
        follower.close()


def test_a_backlog_is_known_past_transactions(kafka, topic):
    Transaction(kafka).send(topic, b"5").abort()
    Transaction(kafka).send(topic, b"7", b"8").commit()
    backlog, place = Backlog(kafka, int), (topic, 0)
    try:
        assert eventually(lambda: backlog.pending({place: 0}, {place: 5}), 30) == 15
    finally:
        backlog.close()


def test_a_header_name_that_is_no_text_is_read_past(kafka, topic, offsets):
    produce(kafka, topic, batch((b"1", [(b"\xff\xfename", b"x")]), (b"2", [("good", b"x")])))

    assert first(offsets, topic, 0, end=2) is not None
    assert [one.value for one in tail(kafka, topic, 10).messages] == [b"2", b"1"]


def test_a_batch_that_inflates_to_a_gigabyte_is_read_past(kafka, topic, offsets):
    """Librdkafka inflates no more zstd than it would receive, and then says so for ever."""
    send(kafka, topic, b"1")
    produce(kafka, topic, bomb(1024))
    send(kafka, topic, b"3")

    assert [one.value for one in tail(kafka, topic, 10).messages] == [b"3", b"1"]

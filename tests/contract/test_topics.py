"""What stages ask of Kafka: the twin in memory, and the real clients, keep to the same.

The clients talk to librdkafka's mock cluster, in this process, and to a real broker where only one has what is
asked for: topics that are not there, limits, compaction.
"""

import asyncio
import random
from functools import partial

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.clock import CLOCK
from pipeline.kafka.memory import MemoryKafka, MemoryOutbox, MemoryView
from pipeline.kafka.outbox import Outbox
from pipeline.kafka.ports import NoSuchTopic, NotDelivered, Outgoing, TooLarge
from pipeline.kafka.spans import spans
from pipeline.kafka.view import Follower, TopicView
from pipeline.wire.codec import decode, encode
from pipeline.wire.records import RoutingSettings
from tests.waiting import eventually_async

PARTITIONS, LARGEST = 4, 2_000
DECODE = partial(decode, expected=RoutingSettings)
KEYS = ("a", "b", "c", "42", "4711", "policy", "")
PLACED = {"a": 0, "b": 0, "c": 2, "42": 0, "4711": 2, "policy": 2, "": 1}
"""Where Java clients put these keys among four partitions; one without bytes is a key, too."""


class Twin:
    """The broker in memory."""

    def __init__(self, topic):
        self.kafka = MemoryKafka({topic: PARTITIONS}, CLOCK, largest={topic: LARGEST})
        self.topic = topic

    def outbox(self):
        return MemoryOutbox(self.kafka)

    async def while_away(self, message):
        self.kafka.away = True
        await self.outbox().send_all([message])

    async def view(self, **how):
        return MemoryView(self.kafka, self.topic, DECODE, **how)

    async def stop(self, view):
        view.close()

    def log(self):
        return [one for place in self.kafka.partitions(self.topic) for one in self.kafka.read(place, 0)]

    async def compact(self):
        self.kafka.compact(self.topic)

    def close(self):
        """Nothing is open."""


class Clients:
    """Our clients on a broker."""

    def __init__(self, bootstrap, topic):
        self.bootstrap, self.topic, self.open, self.followers = bootstrap, topic, [], []

    def outbox(self):
        self.open.append(Outbox(self.bootstrap))
        return self.open[-1]

    async def while_away(self, message):
        self.open.append(Outbox("localhost:1", delivery_timeout_ms=300))
        await self.open[-1].send_all([message])

    async def view(self, **how):
        self.followers.append(Follower(self.bootstrap))
        return await asyncio.to_thread(self.followers[-1].view, TopicView(self.topic, DECODE, **how))

    async def stop(self, view):
        self.followers[-1].close()

    def log(self):
        with spans(self.bootstrap) as reader:
            found = list(reader.messages(reader.whole(self.topic)))
        return sorted(found, key=lambda one: (one.partition, one.offset))

    async def compact(self):
        """The broker does it by itself, of segments that are closed: what is written last stays open."""
        await self.outbox().send_all([message(self, f"{n}", 1) for n in range(100, 140)])
        await eventually_async(lambda: len({one.key for one in self.log()}) == len(self.log()), 90)

    async def close(self):
        for one in self.followers:
            one.close()
        for one in self.open:
            await one.close()


@pytest.fixture(scope="module")
def mock():
    """A producer whose process is also its broker; a topic has four partitions."""
    producer = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})
    (broker,) = producer.list_topics(timeout=10).brokers.values()
    yield f"{broker.host}:{broker.port}"
    producer.flush(1)


ENGINES = pytest.param("kafka", marks=pytest.mark.engines)
everywhere = pytest.mark.parametrize("broker", ["memory", "mock"], indirect=True)
with_a_real_one = pytest.mark.parametrize("broker", ["memory", ENGINES], indirect=True)


@pytest.fixture
async def broker(request):
    """One that has a topic of this test alone."""
    topic = f"topics-{random.getrandbits(48):x}"
    if request.param == "memory":
        yield Twin(topic)
        return
    bootstrap = request.getfixturevalue("mock" if request.param == "mock" else "engines")
    bootstrap = getattr(bootstrap, "kafka", bootstrap)
    if request.param == "kafka":
        configs = {"max.message.bytes": str(LARGEST), "cleanup.policy": "compact", "segment.ms": "100"}
        configs |= {"min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "0"}
        admin = AdminClient({"bootstrap.servers": bootstrap})
        (made,) = admin.create_topics([NewTopic(topic, PARTITIONS, 1, config=configs)]).values()
        await asyncio.to_thread(made.result, 30)
    clients = Clients(bootstrap, topic)
    yield clients
    await clients.close()


def settings(push_below):
    return RoutingSettings(push_below, 100, 1)


def message(broker, key, push_below, **more):
    value = None if push_below is None else encode(settings(push_below))
    return Outgoing(broker.topic, value, key.encode(), **more)


@everywhere
async def test_messages_are_in_the_partition_of_their_key_in_the_order_they_were_sent(broker):
    sent = [message(broker, key, n) for n in range(3) for key in KEYS]

    assert await broker.outbox().send_all(sent) == len(sent)

    log = broker.log()
    assert {one.key.decode(): one.partition for one in log} == PLACED
    for number in range(PARTITIONS):
        mine = [one for one in log if one.partition == number]
        assert [one.offset for one in mine] == list(range(len(mine)))
        wanted = [one for one in sent if PLACED[one.key.decode()] == number]
        assert [(one.key, one.value) for one in mine] == [(one.key, one.value) for one in wanted]


@everywhere
async def test_a_message_goes_as_it_is_to_the_partition_it_names(broker):
    """Headers, tombstones and the broker's time for it."""
    headers = [("ce_id", b"1"), ("ce_id", b"2")]
    begin = CLOCK.now_ms()

    await broker.outbox().send_all([message(broker, "a", None, partition=3, headers=headers)])

    (one,) = broker.log()
    assert (one.topic, one.partition, one.offset, one.key, one.value) == (broker.topic, 3, 0, b"a", None)
    assert list(one.headers) == headers
    assert begin <= one.timestamp_ms <= CLOCK.now_ms()


@everywhere
async def test_a_broker_that_is_away_takes_nothing(broker):
    with pytest.raises(NotDelivered):
        await broker.while_away(message(broker, "a", 1))


@with_a_real_one
async def test_a_topic_that_is_not_there_takes_nothing(broker):
    with pytest.raises(NoSuchTopic):
        await broker.outbox().send_all([Outgoing(f"{broker.topic}-not", b"x", b"k")])


@with_a_real_one
async def test_what_is_larger_than_its_topic_takes_is_refused_and_the_next_one_is_not(broker):
    outbox = broker.outbox()
    large = Outgoing(broker.topic, random.randbytes(2 * LARGEST), b"a")

    with pytest.raises(TooLarge):
        await outbox.send_all([large])
    await outbox.send_all([message(broker, "a", 1)])

    assert [one.value for one in broker.log()] == [encode(settings(1))]


@everywhere
async def test_a_view_knows_what_is_there_when_it_has_begun_and_follows(broker):
    """The newest record of each key, of all partitions; what was taken out is not."""
    outbox = broker.outbox()
    await outbox.send_all([message(broker, *one) for one in (("a", 1), ("b", 2), ("a", 4), ("b", None))])

    view = await broker.view()
    assert ([view.get(key) for key in "abc"], view.values()) == ([settings(4), None, None], [settings(4)])
    assert sum(view.positions().values()) == 4

    await outbox.send_all([message(broker, "a", None), message(broker, "c", 5)])
    await eventually_async(lambda: view.values() == [settings(5)])
    assert sum(view.positions().values()) == 6


@everywhere
async def test_a_view_from_the_end_knows_what_comes_from_now_on(broker):
    gaps, outbox = [], broker.outbox()
    await outbox.send_all([message(broker, "a", 1)])
    view = await broker.view(lost=lambda: gaps.append(1))

    assert view.values() == []
    await outbox.send_all([message(broker, "b", 2)])

    await eventually_async(lambda: view.values() == [settings(2)])
    assert not gaps


@everywhere
async def test_what_a_view_fills_has_each_key_in_order(broker):
    class Heard:
        def __init__(self):
            self.told = []

        def put(self, key, record):
            self.told.append((key, record and record.push_below))

    heard, outbox = Heard(), broker.outbox()
    await outbox.send_all([message(broker, "a", n) for n in range(3)])
    await broker.view(kept=heard)
    await outbox.send_all([message(broker, "a", None)])

    await eventually_async(lambda: len(heard.told) == 4)
    assert heard.told == [(b"a", 0), (b"a", 1), (b"a", 2), (b"a", None)]


@everywhere
async def test_what_cannot_be_read_leaves_what_was_before_it_in_force(broker):
    outbox = broker.outbox()
    await outbox.send_all([message(broker, "a", 1), Outgoing(broker.topic, b"garbage", b"a")])

    view = await broker.view()

    assert view.values() == [settings(1)]
    assert sum(view.positions().values()) == 2


@everywhere
async def test_a_view_is_young_while_it_follows_and_grows_old_when_it_is_closed(broker):
    view = await broker.view()
    assert view.age_s() < 5

    await broker.stop(view)
    before = view.age_s()

    assert await eventually_async(lambda: view.age_s() > before)


@with_a_real_one
async def test_a_view_of_what_was_compacted_knows_the_same(broker):
    """Offsets stay what they were, with holes between them and before the end."""
    outbox = broker.outbox()
    await outbox.send_all([message(broker, "a", n) for n in range(3)] + [message(broker, "b", 7)])
    await outbox.send_all([message(broker, "b", None)])
    before = await broker.view()
    await broker.compact()

    view = await broker.view()

    assert (view.get("a"), view.get("b")) == (settings(2), None)
    assert [one.offset for one in broker.log() if one.key == b"a"] == [2]
    assert await eventually_async(lambda: view.positions() == before.positions())


async def test_a_view_that_was_left_behind_tells_when_records_went_unread():
    """Of the twin, whose views read on when a test says so; of the client see `tests/kafka/test_view.py`."""
    kafka, gaps = MemoryKafka({"t": 1}, CLOCK, at_once=False), []
    view = MemoryView(kafka, "t", DECODE, lost=lambda: gaps.append(1))
    for n in range(3):
        kafka.append(Outgoing("t", encode(settings(n)), b"a"))
    view.follow(1)
    assert (view.values(), view.positions(), gaps) == ([settings(0)], {0: 1}, [])

    kafka.expire("t")
    view.follow()

    assert (view.positions(), gaps) == ({0: 3}, [1])


async def test_a_view_that_has_not_read_on_is_as_old_as_when_it_had_all():
    class Clock:
        now = 100.0

        def now_ms(self):
            return round(1000 * self.now)

        def monotonic_s(self):
            return self.now

    clock = Clock()
    kafka = MemoryKafka({"t": 1}, clock, at_once=False)
    view = MemoryView(kafka, "t", DECODE)
    kafka.append(Outgoing("t", None, b"a"))
    kafka.append(Outgoing("t", None, b"a"))

    clock.now += 3
    view.follow(1)
    assert view.age_s() == 3.0
    view.follow(1)
    assert view.age_s() == 0.0

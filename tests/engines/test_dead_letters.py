"""What cannot be processed is kept, with its bytes and its origin, and holds up nothing behind it."""

import json
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Message

from pipeline.codec import encode
from pipeline.records import PolicySettings, TimelineRequest
from tests.engines import events
from tests.engines.dead_letters import letter_of, letters
from tests.engines.harness import Instance

GARBAGE = {
    "text": b"garbage",
    "nothing": b"",
    "a tombstone": None,
    "half a frame": b"\xc3\x01\x00",
    "an unknown schema": b"\xc3\x01" + b"\x00" * 16,
    "a registry's frame": b"\x00\x00\x00\x00\x01garbage",
    "another record": encode(PolicySettings(1, 2, 3)),
    "a large one": b"x" * 1_000_000,
}

Place = tuple[str, int, int]


def write_garbage(instance: Instance, topic: str) -> dict[Place, bytes | None]:
    """All of it to every partition of a topic; returns what is where."""
    written: dict[Place, bytes | None] = {}

    def landed(_: object, message: Message) -> None:
        written[topic, message.partition(), message.offset()] = message.value()

    for partition in range(instance.topology.topics[topic].partitions):
        for value in GARBAGE.values():
            instance.send(topic, value, b"garbage", partition=partition, on_delivery=landed)
    instance.flush()
    return written


def account(instance: Instance) -> bool:
    (reader,) = events.take(1)
    instance.publish(events.account(reader, "eu"))
    instance.settle()
    return instance.rows("SELECT region FROM reader_state WHERE reader_id = %s", reader) == [("eu",)]


def follow(instance: Instance) -> bool:
    author, reader = events.take(2)
    instance.publish(events.followed(author, reader))
    instance.settle()
    cql = "SELECT author_id FROM following_by_reader WHERE reader_id = %s"
    return instance.rows(cql, reader) == [(author,)]


def post(instance: Instance) -> bool:
    (author,) = events.take(1)
    made = events.post(author)
    instance.publish(made)
    instance.settle()
    return instance.walk(author) == [(made["post_id"], made["body"])]


def activity(instance: Instance) -> bool:
    (reader,) = events.take(1)
    opened = events.opened(reader)
    instance.publish(opened)
    instance.settle()
    cql = "SELECT last_seen FROM reader_state WHERE reader_id = %s"
    return instance.rows(cql, reader) == [(opened["at"],)]


def policy(instance: Instance) -> bool:
    author, reader = events.take(2)
    instance.publish(events.policy("muted", reader_id=reader, author_id=author))
    instance.settle()
    cql = "SELECT other_id, kind FROM relations_by_reader WHERE reader_id = %s"
    return instance.rows(cql, reader) == [(author, "mutes")]


def request(instance: Instance) -> bool:
    since, (reader,) = instance.ends("timeline.replies"), events.take(1)
    asked = TimelineRequest(f"good-{reader}", reader, 5, None, "latest", False, "timeline.replies")
    instance.send("timeline.requests", encode(asked), b"%d" % reader)
    instance.flush()
    instance.settle()
    return [message.key() for message in instance.messages(since)] == [asked.request_id.encode()]


def task(instance: Instance) -> bool:
    author, *readers = events.take(4)
    instance.publish(events.followed(author, *readers))
    instance.settle()
    made = events.post(author)
    instance.publish(made)
    instance.settle()
    return instance.timeline(readers) == {(reader, made["post_id"]) for reader in readers}


@pytest.mark.parametrize(
    ("topic", "a_good_event_is_processed"),
    [
        ("accounts", account),
        ("follows", follow),
        ("posts", post),
        ("activity", activity),
        ("policy", policy),
        ("timeline.requests", request),
        ("fanout.small", task),
    ],
)
def test_garbage_on_a_topic_is_kept_and_what_comes_after_it_is_processed(
    instance: Instance, topic: str, a_good_event_is_processed: Callable[[Instance], bool]
) -> None:
    since = instance.ends("dead.letters")

    written = write_garbage(instance, topic)

    assert a_good_event_is_processed(instance)
    kept = letters(instance, since)
    assert {(one.topic, one.partition, one.offset): one.value for one in kept} == written
    assert {one.key for one in kept} == {b"garbage"}
    assert {one.reason for one in kept} == {"codec"}
    assert all(one.detail for one in kept)


def test_dlq_list_shows_origin_and_reason_of_the_newest(instance: Instance) -> None:
    written = write_garbage(instance, "posts")
    instance.settle()

    shown = json.loads(instance.tideline("dlq", "list", "--json", "--limit", str(len(written))))

    origins = [one["origin"] for one in shown]
    assert {(o["topic"], o["partition"], o["offset"]) for o in origins} == set(written)
    assert {one["reason"] for one in shown} == {"codec"}


@pytest.fixture
def since(instance: Instance) -> Iterator[dict[tuple[str, int], int]]:
    """Where the dead letters of this test begin."""
    yield instance.ends("dead.letters")


@pytest.mark.parametrize("off_ms", [-120_000, 120_000])
def test_a_post_whose_clock_is_two_minutes_off_is_refused(
    instance: Instance, since: dict[tuple[str, int], int], off_ms: int
) -> None:
    (author,) = events.take(1)

    instance.publish(events.post(author, at=events.now() + off_ms))
    instance.settle()

    assert instance.walk(author) == []
    (letter,) = letters(instance, since)
    assert (letter.topic, letter.reason, letter.key) == ("posts", "clock", b"%d" % author)


def test_an_imported_post_may_be_of_last_week(instance: Instance, since: dict[tuple[str, int], int]) -> None:
    (author,) = events.take(1)
    made = events.post(author, at=events.now() - 7 * 86_400_000, imported=True)

    instance.publish(made)
    instance.settle()

    assert instance.walk(author) == [(made["post_id"], made["body"])]
    assert letters(instance, since) == []


def test_nobody_can_write_over_another_authors_post(
    instance: Instance, since: dict[tuple[str, int], int]
) -> None:
    author, thief = events.take(2)
    made = events.post(author, "mine")
    instance.publish(made)
    instance.settle()

    stolen = made | {"author_id": thief, "body": "stolen"}
    instance.publish(stolen, events.edited(stolen, body="changed"), events.deleted(stolen))
    instance.settle()

    assert instance.walk(author) == [(made["post_id"], "mine")]
    assert instance.walk(thief) == []
    assert [letter.reason for letter in letters(instance, since)] == ["owner"] * 3


def test_a_dead_letter_keeps_the_headers_its_message_had(
    instance: Instance, since: dict[tuple[str, int], int]
) -> None:
    headers = [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("mine", b"1")]

    instance.send("posts", b"garbage with headers", b"key", headers=headers)
    instance.flush()

    letter_of(instance, b"garbage with headers", since)
    (message,) = instance.messages(since)
    assert [*message.headers()][: len(headers)] == headers

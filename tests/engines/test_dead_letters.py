"""What cannot be processed is kept, with its bytes and its origin, and holds up nothing behind it."""

import json
import random
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Message, Producer

from pipeline.wire.codec import encode
from pipeline.wire.records import (
    AccountEvent,
    ActivityEvent,
    FollowEvent,
    ModerationEvent,
    PolicyEvent,
    PostEvent,
    RoutingSettings,
    TimelineRequest,
)
from tests.engines import events
from tests.engines.dead_letters import letter_of, letters
from tests.engines.events import Event
from tests.engines.harness import Instance

GARBAGE = {
    "text": b"garbage",
    "nothing": b"",
    "a tombstone": None,
    "half a frame": b"\xc3\x01\x00",
    "an unknown schema": b"\xc3\x01" + b"\x00" * 16,
    "a registry's frame": b"\x00\x00\x00\x00\x01garbage",
    "another record": encode(RoutingSettings(1, 2, 3)),
    "a large one": b"x" * 900_000,
}

INPUTS = {"accounts", "follows", "posts", "activity", "moderation", "policy"}

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


def moderation(instance: Instance) -> bool:
    author, reader = events.take(2)
    instance.publish(events.moderation("muted", reader_id=reader, author_id=author))
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
        ("moderation", moderation),
        ("policy", moderation),
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


@pytest.mark.parametrize("off_ms", [-31 * 86_400_000, 120_000])
def test_a_post_that_is_ahead_or_older_than_the_window_is_refused(
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


@pytest.fixture
def world(instance: Instance) -> tuple[int, int, Event]:
    """An author, a reader who follows, and a post."""
    author, reader = events.take(2)
    made = events.post(author)
    instance.publish(events.followed(author, reader), made)
    instance.settle()
    return author, reader, made


def send_records(instance: Instance, author: int, reader: int, post: int, kind: str, at: int) -> None:
    """One record a topic, of this type and time; None of the types there are: each its own."""
    key = b"%d" % author
    instance.send("accounts", encode(AccountEvent(kind or "updated", reader, "eu", False, at)), key)
    instance.send("follows", encode(FollowEvent(kind or "unfollowed", author, (reader,), at)), key)
    instance.send("posts", encode(PostEvent(kind or "deleted", post, author, at)), key)
    instance.send("activity", encode(ActivityEvent(kind or "opened", reader, at)), key)
    instance.send("moderation", encode(ModerationEvent(kind or "muted", at, reader, author)), key)
    instance.send("policy", encode(PolicyEvent(kind or "muted", at, reader, author)), key)
    instance.flush()


def test_an_event_of_a_type_of_tomorrow_is_kept_and_changes_nothing(
    instance: Instance, since: dict[tuple[str, int], int], world: tuple[int, int, Event]
) -> None:
    author, reader, made = world

    send_records(instance, author, reader, made["post_id"], "archived", events.now())
    instance.settle()

    kept = letters(instance, since)
    assert {one.topic for one in kept} == INPUTS
    assert [one.reason for one in kept] == ["type"] * 6
    assert instance.walk(reader) == [(made["post_id"], made["body"])]


def test_a_time_that_no_table_can_hold_is_kept_and_changes_nothing(
    instance: Instance, since: dict[tuple[str, int], int], world: tuple[int, int, Event]
) -> None:
    author, reader, made = world

    send_records(instance, author, reader, made["post_id"], "", at=2**62)
    instance.settle()

    kept = letters(instance, since)
    assert {one.topic for one in kept} == INPUTS
    assert len(kept) == 6
    assert instance.walk(reader) == [(made["post_id"], made["body"])]


def test_a_follow_of_more_readers_than_a_segment_holds_is_refused(
    instance: Instance, since: dict[tuple[str, int], int]
) -> None:
    author, *readers = events.take(1002)

    instance.send("follows", encode(FollowEvent("followed", author, tuple(readers), events.now())), b"many")
    instance.flush()
    instance.settle()

    assert [one.reason for one in letters(instance, since)] == ["field"]
    assert instance.rows("SELECT followers FROM author_stats WHERE author_id = %s", author) == []


def test_a_message_that_is_small_only_while_compressed_holds_up_nobody(
    instance: Instance, since: dict[tuple[str, int], int]
) -> None:
    fits, noise = bytes(10_000_000), random.Random(1).randbytes(700_000)
    does_not = noise * 8  # zstd sees the repetition, the lz4 of the stages does not
    compressed = {"compression.type": "zstd", "message.max.bytes": 20_000_000, "log_level": 0}
    large = Producer({"bootstrap.servers": instance.kafka, **compressed})
    for partition in range(instance.topology.topics["posts"].partitions):
        large.produce("posts", fits, b"fits", partition=partition)
        large.produce("posts", does_not, b"does not", partition=partition)
        assert large.flush(30) == 0

    assert post(instance)
    kept = letters(instance, since)
    assert {(one.topic, one.partition) for one in kept} == {("posts", partition) for partition in range(4)}
    assert {one.value for one in kept if one.key == b"fits"} == {fits}
    assert {one.value for one in kept if one.key == b"does not"} == {does_not[: 512 * 1024]}
    assert {one.reason for one in kept} == {"codec"}


def test_a_dead_letter_keeps_the_headers_its_message_had(
    instance: Instance, since: dict[tuple[str, int], int]
) -> None:
    headers = [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("mine", b"1")]

    instance.send("posts", b"garbage with headers", b"key", headers=headers)
    instance.flush()

    letter_of(instance, b"garbage with headers", since)
    (message,) = instance.messages(since)
    assert [*message.headers()][: len(headers)] == headers

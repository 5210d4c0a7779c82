"""Asking for a page over Kafka: the same answer as over HTTP."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Message

from pipeline.wire.codec import decode, encode
from pipeline.wire.records import TimelineReply, TimelineRequest
from tests.engines import events
from tests.engines.dead_letters import letter_of
from tests.engines.harness import Instance
from tests.waiting import eventually


@pytest.fixture(scope="module")
def reader(instance: Instance) -> Iterator[int]:
    """A reader with a feed of 12 posts."""
    author, reader = events.take(2)
    posts = [events.post(author, f"post {n}") for n in range(12)]
    instance.publish(events.followed(author, reader), *posts)
    instance.settle()
    yield reader


def ask(instance: Instance, reader: int, **changed: object) -> Message:
    """Send a request for a page of the reader; returns the reply."""
    since = instance.ends("timeline.replies")
    request = request_for(reader, **changed)
    send(instance, request)
    return eventually(lambda: reply_to(instance, request, since), 30)


def request_for(reader: int, **changed: object) -> TimelineRequest:
    """A request of its own id, with these fields changed."""
    fields: dict[str, object] = {
        "request_id": f"ask-{events.take(1)[0]}",
        "reader_id": reader,
        "limit": 5,
        "cursor": None,
        "mode": "latest",
        "explain": True,
        "reply_to": "timeline.replies",
    }
    return TimelineRequest(**(fields | changed))  # type: ignore[arg-type]


def over_kafka(instance: Instance, reader: int, mode: str, cursor: str | None) -> Any:
    """The page in a reply."""
    reply = decode(ask(instance, reader, mode=mode, cursor=cursor).value(), TimelineReply)
    assert reply.status == 200
    return json.loads(reply.body)


def send(instance: Instance, request: TimelineRequest) -> None:
    """Write a request to its topic."""
    instance.send("timeline.requests", encode(request), b"%d" % request.reader_id)
    instance.flush()


def reply_to(
    instance: Instance, request: TimelineRequest, since: dict[tuple[str, int], int]
) -> Message | None:
    """The reply to a request, if it has come since."""
    found = [m for m in instance.messages(since) if m.key() == request.request_id.encode()]
    return found[0] if found else None


@pytest.mark.parametrize("mode", ["latest", "ranked"])
def test_the_pages_over_kafka_are_those_over_http(instance: Instance, reader: int, mode: str) -> None:
    """The first ones but for the moment they are of; those of one session to the last part of a score."""
    session = [over_kafka(instance, reader, mode, None)]
    while (cursor := session[-1]["next_cursor"]) is not None:
        session.append(over_kafka(instance, reader, mode, cursor))
        assert instance.page(reader, limit=5, mode=mode, cursor=cursor) == session[-1]

    first = instance.page(reader, limit=5, mode=mode)
    assert [item["post_id"] for item in first["items"]] == [item["post_id"] for item in session[0]["items"]]
    everything = sorted(post for post, _ in instance.walk(reader))
    assert sorted(int(item["post_id"]) for page in session for item in page["items"]) == everything


def test_a_cursor_from_kafka_goes_on_over_http(instance: Instance, reader: int) -> None:
    first = json.loads(decode(ask(instance, reader).value(), TimelineReply).body)

    second = instance.page(reader, limit=5, cursor=first["next_cursor"])

    assert [item["body"] for item in second["items"]] == [f"post {n}" for n in (6, 5, 4, 3, 2)]


def test_a_request_that_can_never_work_gets_the_same_problem_as_over_http(
    instance: Instance, reader: int
) -> None:
    reply = decode(ask(instance, reader, limit=1_000_000_000).value(), TimelineReply)

    answer = instance.get(f"/v1/readers/{reader}/timeline?limit=1000000000")
    problem = json.loads(reply.body)
    assert problem.pop("request_id") == reply.request_id
    assert answer.body.pop("request_id")
    assert (reply.status, problem) == (answer.status, answer.body)
    assert answer.status == 400


@pytest.mark.parametrize("elsewhere", ["posts", "follows", "dead.letters", "", "timeline.reply"])
def test_a_reply_to_another_topic_is_refused_to_the_dead_letters(
    instance: Instance, reader: int, elsewhere: str
) -> None:
    since = instance.ends("dead.letters", "posts", "follows", "timeline.replies")
    request = request_for(reader, reply_to=elsewhere)

    send(instance, request)

    letter = letter_of(instance, encode(request), since)
    assert letter.reason == "reply_to"
    assert letter.topic == "timeline.requests"
    (told,) = [m for m in instance.messages(since) if m.key() == request.request_id.encode()]
    assert told.topic() == "timeline.replies"
    assert_problem(told, request, "reply_to: must be timeline.replies or begin with it")


def test_a_page_too_large_for_a_message_is_a_problem_and_a_smaller_one_is_answered(
    instance: Instance,
) -> None:
    (author,) = events.take(1)
    instance.publish(*(events.post(author, "x" * 64_000) for _ in range(20)))
    instance.settle()

    large = decode(ask(instance, author, limit=20).value(), TimelineReply)
    small = decode(ask(instance, author, limit=10).value(), TimelineReply)

    assert large.status == 413
    assert json.loads(large.body)["detail"].startswith("limit: ask for fewer: ")
    assert small.status == 200
    assert len(json.loads(small.body)["items"]) == 10


def test_a_reply_topic_that_does_not_exist_holds_up_nobody(instance: Instance, reader: int) -> None:
    since = instance.ends("dead.letters", "timeline.replies")
    request = request_for(reader, reply_to="timeline.replies.of.nobody")

    send(instance, request)

    assert decode(ask(instance, reader).value(), TimelineReply).status == 200
    assert letter_of(instance, encode(request), since).reason == "reply_to"
    told = eventually(lambda: reply_to(instance, request, since), 30)
    assert_problem(told, request, "reply_to: ")


def assert_problem(told: Message, request: TimelineRequest, detail: str) -> None:
    """Whoever looks where replies usually are finds what was wrong."""
    reply = decode(told.value(), TimelineReply)
    assert (reply.request_id, reply.status) == (request.request_id, 400)
    assert json.loads(reply.body)["detail"].startswith(detail)

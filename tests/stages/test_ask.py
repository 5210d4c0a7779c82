"""Asks over Kafka: everybody gets an answer of their own, whatever happens to those of others."""

import json
from types import SimpleNamespace

import pytest

from pipeline.errors import Unavailable, Unprocessable
from pipeline.kafka.emit import Emit
from pipeline.kafka.messages import Delivery, Incoming
from pipeline.kafka.ports import NoSuchTopic, TooLarge
from pipeline.stages import ask as module
from pipeline.stages.ask import Ask
from pipeline.wire.codec import decode, encode
from pipeline.wire.records import TimelineReply, TimelineRequest
from tests.stages.fakes import RecordingOutbox
from tests.twin import Clock

NOW = 1_700_000_000_000


class Topics(RecordingOutbox):
    """Takes what a topic takes; a batch of messages counts as one, as it does for a broker."""

    def __init__(self, **limits):
        super().__init__()
        self.limits = limits

    async def send_all(self, messages):
        messages = list(messages)
        for topic in {message.topic for message in messages}:
            name = topic.rpartition(".")[2]
            if name == "nowhere":
                raise NoSuchTopic(f"{topic}: unknown")
            size = sum(len(message.value) for message in messages if message.topic == topic)
            if size > self.limits.get(name, 1_000_000):
                raise TooLarge(f"{topic}: message size too large")
        return await super().send_all(messages)


def asked(request_id, reader_id, reply_to="timeline.replies"):
    request = TimelineRequest(request_id, reader_id, 20, None, "latest", False, reply_to)
    message = Incoming("timeline.requests", 0, reader_id, b"1", encode(request), (), NOW)
    return Delivery(request, message, NOW)


@pytest.fixture
def answers(monkeypatch):
    """`answers(outbox, asks…)`: the refusals, and what was replied by request id. A reader's page has as many
    bytes as their id; that of reader 13 cannot be read, and for 99 the store is away.
    """
    monkeypatch.setattr(module.render, "page", lambda page, *, explain: page)

    async def page(request):
        if request.reader_id == 13:
            raise Unprocessable("timeline_by_reader: too many tombstones")
        if request.reader_id == 99:
            raise Unavailable("timeline_by_reader: away")
        return bytes(request.reader_id)

    async def answer(outbox, *asks):
        query = SimpleNamespace(page=page, cursor_keys=None)
        refused = await Ask(query, Emit(outbox, "query"), Clock(NOW)).handle(asks)
        replies = {}
        for message in outbox.sent:
            reply = decode(message.value, TimelineReply)
            replies.setdefault(reply.request_id, []).append((message.topic, reply.status))
        return [one.message.offset for one in refused], replies

    return answer


async def test_a_page_that_its_topic_does_not_take_is_told_so_and_those_beside_it_are_answered(answers):
    tiny = "timeline.replies.tiny"
    outbox = Topics(tiny=1000)

    refused, replies = await answers(
        outbox,
        asked("small", 100, tiny),
        asked("large", 5000, tiny),
        asked("other", 300, tiny),
        asked("me", 400),
    )

    assert refused == []
    assert replies == {
        "small": [(tiny, 200)],
        "large": [(tiny, 413)],
        "other": [(tiny, 200)],
        "me": [("timeline.replies", 200)],
    }


async def test_small_replies_that_are_too_large_together_are_sent_one_by_one(answers):
    tiny = "timeline.replies.tiny"

    _, replies = await answers(Topics(tiny=1000), *(asked(f"{n}", 400, tiny) for n in range(5)))

    assert [status for found in replies.values() for _, status in found] == [200] * 5


async def test_who_cannot_be_told_even_that_is_a_dead_letter_and_finds_why_among_all_replies(answers):
    refused, replies = await answers(
        Topics(tiny=10),
        asked("a", 2000, "timeline.replies.tiny"),
        asked("b", 7, "timeline.replies.nowhere"),
        asked("c", 8),
    )

    assert sorted(refused) == [7, 2000]
    assert replies["c"] == [("timeline.replies", 200)]
    assert replies["a"] == [("timeline.replies", 400)]


async def test_a_reader_whose_partition_cannot_be_read_gets_an_error_and_nobody_else_does(answers):
    outbox = Topics()

    refused, replies = await answers(outbox, asked("bad", 13), asked("good", 14))

    assert refused == []
    assert (replies["bad"], replies["good"]) == ([("timeline.replies", 500)], [("timeline.replies", 200)])
    body = json.loads(decode(outbox.sent[0].value, TimelineReply).body)
    assert body["detail"] == "timeline_by_reader: too many tombstones"


async def test_a_store_that_is_away_is_the_loop_s_to_wait_for(answers):
    with pytest.raises(Unavailable):
        await answers(Topics(), asked("away", 99))

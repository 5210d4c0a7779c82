"""Who cannot be answered where they want to be is told why where answers usually are."""

from types import SimpleNamespace

import orjson
import pytest

from pipeline.agents.ask import REPLIES, Ask
from pipeline.codec import decode
from pipeline.kafka.emit import Emit
from pipeline.kafka.messages import Delivery, Incoming
from pipeline.kafka.outbox import NoSuchTopic
from pipeline.records import TimelineReply, TimelineRequest

T = 1_800_000_000_000


class Topics:
    """An outbox that knows some topics."""

    def __init__(self, *known):
        self.known, self.sent = known, []

    async def send_all(self, messages):
        messages = list(messages)
        for message in messages:
            if message.topic not in self.known:
                raise NoSuchTopic(f"there is no topic {message.topic}")
        self.sent += messages
        return len(messages)


async def asked(topics, *reply_to):
    """Requests for too large a page, one for each of these; what was refused, and what was replied."""
    ask = Ask(SimpleNamespace(cursor_keys=[b"k" * 32]), Emit(topics, "query"), lambda: T)
    requests = [
        TimelineRequest(f"ask-{n}", 7, 10**9, None, "latest", False, to) for n, to in enumerate(reply_to)
    ]
    refused = await ask.handle([delivered(n, request) for n, request in enumerate(requests)])
    replies = {m.key.decode(): decode(m.value, TimelineReply) for m in topics.sent if m.topic == REPLIES}
    return refused, {name: orjson.loads(reply.body)["detail"] for name, reply in replies.items()}


def delivered(offset, request):
    return Delivery(request, Incoming("timeline.requests", 0, offset, b"7", b"", (), T), T)


@pytest.mark.parametrize("elsewhere", ["posts", "", "timeline.reply"])
async def test_a_reply_to_a_topic_that_is_none_of_replies(elsewhere):
    refused, told = await asked(Topics(REPLIES, "posts"), elsewhere)

    assert [(one.message.offset, one.reason) for one in refused] == [(0, "reply_to")]
    assert told == {"ask-0": f"reply_to: must be {REPLIES} or begin with it"}


async def test_a_reply_to_a_topic_that_there_is_not_keeps_no_other_from_being_answered():
    refused, told = await asked(Topics(REPLIES), f"{REPLIES}.of.nobody", REPLIES)

    assert [(one.message.offset, one.detail) for one in refused] == [
        (0, f"there is no topic {REPLIES}.of.nobody")
    ]
    assert told["ask-0"] == f"reply_to: there is no topic {REPLIES}.of.nobody"
    assert told["ask-1"].startswith("limit: must be")


async def test_where_there_is_no_topic_for_replies_at_all_the_dead_letter_has_the_reason():
    refused, told = await asked(Topics(), REPLIES, f"{REPLIES}.x")

    assert [one.message.offset for one in refused] == [0, 1]
    assert told == {}

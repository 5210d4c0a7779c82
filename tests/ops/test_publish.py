"""`tideline publish` against a real Kafka: what is good arrives, what is not is named."""

import json
import random
import signal
from itertools import count

import pytest

from pipeline.domain.admission import ClockLimits
from pipeline.domain.snowflake import first_id
from pipeline.kafka.outbox import Outbox
from pipeline.ops.lines import Line
from pipeline.ops.publish import MAX_LEAD_MS, LineBatch, Times, batch_of, deliver
from pipeline.wire.codec import decode
from pipeline.wire.headers import origin_ts
from pipeline.wire.records import ActivityEvent, PostEvent
from tests.waiting import eventually

T = 1_700_000_000_000  # long ago: imported
author_ids = count(random.getrandbits(60))  # the broker is shared: authors of this test alone


def post(author_id, **changed):
    return {
        "topic": "posts",
        "type": "published",
        "author_id": author_id,
        "created_at": T,
        "body": "hello",
        "imported": True,
        **changed,
    }


def by(author_id, messages):
    return [message for message in messages if message.key() == b"%d" % author_id]


def write(path, *events):
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return str(path)


def test_one_bad_line_in_a_thousand_is_named_and_999_are_sent(tideline, tap, tmp_path):
    author, posts = next(author_ids), tap("posts")
    events = [post(author, created_at=T + number) for number in range(1000)]
    events[499]["visibility"] = "friends"

    command = tideline("publish", write(tmp_path / "events.jsonl", *events), "--json")
    out, err = command.communicate()

    arrived = by(author, posts.messages())
    assert [decode(m.value(), PostEvent).at - T for m in arrived] == [n for n in range(1000) if n != 499]
    assert "line 500: visibility: must be one of public, followers, private" in err.splitlines()
    assert "sent 999, refused 1" in err
    told = sorted(map(json.loads, out.splitlines()), key=lambda each: each["line"])
    ids = [str(decode(m.value(), PostEvent).post_id) for m in arrived]
    assert [each["line"] for each in told] == list(range(1, 1001))
    refused = told.pop(499)
    assert refused == {
        "line": 500,
        "field": "visibility",
        "reason": "must be one of public, followers, private",
    }
    assert [each["post_id"] for each in told] == ids
    assert told[0] == {"line": 1, "topic": "posts", "type": "published", "post_id": ids[0]}
    assert command.returncode == 1


def test_a_line_published_twice_is_one_post(tideline, tap, tmp_path):
    """Same post_id, same bytes, same CloudEvents id: every stage and subscriber can tell."""
    author, posts = next(author_ids), tap("posts")
    file = write(tmp_path / "events.jsonl", post(author), post(author))

    for _ in range(2):
        command = tideline("publish", file)
        command.communicate()
        assert command.returncode == 0

    arrived = by(author, posts.messages())
    assert len(arrived) == 4
    assert len({m.value() for m in arrived}) == 1
    assert len({dict(m.headers())["ce_id"] for m in arrived}) == 1


def test_a_message_says_what_it_is_and_when_it_was_published(tideline, tap, tmp_path):
    """CloudEvents in binary mode; `origin_ts` is the time of the publish, not that of the event."""
    author, posts = next(author_ids), tap("posts")

    tideline("publish", write(tmp_path / "events.jsonl", post(author, post_id=first_id(T) + 5))).communicate()

    (message,) = by(author, posts.messages())
    headers = dict(message.headers())
    _, broker_time = message.timestamp()
    assert headers.pop("origin_ts").isdigit()
    assert abs(origin_ts(message.headers(), 0) - broker_time) < 10_000
    assert headers == {
        "ce_specversion": b"1.0",
        "ce_id": b"posts:%d:published:%d:%d" % (author, T, first_id(T) + 5),
        "ce_type": b"io.tideline.posts.published",
        "ce_source": b"tideline/publish",
        "ce_time": b"2023-11-14T22:13:20.000Z",
    }


def test_standard_input_with_a_default_topic_and_no_last_line_end(tideline, tap):
    reader, activity = next(author_ids), tap("activity")
    lines = [json.dumps({"type": "opened", "reader_id": reader, "at": T + n}) for n in range(3)]

    command = tideline("publish", "-", "--topic", "activity")
    command.communicate("\r\n\n".join(lines))

    assert [decode(m.value(), ActivityEvent).at for m in by(reader, activity.messages())] == [T, T + 1, T + 2]
    assert command.returncode == 0


def test_a_line_over_1_mib_is_refused_with_its_number_and_the_rest_goes_on(tideline, tap, tmp_path):
    author, posts = next(author_ids), tap("posts")
    longest = 1024 * 1024
    events = [json.dumps(post(author, body=str(number))) for number in range(4)]
    lines = [events[0], events[1].ljust(longest), events[2].ljust(longest + 1), events[3]]
    (tmp_path / "events.jsonl").write_text("\n".join(lines) + "\n")

    command = tideline("publish", str(tmp_path / "events.jsonl"))
    _, err = command.communicate()

    assert [decode(m.value(), PostEvent).body for m in by(author, posts.messages())] == ["0", "1", "3"]
    assert "line 3: longer than 1048576 bytes" in err.splitlines()
    assert command.returncode == 1


def test_events_of_one_key_arrive_in_the_order_of_their_lines(tideline, tap, tmp_path):
    """Across batches, of which several are in flight."""
    author, posts = next(author_ids), tap("posts")
    events = (post(author, created_at=T + number, body="x" * 200) for number in range(20_000))

    tideline("publish", write(tmp_path / "events.jsonl", *events)).communicate()

    arrived = [decode(m.value(), PostEvent).at - T for m in by(author, posts.messages())]
    assert arrived == list(range(20_000))


def test_a_pipe_that_stays_open_holds_up_nothing(tideline, tap):
    """A line is sent when it comes, not when the pipe is closed or a batch is full."""
    author, posts = next(author_ids), tap("posts")
    command = tideline("publish", "-")

    command.stdin.write(json.dumps(post(author)) + "\n")
    command.stdin.flush()

    eventually(lambda: len(by(author, posts.messages())) == 1)
    assert command.poll() is None
    command.communicate()
    assert command.returncode == 0


def test_ctrl_c_ends_it_while_a_pipe_is_silent(tideline, tap):
    author, posts = next(author_ids), tap("posts")
    command = tideline("publish", "-")
    command.stdin.write(json.dumps(post(author)) + "\n")
    command.stdin.flush()
    eventually(lambda: by(author, posts.messages()))

    command.send_signal(signal.SIGINT)

    assert eventually(lambda: command.poll() is not None)
    assert command.returncode == 130
    assert "Traceback" not in command.stderr.read()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["publish", "/nowhere/events.jsonl"], 1, "error: /nowhere/events.jsonl: No such file or directory"),
        (["publish", "/"], 1, "error: /: Is a directory"),
        (["publish", "-", "--topic", "fanout.small"], 2, "must be one of accounts, follows, posts"),
        (["publish"], 2, "Missing argument"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(tideline, arguments, code, said):
    command = tideline(*arguments)
    out, err = command.communicate()

    assert said in err
    assert "Traceback" not in err
    assert (command.returncode, out) == (code, "")


async def test_what_the_broker_does_not_acknowledge_is_reported_and_ends_the_run(engines):
    """Without a broker; later batches are not tried, and nothing counts as sent."""
    asked = []

    async def batches():
        for number in range(1, 100):
            asked.append(number)
            line = Line(number, json.dumps(post(next(author_ids))).encode())
            yield batch_of([line], default_topic=None, source="test", now_ms=T)

    async with Outbox("127.0.0.1:1", delivery_timeout_ms=300) as outbox:
        report = await deliver(batches(), outbox, refused=lambda _: None, progress=lambda _: None)

    assert report.sent == 0
    assert report.undelivered.startswith("from line 1 on: posts: not delivered")
    assert not report.complete
    assert len(asked) < 20


async def test_a_report_keeps_the_first_1000_refusals_and_counts_them_all(engines):
    told = []

    async def batches():
        for start in range(0, 1500, 500):
            lines = [Line(start + n + 1, b"{}") for n in range(500)]
            yield batch_of(lines, default_topic=None, source="test", now_ms=T)

    async with Outbox(engines.kafka) as outbox:
        report = await deliver(batches(), outbox, refused=told.append, progress=lambda _: None)

    assert (report.refused, len(told)) == (1500, 1500)
    assert [refusal.line for refusal in report.refusals] == list(range(1, 1001))


def test_each_post_published_is_told_with_its_id(tideline, tap):
    """Posts without a time, too; what is no new post is not told."""
    author, posts = next(author_ids), tap("posts")
    said = {"topic": "posts", "type": "published", "author_id": author, "body": "hello"}
    edit = {"topic": "posts", "type": "edited", "author_id": author, "post_id": 5, "body": "x"}

    command = tideline("publish", "-")
    out, _ = command.communicate("".join(json.dumps(each) + "\n" for each in (said, edit, said)))

    first, _, third = (decode(m.value(), PostEvent).post_id for m in by(author, posts.messages()))
    assert out.splitlines() == [f"line 1: post {first}", f"line 3: post {third}"]


def untimed(body):
    return json.dumps({"topic": "posts", "type": "published", "author_id": 9, "body": body}).encode()


def records(batch):
    return [decode(message.value, PostEvent) for message in batch.messages]


def test_posts_without_a_time_are_of_now_in_the_order_of_their_lines():
    """Equal ones are posts of their own, whatever batch they are in."""
    times = Times()
    lines = [Line(number, untimed(body)) for number, body in enumerate("aab", 1)]

    both = [
        batch_of(lines, default_topic=None, source="test", now_ms=T, times=times),
        batch_of(lines, default_topic=None, source="test", now_ms=T, times=times),
    ]

    posts = [record for batch in both for record in records(batch)]
    assert [post.at - T for post in posts] == [0, 1, 2, 3, 4, 5]
    assert [post.post_id for post in posts] == sorted({post.post_id for post in posts})
    assert [one.post_id for batch in both for one in batch.events] == [post.post_id for post in posts]


def test_a_line_with_the_old_name_of_a_topic_goes_to_the_new_one_and_says_so():
    said = {"topic": "policy", "type": "suspended", "author_id": 9, "at": T}

    batch = batch_of([Line(1, json.dumps(said).encode())], default_topic=None, source="test", now_ms=T)

    assert [message.topic for message in batch.messages] == ["moderation"]
    assert [(event.topic, event.type) for event in batch.events] == [("moderation", "suspended")]


def test_times_that_are_made_do_not_run_ahead_of_the_clock():
    """More than any stage takes as a time ahead of its own."""
    lines = [Line(number, untimed(str(number))) for number in range(2000)]

    batch = batch_of(lines, default_topic=None, source="test", now_ms=T)

    assert max(record.at for record in records(batch)) == T + MAX_LEAD_MS
    assert len({record.post_id for record in records(batch)}) == 2000


WINDOW = 30 * 86_400_000


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("created_at", {"created_at": T + 1001}),
        (None, {"created_at": T + 1000}),
        (None, {"created_at": T - WINDOW}),
        ("post_id", {"created_at": T - WINDOW - 1}),
        (None, {"created_at": T - WINDOW - 1, "imported": True}),
        ("created_at", {"created_at": T - 120_000, "post_id": first_id(T)}),
    ],
)
def test_what_stages_would_refuse_for_its_time_is_refused_here(field, changed):
    """At the limits of what they take; a post from a queue that was drained is taken."""
    event = {**post(9), "imported": False, **changed}
    lines = [Line(1, json.dumps(event).encode())]

    batch = batch_of(
        lines,
        default_topic=None,
        source="test",
        now_ms=T,
        limits=ClockLimits(ahead_ms=1000, window_ms=WINDOW),
    )

    assert [refusal.field for refusal in batch.refusals] == ([field] if field else [])
    assert len(batch.messages) == (field is None)


def test_a_batch_is_made_of_its_lines():
    lines = [Line(7, b""), Line(8, b"  \r"), Line(9, b"nonsense"), Line(10, json.dumps(post(9)).encode())]

    batch = batch_of(lines, default_topic=None, source="test", now_ms=T)

    assert isinstance(batch, LineBatch)
    assert (batch.first_line, batch.lines, len(batch.messages)) == (7, 1, 1)
    (refusal,) = batch.refusals
    assert str(refusal).startswith("line 9: not JSON: ")

"""`tideline dlq` on a real Kafka: which letters are open, what they say, and replaying them once."""

import asyncio
import json
import time
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.config.names import HOME
from pipeline.domain.snowflake import first_id
from pipeline.kafka.dead_letters import dead_letter
from pipeline.ops import dead_letters
from pipeline.ops.dead_letters_again import LetterFilter, again
from pipeline.wire.codec import encode
from pipeline.wire.records import LetterDone, PostEvent
from tests.ops.letters import CAME, refused

TOPICS = [("dead.letters", 4, 1), ("dead.letters.done", 1, 1), ("posts", 4, 1), ("accounts.erased", 1, 1)]


@pytest.fixture
def keep(engines):
    """`keep(refused, …)`: as a stage keeps them, one after the other, in partitions 0, 1, 0 …"""
    admin = AdminClient({"bootstrap.servers": engines.kafka})
    for one in admin.create_topics([NewTopic(*topic) for topic in TOPICS]).values():
        one.exception(30)  # somebody may have been faster
    producer = Producer({"bootstrap.servers": engines.kafka})

    def send(*letters):
        for number, letter in enumerate(map(dead_letter, letters)):
            producer.produce(
                letter.topic,
                letter.value,
                letter.key,
                number % 2,
                headers=list(letter.headers),
                timestamp=time.time_ns() // 1_000_000 + number,  # none at the same moment as another
            )
            assert producer.flush(30) == 0

    return send


def test_the_newest_come_first_from_all_partitions(engines, keep):
    mark = uuid4().bytes
    keep(*(refused(mark + b"%d" % number) for number in range(5)))

    newest = dead_letters.newest(engines.kafka, 3)

    assert [letter.kept.value for letter in newest.letters] == [mark + b"4", mark + b"3", mark + b"2"]
    assert newest.total >= 5


def test_a_letter_says_why_and_where_it_came_from(engines, keep):
    keep(refused(b"\x00garbage", detail="not Avro: first bytes 00", offset=78))

    (letter,) = dead_letters.newest(engines.kafka, 1).letters

    document = letter.document()
    assert (document["reason"], document["detail"]) == ("codec", "not Avro: first bytes 00")
    assert document["origin"] == {"topic": "posts", "partition": 2, "offset": 78}
    assert (document["key"], document["bytes"], document["preview"]) == ("k", 8, "\\x00garbage")


def test_a_long_message_is_cut_in_the_preview(engines, keep):
    keep(refused(b"x" * 5000))

    (letter,) = dead_letters.newest(engines.kafka, 1).letters

    assert letter.preview == "x" * 32 + "…"
    assert len(letter.kept.value) == 5000


def test_what_has_no_origin_is_listed_all_the_same(engines, keep):
    """Anybody can write to a topic."""
    keep(refused(b"a"))
    producer = Producer({"bootstrap.servers": engines.kafka})
    producer.produce("dead.letters", None, partition=3)
    assert producer.flush(30) == 0

    letter = dead_letters.newest(engines.kafka, 1).letters[0]

    assert letter.document()["origin"] == {"topic": "", "partition": None, "offset": None}
    assert (letter.origin, letter.kept.value) == (None, None)


def test_the_command_prints_them_as_json(keep, tideline):
    keep(refused(b"for the command", reason="clock"))

    command = tideline("dlq", "list", "--limit", "1", "--json")
    out, _ = command.communicate()

    assert [(row["reason"], row["preview"]) for row in json.loads(out)] == [("clock", "for the command")]
    assert command.returncode == 0


def test_those_that_are_done_are_left_out_however_many_they_are(engines, keep):
    """The newest that are open lie behind more of the others than anybody asked for."""
    mark = uuid4().bytes
    keep(*(refused(mark, reason=mark.hex(), offset=number) for number in range(40)))
    newest = dead_letters.newest(engines.kafka, 37).letters
    dropped = LetterFilter(tuple(letter.id for letter in newest))

    async def drop(actor, letters):
        return await actor.drop(letters, "a test")

    asyncio.run(again(engines.kafka, HOME, dropped, drop, execute=True, now_ms=lambda: CAME))

    left = [one for one in dead_letters.newest(engines.kafka, 5).letters if one.reason == mark.hex()]
    assert [one.origin.offset for one in left] == [2, 1, 0]
    every = dead_letters.newest(engines.kafka, 5, every=True)
    assert [one.state for one in every.letters] == ["dropped"] * 5
    assert every.done >= 37


def test_another_letter_at_the_place_of_one_that_is_done_is_open(engines, keep):
    """The topic was made anew: what is noted is about a letter of another time."""
    keep(refused(b"first"))
    (letter,) = dead_letters.newest(engines.kafka, 1).letters
    stale = encode(LetterDone("replayed", "", "operator", 1, letter.kept.timestamp_ms - 1))
    producer = Producer({"bootstrap.servers": engines.kafka})
    for key, value in ((letter.id, stale), (letter.id, b"garbage"), ("garbage", stale)):
        producer.produce("dead.letters.done", value, key)
    assert producer.flush(30) == 0

    assert dead_letters.newest(engines.kafka, 1).letters[0].state == "open"


def test_show_prints_everything(keep, tideline):
    post = encode(PostEvent("published", 7, 8, 9, body="words"))
    keep(refused(post, reason="KeyError", detail="'x'"), refused(b"\x00garbage\xff"))
    (garbage, good) = json.loads(tideline("dlq", "list", "--limit", "2", "--json").communicate()[0])

    shown = json.loads(tideline("dlq", "show", good["id"], "--json").communicate()[0])
    text, _ = tideline("dlq", "show", good["id"]).communicate()
    raw, _ = tideline("dlq", "show", str(garbage["partition"]), str(garbage["offset"])).communicate()

    assert (shown["record"]["body"], shown["hex"], shown["came_at"]) == ("words", post.hex(), CAME)
    assert shown["headers"] == {"origin_ts": str(CAME)}
    assert "KeyError: 'x'" in text
    assert '"body": "words"' in text
    assert "000000  00 67 61 72 62 61 67 65 ff" in raw
    assert ".garbage." in raw
    assert "not Avro" in raw


def test_replay_is_a_dry_run_then_acts_once(engines, keep, tideline, tap):
    """Sent to where it came from, and not a second time."""
    mark, posts = uuid4().hex, tap("posts")
    post = encode(PostEvent("published", first_id(CAME), 8, CAME, body=mark))
    keep(refused(post, reason=mark), refused(post, reason="other"))

    told = []
    for options in ([], ["--execute"], ["--execute"]):
        out, err = tideline("dlq", "replay", "--reason", mark, "--json", *options).communicate()
        told.append((json.loads(out), err))

    (said, dry), (done, _), (again, _) = told
    assert (said["executed"], len(said["letters"])) == (False, 1)
    assert "with --execute" in dry
    assert (done["letters"], done["groups"]) == (said["letters"], said["groups"])
    assert (again["letters"], again["already_done"]) == ([], 1)
    (message,) = posts.messages()
    assert (message.partition(), message.key(), message.value()) == (2, b"k", post)
    listed = tideline("dlq", "list", "--limit", "1000", "--json").communicate()[0]
    assert mark not in {one["reason"] for one in json.loads(listed)}


def test_drop_needs_a_reason_and_execute(keep, tideline):
    keep(refused(b"to be dropped", reason=uuid4().hex))
    (letter,) = json.loads(tideline("dlq", "list", "--limit", "1", "--json").communicate()[0])

    without = tideline("dlq", "drop", letter["id"])
    without.communicate()
    assert without.returncode == 2
    assert "dry run" in tideline("dlq", "drop", letter["id"], "--reason", "a test").communicate()[1]
    assert tideline("dlq", "drop", letter["id"], "--reason", "a test", "--execute").wait(60) == 0
    shown = json.loads(tideline("dlq", "show", letter["id"], "--json").communicate()[0])
    assert (shown["state"], shown["done"]["reason"]) == ("dropped", "a test")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["replay"], 2, "either IDs"),
        (["replay", "--all", "--reason", "x"], 2, "either IDs"),
        (["replay", "0@0", "--all"], 2, "either IDs"),
        (["replay", "0@999999"], 1, "hint: `tideline dlq list --all`"),
        (["show", "nonsense"], 1, "PARTITION@OFFSET"),
        (["show", "9", "0"], 1, "no such dead letter"),
        (["show", "0", "0", "0"], 2, "PARTITION OFFSET"),
    ],
)
def test_what_is_no_letter_is_an_error_with_a_hint(keep, tideline, arguments, code, said):
    command = tideline("dlq", *arguments, TERMINAL_WIDTH="200")

    _, err = command.communicate()

    assert command.returncode == code
    assert said in err
    assert "Traceback" not in err

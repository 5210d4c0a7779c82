"""`tideline dlq list` on a real Kafka: the newest first, with reason, origin and how the bytes begin."""

import json
import time
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.kafka.dead_letters import dead_letter
from pipeline.kafka.messages import Incoming, Refused
from pipeline.ops import dead_letters


def refused(value, reason="codec", detail="not Avro", topic="posts", partition=2, offset=77):
    message = Incoming(topic, partition, offset, b"k", value, [("origin_ts", b"5")], 5)
    return Refused(message, reason, detail)


@pytest.fixture
def keep(engines):
    """`keep(refused, …)`: as a stage keeps them, one after the other, in partitions 0, 1, 0 …"""
    admin = AdminClient({"bootstrap.servers": engines.kafka})
    topic = NewTopic("dead.letters", 4, 1)
    admin.create_topics([topic])["dead.letters"].exception(30)  # somebody may have been faster
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

    assert [letter.value for letter in newest.letters] == [mark + b"4", mark + b"3", mark + b"2"]
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
    assert len(letter.value) == 5000


def test_what_has_no_origin_is_listed_all_the_same(engines, keep):
    """Anybody can write to a topic."""
    keep(refused(b"a"))
    producer = Producer({"bootstrap.servers": engines.kafka})
    producer.produce("dead.letters", None, partition=3)
    assert producer.flush(30) == 0

    letter = dead_letters.newest(engines.kafka, 1).letters[0]

    assert letter.document()["origin"] == {"topic": "", "partition": None, "offset": None}
    assert letter.value == b""


def test_the_command_prints_them_as_json(keep, tideline):
    keep(refused(b"for the command", reason="clock"))

    command = tideline("dlq", "list", "--limit", "1", "--json")
    out, _ = command.communicate()

    assert [(row["reason"], row["preview"]) for row in json.loads(out)] == [("clock", "for the command")]
    assert command.returncode == 0

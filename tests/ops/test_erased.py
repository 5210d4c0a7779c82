"""What a scan takes for a trace of an account, and when it says that one goes by itself."""

from dataclasses import asdict

import pytest

from pipeline import topology
from pipeline.kafka.dead_letters import dead_letter
from pipeline.kafka.messages import Incoming
from pipeline.ops.erased import Left, Remnant, Sought, _Found, _names
from pipeline.topology import TopicSpec
from pipeline.wire.codec import encode
from pipeline.wire.records import Containment, FollowEvent, ModerationEvent, PageChange, PostEvent
from tests.ops.letters import refused

GONE, TEXT = 7_777_777, "their words"
SOUGHT = Sought(GONE, [TEXT])
AT = 1_700_000_000_000


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"reader_id": GONE, "at": 1}, True),
        ({"author_id": GONE}, True),
        ({"other_id": GONE, "kind": "blocks"}, True),
        ({"reader_id": 8, "at": GONE}, False),
        ({"post_id": GONE}, False),
        ({"body": f"so {TEXT}!"}, True),
        ({"media": f'[{{"alt": "{TEXT}"}}]'}, True),
        ({"body": f"as {GONE} said"}, True),
        ({"body": f"as 1{GONE} said"}, False),
        ({"taken_down": {"eu"}, "body": None, "sketch": b"\x00\x01"}, False),
        ({"taken_down": {TEXT}}, True),
    ],
)
def test_a_row_names_an_account_in_columns_of_accounts_or_in_text(row, found):
    assert SOUGHT.in_row(row) is found


def test_a_small_id_is_no_word_in_a_text():
    """Every other text has a 7 in it."""
    assert not Sought(7).in_row({"body": "7 of 7", "at": 7})
    assert Sought(7).in_row({"reader_id": 7})


@pytest.mark.parametrize(
    ("topic", "key", "record", "found"),
    [
        ("follows", "9", FollowEvent("followed", 9, (8, GONE), 1), True),
        ("follows", "9", FollowEvent("followed", 9, (8,), 1), False),
        ("posts", "8", PostEvent("published", 1, 8, 1, body=TEXT), True),
        ("posts", "8", PostEvent("published", 1, 8, 1, media=({"alt": TEXT},)), True),
        ("moderation", "8", ModerationEvent("muted", 1, 8, GONE), True),
        ("page.changes", "reader", PageChange("reader", (1, GONE), 1), True),
        (
            "containment",
            f"operator/pull/{GONE}",
            Containment("pull", str(GONE), "pull", 0, "", "operator", 1, 0),
            True,
        ),
    ],
)
def test_a_message_names_an_account_by_its_key_or_its_record(topic, key, record, found):
    message = Incoming(topic, 0, 1, key.encode(), encode(record), [], AT)

    assert _names(SOUGHT, topic, message, topology.load()) is found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (encode(PostEvent("shouted", 1, GONE, 1)), True),
        (encode(PostEvent("shouted", 1, 8, 1, body=TEXT)), True),
        (encode(PostEvent("shouted", 1, 8, 1)), False),
        (b'{"author_id": 7777777}', True),
        (TEXT.encode() + b"\xff", True),
        (b"\xff", False),
    ],
)
def test_a_dead_letter_is_read_as_the_message_it_was(value, found):
    letter = dead_letter(refused(value=value))
    message = Incoming("dead.letters", 0, 1, letter.key, letter.value, list(letter.headers), AT)

    assert _names(SOUGHT, "dead.letters", message, topology.load()) is found


def told(configs, *messages):
    """What is told of a topic with these (key, time, hit)."""
    found = _Found(TopicSpec(name="t", partitions=1, replicas=1, configs=configs))
    for key, at, hit in messages:
        found.add(Incoming("t", 0, 0, key, b"", [], at), hit)
    return [asdict(trace) for trace in found.traces()]


def test_what_a_topic_keeps_for_a_time_goes_by_then():
    messages = (b"1", AT, True), (b"2", AT + 5, True), (b"3", AT + 9, False)

    [one] = told({"retention.ms": "1000"}, *messages)
    assert (one["number"], one["stays"], one["goes_ms"]) == (2, False, AT + 1005)
    [one] = told({}, *messages)
    assert (one["stays"], one["goes_ms"]) == (False, AT + 5 + 604_800_000)
    [one] = told({"retention.ms": "-1"}, *messages)
    assert (one["stays"], one["goes_ms"]) == (True, None)
    assert told({"retention.ms": "1000"}, (b"1", AT, False)) == []


def test_of_a_compacted_topic_only_the_newest_of_each_key_stays():
    compacted = {"cleanup.policy": "compact"}

    [one] = told(compacted, (b"1", AT, True), (b"1", AT + 1, False))
    assert (one["stays"], one["goes"]) == (False, "with the next compaction")
    [one] = told(compacted, (b"1", AT, True), (b"2", AT + 1, False))
    assert one["stays"]


def test_a_scan_is_clean_when_everything_goes_by_itself():
    goes, stays = Remnant("t", 1, False, "with its retention", 5), Remnant("u", 1, True, "")

    assert Left(True, "", [goes]).clean
    assert not Left(True, "", [goes, stays]).clean

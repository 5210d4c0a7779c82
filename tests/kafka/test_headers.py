"""The headers of every message, and how little those of strangers are trusted."""

import pytest

from pipeline.wire.headers import (
    appended_at,
    carry,
    claimed_times,
    cloud_event,
    entered_at,
    origin_ts,
    producer,
    published,
    rfc3339,
)

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_message_is_a_cloud_event_in_binary_mode():
    assert cloud_event(
        event_id="posts:9:5",
        event_type="io.tideline.posts.published",
        source="tideline/publish",
        at_ms=1_800_000_000_007,
        carried=published(1_800_000_000_100, TRACE),
    ) == [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"posts:9:5"),
        ("ce_type", b"io.tideline.posts.published"),
        ("ce_source", b"tideline/publish"),
        ("ce_time", b"2027-01-15T08:00:00.007Z"),
        ("origin_ts", b"1800000000100"),
        ("traceparent", TRACE),
    ]


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (946_684_800_999, "2000-01-01T00:00:00.999Z"),
        (7_258_118_399_999, "2199-12-31T23:59:59.999Z"),
    ],
)
def test_times_are_rfc_3339_to_the_millisecond(at_ms, text):
    assert rfc3339(at_ms) == text


def test_only_publish_time_and_trace_cross_a_hop():
    headers = [
        ("ce_id", b"x"),
        ("origin_ts", b"5"),
        ("secret", b"x"),
        ("traceparent", TRACE),
        ("origin_ts", b"6"),
    ]

    assert carry(headers) == [("origin_ts", b"5"), ("traceparent", TRACE)]
    assert carry(None) == carry([]) == carry([("origin_ts", None)]) == []


@pytest.mark.parametrize("value", [b"0", b"1800000000100", b"9999999999999"])
def test_the_publish_time_is_read_from_its_header(value):
    assert origin_ts([("origin_ts", value)], 7) == int(value)


@pytest.mark.parametrize(
    "value", [None, b"", b"-1", b"1.5", b" 1", b"1e3", b"x", "٣".encode(), b"10000000000000", b"9" * 5000]
)
def test_what_is_no_time_gives_the_default(value):
    assert origin_ts([("origin_ts", value)], 7) == 7
    assert origin_ts(None, 7) == 7


@pytest.mark.parametrize(
    ("said", "time"), [(b"4", 4), (b"7", 7), (b"8", 7), (b"-1", 7), (b"x", 7), (b"", 7), (None, 7)]
)
def test_a_message_says_itself_older_than_the_broker_has_it_and_never_newer(said, time):
    assert appended_at([("a", b"b"), ("tideline_appended_at", said)], 7) == time
    assert appended_at([("tideline_appended_at", said)] * 2, 7) == time


@pytest.mark.parametrize(("said", "time"), [(b"4", 4), (b"8", 8), (b"-1", 7), (b"x", 7), (None, 7)])
def test_when_a_path_began_is_believed_on_own_topics_alone(said, time):
    assert entered_at([("a", b"b"), ("tideline_entered_at", said)], 7, own=True) == time
    assert entered_at([("tideline_entered_at", said)], 7, own=False) == 7
    assert entered_at([("origin_ts", b"3")], 7, own=True) == 7


@pytest.mark.parametrize(
    ("name", "value", "claimed"),
    [
        ("origin_ts", b"1800000000", [1_800_000_000]),
        ("origin_ts", b"1800000000000000", [1_800_000_000_000_000]),
        ("origin_ts", b"9" * 19, [9_999_999_999_999_999_999]),
        ("origin_ts", b"9" * 20, []),
        ("origin_ts", b"1e3", []),
        ("origin_ts", "٣".encode(), []),
        ("ce_time", b"2027-01-15T08:00:00.007Z", [1_800_000_000_007]),
        ("ce_time", b"2027-01-15T09:00:00.007+01:00", [1_800_000_000_007]),
        ("ce_time", b"2027-01-15T08:00:00", [1_800_000_000_000]),
        ("ce_time", b"9999-12-31T23:59:59-23:59", [253_402_387_139_000]),
        ("ce_time", b"0001-01-01T00:00:00+23:59", [-62_135_683_140_000]),
        ("ce_time", b"58874-01-15T08:00:00Z", []),
        ("ce_time", b"soon", []),
        ("ce_time", b"\xff", []),
        ("ce_time", b"", []),
        ("ce_time", b"2" * 5000, []),
        ("ce_times", b"2027-01-15T08:00:00Z", []),
    ],
)
def test_a_time_in_a_header_is_a_claim_and_what_is_none_claims_nothing(name, value, claimed):
    """Whatever the header holds: nothing raises."""
    assert [at for _, at in claimed_times([(name, value), (name, None)])] == claimed
    assert [*claimed_times(None)] == []


def test_a_message_that_does_not_say_is_of_the_brokers_time():
    assert appended_at([("origin_ts", b"3")], 7) == appended_at([], 7) == appended_at(None, 7) == 7


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (b"newsroom", "newsroom"),
        (b"n" * 200, "n" * 200),
        (b"n" * 201, ""),
        (b"\xff", "\N{REPLACEMENT CHARACTER}"),
        (b"", ""),
        (None, ""),
        (b"tideline", ""),  # ourselves: what a stranger says must not slow every tier
        (b"tideline/publish", "tideline/publish"),
    ],
)
def test_a_producer_is_who_it_says_unless_it_says_that_it_is_us(source, name):
    assert producer([("ce_id", b"1"), ("ce_source", source)]) == name
    assert producer(None) == ""

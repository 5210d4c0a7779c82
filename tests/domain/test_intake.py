"""What an event may look like: literal cases at each limit, and properties over all events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain import snowflake
from pipeline.domain.intake import TOPICS, Accepted, Rejected, parse
from pipeline.wire.records import AccountEvent, ActivityEvent, FollowEvent, ModerationEvent, PostEvent

T = 1_800_000_000_000
MAX = 2**63 - 1

ACCOUNT = {"topic": "accounts", "type": "registered", "user_id": 7, "at": T}
FOLLOW = {"topic": "follows", "type": "followed", "follower_id": 7, "author_id": 9, "at": T}
FOLLOWS = {"topic": "follows", "type": "followed", "follower_ids": [7], "author_id": 9, "at": T}
POST = {
    "topic": "posts",
    "type": "published",
    "post_id": 5,
    "author_id": 9,
    "created_at": T,
    "visibility": "public",
    "region": "eu",
    "body": "hello",
    "media": [{"kind": "image"}],
}
EDIT = {"topic": "posts", "type": "edited", "post_id": 5, "author_id": 9, "at": T, "body": "hallo"}
DELETION = {"topic": "posts", "type": "deleted", "post_id": 5, "author_id": 9, "at": T}
OPENED = {"topic": "activity", "type": "opened", "reader_id": 7, "at": T}
ENGAGED = {"topic": "activity", "type": "engaged", "reader_id": 7, "author_id": 9, "post_id": 5, "at": T}
BLOCK = {"topic": "moderation", "type": "blocked", "reader_id": 7, "author_id": 9, "at": T}
SUSPENSION = {"topic": "moderation", "type": "suspended", "author_id": 9, "at": T}
TAKE_DOWN = {"topic": "moderation", "type": "taken_down", "post_id": 5, "regions": ["eu", "us-1"], "at": T}

EVENTS = [
    (ACCOUNT, b"7", AccountEvent("registered", 7, "", False, T)),
    (
        {**ACCOUNT, "type": "updated", "region": "eu", "protected": True},
        b"7",
        AccountEvent("updated", 7, "eu", True, T),
    ),
    ({**ACCOUNT, "type": "updated"}, b"7", AccountEvent("updated", 7, "", False, T, ())),
    (
        {**ACCOUNT, "type": "updated", "region": ""},
        b"7",
        AccountEvent("updated", 7, "", False, T, ("region",)),
    ),
    (
        {**ACCOUNT, "type": "updated", "protected": False},
        b"7",
        AccountEvent("updated", 7, "", False, T, ("protected",)),
    ),
    (FOLLOW, b"9", FollowEvent("followed", 9, (7,), T)),
    ({**FOLLOW, "type": "unfollowed"}, b"9", FollowEvent("unfollowed", 9, (7,), T)),
    ({**FOLLOWS, "follower_ids": [7, "8"]}, b"9", FollowEvent("followed", 9, (7, 8), T)),
    (POST, b"9", PostEvent("published", 5, 9, T, "public", "eu", "hello", ({"kind": "image"},), False)),
    (
        {"topic": "posts", "type": "published", "post_id": "5", "author_id": 9, "created_at": T, "body": ""},
        b"9",
        PostEvent("published", 5, 9, T, "public", "", "", (), False),
    ),
    (
        {**POST, "imported": True, "media": []},
        b"9",
        PostEvent("published", 5, 9, T, "public", "eu", "hello", (), True),
    ),
    (EDIT, b"9", PostEvent("edited", 5, 9, T, None, None, "hallo", None, False)),
    (DELETION, b"9", PostEvent("deleted", 5, 9, T)),
    (OPENED, b"7", ActivityEvent("opened", 7, T)),
    *(
        ({**ENGAGED, "type": kind}, b"7", ActivityEvent(kind, 7, T, 9, 5))
        for kind in ("engaged", "hidden", "unhidden")
    ),
    *(
        ({**BLOCK, "type": kind}, b"7", ModerationEvent(kind, T, reader_id=7, author_id=9))
        for kind in ("blocked", "unblocked", "muted", "unmuted")
    ),
    *(
        ({**SUSPENSION, "type": kind}, b"9", ModerationEvent(kind, T, author_id=9))
        for kind in ("suspended", "reinstated")
    ),
    *(
        ({**TAKE_DOWN, "type": kind}, b"5", ModerationEvent(kind, T, post_id=5, regions=("eu", "us-1")))
        for kind in ("taken_down", "restored")
    ),
    (
        {"topic": "moderation", "type": "restored", "post_id": 5, "at": T},
        b"5",
        ModerationEvent("restored", T, post_id=5, regions=()),
    ),
]


@pytest.mark.parametrize(("value", "key", "record"), EVENTS)
def test_every_event_becomes_its_record_under_its_key(value, key, record):
    """Shapes, defaults and partition keys, as the docstring of `intake` says."""
    assert parse(value, default_topic=None) == Accepted(value["topic"], key, record)


def test_the_default_topic_is_for_values_that_name_none():
    unnamed = {name: value for name, value in OPENED.items() if name != "topic"}

    assert parse(unnamed, default_topic="activity") == parse(OPENED, default_topic="posts")
    assert rejected(unnamed).field == "topic"


@pytest.mark.parametrize("event", [BLOCK, SUSPENSION, TAKE_DOWN])
def test_the_old_name_of_a_topic_is_taken_for_the_new_one(event):
    old = {**event, "topic": "policy"}
    unnamed = {name: value for name, value in event.items() if name != "topic"}

    assert parse(old, default_topic=None) == parse(event, default_topic=None)
    assert parse(unnamed, default_topic="policy") == parse(event, default_topic=None)
    assert "policy" not in rejected({**event, "topic": "polices"}).reason


@pytest.mark.parametrize("value", [None, 1, "x", [], [OPENED], True])
def test_only_objects_are_events(value):
    assert rejected(value) == Rejected("", "must be a JSON object")


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"topic": "fanout.small"}, "topic"),  # a topic, but not one to publish to
        ({"topic": None}, "topic"),
        ({"topic": ["posts"]}, "topic"),
        ({"type": "blocked"}, "type"),  # a type, but of another topic
        ({"type": 1}, "type"),
        ({"type": {}}, "type"),
    ],
)
def test_topic_and_type_belong_together(changed, field):
    assert rejected({**OPENED, **changed}).field == field


@pytest.mark.parametrize("event", [event for event, _, _ in EVENTS])
def test_an_unknown_field_is_refused_by_name(event):
    """A misspelt optional field would otherwise be lost without a word."""
    assert rejected({**event, "bdoy": 1}).field == "bdoy"


OPTIONAL = {"topic", "type", "region", "regions", "protected", "visibility", "media", "imported"}


@pytest.mark.parametrize(
    ("event", "field"),
    [(event, field) for event in (ACCOUNT, FOLLOW, FOLLOWS, OPENED, ENGAGED, BLOCK) for field in event]
    + [
        (event, field)
        for event in (SUSPENSION, TAKE_DOWN, EDIT, DELETION)
        for field in event
        if field != "body"
    ]
    + [(POST, field) for field in POST if field != "post_id"],
)
def test_a_missing_field_is_refused_by_name(event, field):
    without = {name: value for name, value in event.items() if name != field}

    if field in OPTIONAL - {"topic", "type"}:
        assert isinstance(parse(without, default_topic=None), Accepted)
    else:
        assert rejected(without).field in (field, "follower_id")


@pytest.mark.parametrize("event", [event for event, _, _ in EVENTS])
def test_an_event_without_a_time_is_of_now(event):
    time = "created_at" if "created_at" in event else "at"
    without = {name: value for name, value in event.items() if name != time}

    assert parse(without, default_topic=None, now_ms=T + 5) == parse(
        {**event, time: T + 5}, default_topic=None
    )
    assert parse(event, default_topic=None, now_ms=T + 5) == parse(event, default_topic=None)
    assert rejected(without).field == time


IDS = [
    (ACCOUNT, "user_id"),
    (FOLLOW, "follower_id"),
    (FOLLOW, "author_id"),
    (POST, "post_id"),
    (EDIT, "post_id"),
    (OPENED, "reader_id"),
    (ENGAGED, "author_id"),
    (TAKE_DOWN, "post_id"),
]


@pytest.mark.parametrize(("event", "field"), IDS)
def test_ids_go_from_1_to_the_largest_signed_64_bit_integer(event, field):
    for good in (1, MAX - 1, MAX, "1", str(MAX)):
        assert isinstance(parse({**event, field: good}, default_topic=None), Accepted), good

    for bad in (
        0,
        -1,
        MAX + 1,
        2**64,
        str(MAX + 1),
        "0",
        "-1",
        "+1",
        "01",
        " 1",
        "1 ",
        "",
        "x",
        "１",
        "1" * 5000,
    ):
        assert rejected({**event, field: bad}).field == field, bad
    for bad in (1.0, True, None, [1], {}, float("nan")):
        assert rejected({**event, field: bad}).field == field, bad


@pytest.mark.parametrize(("event", "field"), [(ACCOUNT, "at"), (POST, "created_at"), (EDIT, "at")])
def test_times_are_milliseconds_from_2000_to_2199(event, field):
    """Seconds and microseconds, the two likely mistakes, fall outside."""
    for good in (946_684_800_000, 7_258_118_399_999):
        assert isinstance(parse({**event, field: good}, default_topic=None), Accepted)

    seconds, microseconds = T // 1000, T * 1000
    for bad in (
        946_684_799_999,
        7_258_118_400_000,
        seconds,
        microseconds,
        0,
        -1,
        str(T),
        float(T),
        True,
        None,
    ):
        assert rejected({**event, field: bad}).field == field, bad


def test_a_region_is_at_most_16_characters_of_a_to_z_0_to_9_and_dash():
    for good in ("", "a", "a" * 15, "a" * 16, "eu-west-1"):
        assert isinstance(parse({**POST, "region": good}, default_topic=None), Accepted)

    for bad in ("a" * 17, "EU", "e u", "eu\n", "é", None, 1):
        assert rejected({**POST, "region": bad}).field == "region", bad


def test_regions_are_up_to_64_names_each_kept_once():
    names = [f"r{number}" for number in range(65)]

    assert parse({**TAKE_DOWN, "regions": ["eu", "eu"]}, default_topic=None).record.regions == ("eu",)
    assert len(parse({**TAKE_DOWN, "regions": names[:64]}, default_topic=None).record.regions) == 64
    for bad in (names, [""], ["EU"], ["a" * 17], [1], "eu", None, {"eu": 1}):
        assert rejected({**TAKE_DOWN, "regions": bad}).field == "regions", bad


@pytest.mark.parametrize("good", ["public", "followers", "private"])
def test_visibility_is_one_of_three(good):
    assert parse({**POST, "visibility": good}, default_topic=None).record.visibility == good

    for bad in ("", "Public", "friends", None, 1, ["public"]):
        assert rejected({**POST, "visibility": bad}).field == "visibility", bad


@pytest.mark.parametrize(("event", "field"), [(ACCOUNT, "protected"), (POST, "imported")])
def test_flags_are_true_or_false(event, field):
    assert isinstance(parse({**event, field: True}, default_topic=None), Accepted)
    assert isinstance(parse({**event, field: False}, default_topic=None), Accepted)

    for bad in (0, 1, "true", None):
        assert rejected({**event, field: bad}).field == field, bad


@pytest.mark.parametrize("event", [POST, EDIT])
def test_a_body_is_at_most_64_kib_of_utf_8(event):
    for good in ("a" * 65_535, "a" * 65_536, "ü" * 32_768):
        assert parse({**event, "body": good}, default_topic=None).record.body == good

    for bad in ("a" * 65_537, "ü" * 32_768 + "a", "\ud800", None, 1, b"a"):
        assert rejected({**event, "body": bad}).field == "body"


def test_media_are_at_most_16_maps_of_16_texts_of_2_kib():
    for good in (
        [{}],
        [{"k": "v"}] * 15,
        [{"k": "v"}] * 16,
        [{str(n): "v" for n in range(15)}],
        [{str(n): "v" for n in range(16)}],
        [{"k" * 2047: "v" * 2047}],
        [{"k" * 2048: "ü" * 1024}],
    ):
        assert parse({**POST, "media": good}, default_topic=None).record.media == tuple(good)

    for bad in (
        [{"k": "v"}] * 17,
        [{str(n): "v" for n in range(17)}],
        [{"k" * 2049: "v"}],
        [{"k": "v" * 2049}],
        [{"k": "ü" * 1024 + "v"}],
        [{"k": 1}],
        [{"k": None}],
        [{"k": "\udfff"}],
        ["k"],
        [None],
        {"k": "v"},
        "k",
        None,
    ):
        assert rejected({**POST, "media": bad}).field == "media"


def test_a_follow_event_names_1_to_1000_distinct_followers():
    ids = list(range(10, 1011))

    for good in (ids[:1], ids[:999], ids[:1000]):
        assert parse({**FOLLOWS, "follower_ids": good}, default_topic=None).record.follower_ids == tuple(good)
    for bad in ([], ids, [7, 7], [7, "7"], [0], ["x"], [None], 7, "7", None, {"7": 7}):
        assert rejected({**FOLLOWS, "follower_ids": bad}).field == "follower_ids"


def test_a_follow_event_has_either_one_follower_or_many():
    assert rejected({**FOLLOW, "follower_ids": [8]}).field == "follower_id"
    assert rejected({"topic": "follows", "type": "followed", "author_id": 9, "at": T}).field == "follower_id"


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({**FOLLOW, "follower_id": 9}, "follower_id"),
        ({**FOLLOW, "follower_id": "9"}, "follower_id"),
        ({**FOLLOWS, "follower_ids": [7, 9]}, "follower_ids"),
        ({**BLOCK, "author_id": 7}, "author_id"),
        ({**BLOCK, "type": "muted", "author_id": 7}, "author_id"),
    ],
)
def test_nobody_follows_blocks_or_mutes_themselves(event, field):
    assert rejected(event).field == field


NEW = {
    "topic": "posts",
    "type": "published",
    "author_id": 9,
    "created_at": T,
    "body": "hello",
    "media": [{"a": "b"}],
}


def test_a_post_without_an_id_gets_that_of_its_millisecond_and_the_same_again():
    first = parse(NEW, default_topic=None).record
    again = parse({**NEW, "author_id": "9", "visibility": "private"}, default_topic=None).record

    assert again.post_id == first.post_id
    assert snowflake.time_ms(first.post_id) == T
    assert first.post_id == 931_819_998_415_070_560  # in every version: producers may send the line again


@pytest.mark.parametrize(
    "changed",
    [
        {"author_id": 10},
        {"created_at": T + 1},
        {"body": "hellp"},
        {"media": []},
        {"media": [{"a": "c"}]},
        {"body": "helloa", "media": [{"": "b"}]},  # the same characters, cut elsewhere
    ],
)
def test_another_post_gets_another_id(changed):
    assert (
        parse({**NEW, **changed}, default_topic=None).record.post_id
        != parse(NEW, default_topic=None).record.post_id
    )


def test_an_id_is_made_only_for_times_that_ids_can_say():
    """An id holds 41 bits of milliseconds since 2020."""
    last = snowflake.EPOCH_MS + 2**41 - 1

    for good in (snowflake.EPOCH_MS, last):
        assert parse({**NEW, "created_at": good}, default_topic=None).record.post_id > 0
    for bad in (snowflake.EPOCH_MS - 1, last + 1):
        assert rejected({**NEW, "created_at": bad}).field == "created_at"
        assert isinstance(parse({**NEW, "created_at": bad, "post_id": 5}, default_topic=None), Accepted)


def test_event_ids_are_the_same_for_the_same_event_and_tell_others_apart():
    """Two events of one key, type and millisecond included."""
    others = [
        *(event for event, _, _ in EVENTS if event is not POST),
        POST,
        {**POST, "post_id": 6},
        {**EDIT, "body": "hei"},
        {**EDIT, "region": "eu"},
        {**FOLLOW, "follower_id": 8},
        {**FOLLOWS, "follower_ids": [8, 7, 6]},
        {**BLOCK, "author_id": 10},
        {**ENGAGED, "post_id": 6},
        {**TAKE_DOWN, "regions": ["eu"]},
    ]
    ids = [parse(event, default_topic=None).event_id for event in others]
    different = {str(parse(event, default_topic=None).record) for event in others}

    assert ids == [parse(event, default_topic=None).event_id for event in others]
    assert parse(POST, default_topic=None).event_id == "posts:9:published:1800000000000:5"
    assert len(set(ids)) == len(different) - 2  # POST comes in three spellings of one post


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(json_values, st.none() | st.sampled_from(TOPICS))
def test_no_value_at_all_raises(value, topic):
    assert isinstance(parse(value, default_topic=topic), Accepted | Rejected)


@given(st.sampled_from([event for event, _, _ in EVENTS]), st.data())
def test_one_broken_field_is_either_refused_by_its_name_or_harmless(event, data):
    """Whatever one field holds: the outcome is a refusal of that field or a record that can be encoded."""
    from pipeline.wire.codec import decode, encode

    field = data.draw(st.sampled_from([name for name in event if name != "topic"]))
    outcome = parse({**event, field: data.draw(json_values)}, default_topic=None)

    match outcome:
        case Rejected(name, reason):
            assert name and reason
        case Accepted(_, key, record):
            assert key.isdigit()
            assert decode(encode(record), type(record)) == record


def rejected(value):
    outcome = parse(value, default_topic=None)
    assert isinstance(outcome, Rejected), outcome
    return outcome

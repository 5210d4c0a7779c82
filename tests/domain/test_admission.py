"""Admission: what `publish` refuses, stages refuse as well; and no claimed time outlasts a right one."""

from dataclasses import asdict, astuple, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain import fields, intake, snowflake
from pipeline.domain.admission import INPUTS, MARKS, ClockLimits, Refusal, admit
from pipeline.wire.records import (
    AccountEvent,
    ActivityEvent,
    FollowEvent,
    ModerationEvent,
    PolicyEvent,
    PostEvent,
    TimelineRequest,
)

NOW, DAY = 1_800_000_000_000, 86_400_000
LIMITS = ClockLimits(ahead_ms=10_000, window_ms=30 * DAY)
POST = snowflake.first_id(NOW - 1_000) + 5
MAX = 2**63 - 1

PUBLISHED = PostEvent("published", POST, 9, NOW - 1_000, "public", "eu", "words", ({"a": "b"},))
GOOD = {
    "accounts": [
        AccountEvent("registered", 7, "", False, NOW),
        AccountEvent("updated", 7, "eu", True, NOW),
        AccountEvent("updated", 7, "eu", False, NOW, ("region",)),
        AccountEvent("updated", 7, "", False, NOW, ("protected",)),
        AccountEvent("updated", 7, "", False, NOW, ()),
        AccountEvent("erased", 7, "", False, NOW),
    ],
    "follows": [FollowEvent("followed", 9, (7, 8), NOW), FollowEvent("unfollowed", 9, (7,), NOW)],
    "posts": [
        PUBLISHED,
        PostEvent("edited", POST, 9, NOW, body="other"),
        PostEvent("edited", POST, 9, NOW, media=()),
        PostEvent("deleted", POST, 9, NOW),
    ],
    "activity": [
        ActivityEvent("opened", 7, NOW),
        *(ActivityEvent(kind, 7, NOW, 9, POST) for kind in ("engaged", "hidden", "unhidden")),
    ],
    "moderation": [
        *(ModerationEvent(kind, NOW, 7, 9) for kind in ("blocked", "unblocked", "muted", "unmuted")),
        *(ModerationEvent(kind, NOW, author_id=9) for kind in ("suspended", "reinstated")),
        *(ModerationEvent(kind, NOW, post_id=POST, regions=("eu",)) for kind in ("taken_down", "restored")),
    ],
    "timeline.requests": [TimelineRequest("r", 7, 20, None, "latest", False, "timeline.replies")],
    "edge.marks": [FollowEvent(kind, 9, (7,), NOW) for kind in MARKS["edge.marks"]],
    "reader.marks": [ActivityEvent(kind, 7, NOW) for kind in MARKS["reader.marks"]],
}
EVERY = [(topic, record) for topic, records in GOOD.items() for record in records]
BY_OLD_NAME = [PolicyEvent(*astuple(record)) for record in GOOD["moderation"]]
"""As producers send them to topic `policy`, for one release."""


def let_in(record, topic="posts", now=NOW, headers=()):
    return admit(topic, record, now, LIMITS, headers)


@pytest.mark.parametrize(("topic", "record"), EVERY)
def test_a_right_event_is_let_in_as_it_is(topic, record):
    """Of every type that there is."""
    assert {*GOOD, *intake.RENAMED} == {*INPUTS, *MARKS}
    assert let_in(record, topic) == record


@pytest.mark.parametrize(("old", "new"), [*zip(BY_OLD_NAME, GOOD["moderation"], strict=True)])
def test_an_event_of_the_old_name_is_let_in_as_one_of_the_new(old, new):
    assert let_in(old, "policy") == new
    assert type(let_in(old, "policy")) is ModerationEvent
    assert let_in(replace(old, at=NOW * 1000), "policy").reason == "clock"
    assert let_in(replace(old, type="banned"), "policy").reason == "type"


TIMED = [(topic, record) for topic, record in EVERY if topic != "timeline.requests"]


@pytest.mark.parametrize(("topic", "record"), TIMED)
def test_a_time_ahead_is_let_in_up_to_the_limit_and_counts_as_the_brokers(topic, record):
    """Limit − 1, limit, limit + 1. What a table gets is never ahead, so a right event of now is later."""
    for lead in (9_999, 10_000):
        found = let_in(replace(record, at=NOW + lead), topic)
        assert found == replace(record, at=NOW)
    refused = let_in(replace(record, at=NOW + 10_001), topic)
    name = "created_at" if record == PUBLISHED else "at"
    assert refused == Refusal(
        "clock", f"{name}: 10001 ms ahead of the broker's time, at most 10000 are allowed"
    )


@pytest.mark.parametrize(("topic", "record"), TIMED)
@pytest.mark.parametrize("at", [NOW // 1000, NOW * 1000, 0, -1, 2**62, -(2**62)])
def test_a_time_in_other_units_is_a_wrong_clock(topic, record, at):
    """Seconds, microseconds, and what no table can hold."""
    assert let_in(replace(record, at=at), topic).reason == "clock"


@pytest.mark.parametrize(
    ("topic", "record"), [one for one in TIMED if getattr(one[1], "post_id", None) is not None]
)
def test_an_id_ahead_can_be_neither_taken_nor_named(topic, record):
    """Whoever publishes it, edits, hides or takes it down would speak for what another posts next."""
    ahead = replace(record, post_id=snowflake.first_id(NOW + 10_001))
    assert let_in(ahead, topic).detail.startswith("post_id: 10001 ms ahead")
    assert not isinstance(let_in(replace(record, post_id=snowflake.first_id(NOW)), topic), Refusal)


@pytest.mark.parametrize(
    ("late_ms", "imported", "refused"),
    [
        (90_000, False, False),
        (6 * 3_600_000, False, False),
        (30 * DAY, False, False),
        (30 * DAY + 1, False, True),
        (30 * DAY + 1, True, False),
        (900 * DAY, True, False),
    ],
)
def test_a_post_may_be_as_late_as_the_window_is_long(late_ms, imported, refused):
    made = NOW - late_ms
    post = replace(PUBLISHED, post_id=snowflake.first_id(made), at=made, imported=imported)

    found = let_in(post)

    assert found == (
        Refusal("clock", f"post_id: {late_ms} ms old, past the window: imported is not true")
        if refused
        else post
    )


@pytest.mark.parametrize("record", [one for _, one in TIMED if one != PUBLISHED])
def test_whatever_else_may_be_of_any_time_past(record):
    topic = next(topic for topic, records in GOOD.items() if record in records)
    old = replace(record, at=fields.MIN_TIME)
    assert let_in(old, topic) == old


@pytest.mark.parametrize(
    ("apart_ms", "refused"), [(0, 0), (60_000, 0), (-60_000, 0), (60_001, 1), (-60_001, 1)]
)
def test_the_creation_of_a_post_is_near_the_time_of_its_id(apart_ms, refused):
    """Limit, limit + 1, on both sides."""
    made = NOW - DAY
    post = replace(PUBLISHED, post_id=snowflake.first_id(made), at=made + apart_ms)
    found = let_in(post)
    assert (isinstance(found, Refusal) and found.detail.startswith("created_at: ")) == bool(refused)


@pytest.mark.parametrize("name", ["origin_ts", "ce_time"])
@pytest.mark.parametrize(("topic", "record"), EVERY)
def test_a_header_is_a_claim_like_any_other(topic, record, name):
    for at in (NOW + 10_000, NOW, NOW - 900 * DAY):
        assert let_in(record, topic, headers=[(name, at)]) == record
    for at in (NOW + 10_001, NOW // 1000, NOW * 1000):
        found = let_in(record, topic, headers=[(name, at)])
        assert (found.reason, found.detail.split(":")[0]) == ("clock", name)


@pytest.mark.parametrize(
    ("topic", "record", "field"),
    [
        ("accounts", AccountEvent("registered", 0, "", False, NOW), "user_id"),
        ("accounts", AccountEvent("registered", 7, "EU", False, NOW), "region"),
        ("follows", FollowEvent("followed", 9, (9,), NOW), "follower_ids"),
        ("follows", FollowEvent("followed", 9, (7, 7), NOW), "follower_ids"),
        ("follows", FollowEvent("followed", 9, (), NOW), "follower_ids"),
        ("follows", FollowEvent("followed", 9, tuple(range(10, 1011)), NOW), "follower_ids"),
        ("follows", FollowEvent("followed", -9, (7,), NOW), "author_id"),
        ("posts", replace(PUBLISHED, post_id=-1), "post_id"),
        ("posts", replace(PUBLISHED, visibility="direct"), "visibility"),
        ("posts", replace(PUBLISHED, visibility=""), "visibility"),
        ("posts", replace(PUBLISHED, body="a" * 65_537), "body"),
        ("posts", replace(PUBLISHED, body=None), "body"),
        ("posts", replace(PUBLISHED, media=({"k": "v"},) * 17), "media"),
        ("posts", PostEvent("edited", POST, 9, NOW, visibility="unlisted"), "visibility"),
        ("posts", PostEvent("deleted", POST, 9, NOW, body="x"), "body"),
        ("activity", ActivityEvent("engaged", 7, NOW, 9), "post_id"),
        ("activity", ActivityEvent("hidden", 7, NOW, None, POST), "author_id"),
        ("activity", ActivityEvent("opened", 7, NOW, 9, POST), "author_id"),
        ("moderation", ModerationEvent("blocked", NOW, 7, 7), "author_id"),
        ("moderation", ModerationEvent("blocked", NOW, 7), "author_id"),
        ("moderation", ModerationEvent("suspended", NOW, 7, 9), "reader_id"),
        ("moderation", ModerationEvent("taken_down", NOW), "post_id"),
        ("moderation", ModerationEvent("taken_down", NOW, post_id=POST, regions=("",)), "regions"),
        (
            "timeline.requests",
            TimelineRequest("r" * 1025, 7, 20, None, "latest", False, "timeline.replies"),
            "request_id",
        ),
    ],
)
def test_what_a_field_cannot_hold_is_refused_by_its_name(topic, record, field):
    found = let_in(record, topic)
    assert (found.reason, found.detail.split(":")[0]) == ("field", field)


@pytest.mark.parametrize(
    ("topic", "record"),
    [
        (topic, replace(records[0], type=kind))
        for topic, records in GOOD.items()
        if topic != "timeline.requests"
        for kind in ("reposted", "", "warmed" if topic != "edge.marks" else "followed", "rebuilt")
    ]
    + [("activity", record) for record in GOOD["reader.marks"]]
    + [("follows", record) for record in GOOD["edge.marks"]],
)
def test_types_belong_to_their_topic(topic, record):
    """Nobody tells the pipeline what only the pipeline finds out, and the other way round."""
    found = let_in(record, topic)
    assert (found.reason, found.detail[:6]) == ("type", "type: ")


def test_a_post_without_a_visibility_is_public_everywhere():
    """As a line of `publish` without one; in an edit it is unchanged."""
    bare = PostEvent("published", POST, 9, NOW - 1_000, body="words")

    assert let_in(bare) == replace(bare, visibility="public", region="", media=())
    assert let_in(PostEvent("edited", POST, 9, NOW, body="words")).visibility is None


ids = st.sampled_from([7, 9, 0, -1, MAX]) | st.integers(-(2**63), MAX)
posts = st.sampled_from([POST, 5, 0, -1])
texts = st.sampled_from(
    ["", "eu", "EU", "public", "followers", "direct", "a" * 65_536, "a" * 65_537]
) | st.text(max_size=5)


def kinds(topic):
    """Mostly types of this topic."""
    return st.sampled_from([*(record.type for record in GOOD[topic]), "lapsed", "reposted"])


records = st.one_of(
    st.builds(AccountEvent, kinds("accounts"), ids, texts, st.booleans(), st.just(NOW)),
    st.builds(FollowEvent, kinds("follows"), ids, st.lists(ids, max_size=3).map(tuple), st.just(NOW)),
    st.builds(
        PostEvent,
        kinds("posts"),
        posts,
        ids,
        st.just(NOW),
        st.none() | texts,
        st.none() | texts,
        st.none() | texts,
        st.none() | st.lists(st.dictionaries(texts, texts, max_size=2), max_size=17).map(tuple),
        st.booleans(),
        st.booleans(),
    ),
    st.builds(ActivityEvent, kinds("activity"), ids, st.just(NOW), st.none() | ids, st.none() | posts),
    st.builds(
        ModerationEvent,
        kinds("moderation"),
        st.just(NOW),
        st.none() | ids,
        st.none() | ids,
        st.none() | posts,
        st.lists(texts, max_size=3).map(tuple),
    ),
)
TOPIC = {
    AccountEvent: "accounts",
    FollowEvent: "follows",
    PostEvent: "posts",
    ActivityEvent: "activity",
    ModerationEvent: "moderation",
}


def line_of(record):
    """The record as somebody would write it for `publish`, who leaves out what is not set."""
    line = {
        name: value
        for name, value in asdict(record).items()
        if value not in (None, ()) or name == "follower_ids"
    }
    line = {name: list(value) if isinstance(value, tuple) else value for name, value in line.items()}
    if record.type == "erased":  # has no such fields, so they are left out when they are empty
        line = {name: value for name, value in line.items() if value not in ("", False)}
    if isinstance(record, PostEvent) and record.media == ():
        line["media"] = []  # none any more, which is not the same as unchanged
    for flag in ("imported", "made"):
        if not line.get(flag, True):
            del line[flag]
    if record.type == "published" and isinstance(record, PostEvent):
        line["created_at"] = line.pop("at")
    return line | {"topic": TOPIC[type(record)]}


@given(records)
def test_what_publish_refuses_stages_refuse_and_nothing_else(record):
    """Times aside: they depend on when the broker has them. What both let in is the same record."""
    said = intake.parse(line_of(record), default_topic=None)
    found = admit(TOPIC[type(record)], record, NOW, ClockLimits(10_000, 900_000 * DAY))

    if isinstance(said, intake.Rejected):
        assert isinstance(found, Refusal)
    elif isinstance(found, Refusal):
        assert found.reason == "clock"
    else:
        assert found == said.record


@given(st.integers(-(2**63), MAX), st.integers(1_600_000_000_000, 1_900_000_000_000))
def test_no_time_that_is_let_in_is_ahead(at, now):
    found = admit("moderation", ModerationEvent("blocked", at, 7, 9), now, LIMITS)
    right = 946_684_800_000 <= at <= now + 10_000

    assert isinstance(found, Refusal) != right
    assert not right or found.at == min(at, now)

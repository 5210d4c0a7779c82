"""The oracle of the auditor: what a feed must be, from events alone, and what differs from it."""

import random

import pytest

from pipeline.domain.audit import Finding, Ledger, Served, compare
from pipeline.wire.records import AccountEvent, FollowEvent, ModerationEvent, PostEvent

READER, AUTHOR, OTHER = 1, 2, 3


def post(post_id, author=AUTHOR, at=None, **more):
    return PostEvent(
        "published", post_id, author, post_id if at is None else at, **{"body": f"b{post_id}", **more}
    )


def follow(at=1, author=AUTHOR, reader=READER, kind="followed"):
    return FollowEvent(kind, author, (reader,), at)


def moderation(kind, at=50, **about):
    return ModerationEvent(kind, at, **about)


def feed(*events, reader=READER, since=0):
    ledger = Ledger()
    for event in events:
        ledger.add(event)
    return ledger.feed(reader, since)


def test_a_feed_is_the_posts_of_followees_and_ones_own_newest_first():
    assert feed(follow(), post(10), post(30, READER), post(20), post(40, OTHER)) == [30, 20, 10]


def test_posts_before_the_window_are_no_part_of_it():
    assert feed(follow(), post(99), post(100), post(101), since=100) == [101, 100]


@pytest.mark.parametrize(
    "event",
    [
        PostEvent("deleted", 10, AUTHOR, 60),
        PostEvent("edited", 10, AUTHOR, 60, visibility="private"),
        moderation("taken_down", post_id=10),
        moderation("taken_down", post_id=10, regions=("eu",)),
        moderation("suspended", author_id=AUTHOR),
        moderation("blocked", reader_id=READER, author_id=AUTHOR),
        moderation("blocked", reader_id=AUTHOR, author_id=READER),
        moderation("muted", reader_id=READER, author_id=AUTHOR),
        follow(60, kind="unfollowed"),
    ],
    ids=lambda event: f"{event.type}",
)
def test_what_a_reader_must_not_see(event):
    events = [AccountEvent("registered", READER, "eu", False, 1), follow(), post(10)]

    assert feed(*events) == [10]
    assert feed(*events, event) == []


@pytest.mark.parametrize(
    "event",
    [
        moderation("taken_down", post_id=10, regions=("us",)),
        moderation("muted", reader_id=AUTHOR, author_id=READER),
        moderation("blocked", reader_id=OTHER, author_id=AUTHOR),
        moderation("suspended", author_id=OTHER),
        PostEvent("edited", 10, AUTHOR, 60, visibility="followers"),
    ],
    ids=lambda event: f"{event.type}",
)
def test_what_does_not_concern_them(event):
    assert feed(AccountEvent("registered", READER, "eu", False, 1), follow(), post(10), event) == [10]


@pytest.mark.parametrize(
    ("ends", "begins"),
    [
        ("unblocked", "blocked"),
        ("unmuted", "muted"),
    ],
)
def test_the_latest_event_wins_in_any_order(ends, begins):
    relation = {"reader_id": READER, "author_id": AUTHOR}
    events = [follow(), post(10), moderation(begins, 50, **relation), moderation(ends, 51, **relation)]

    for _ in range(10):
        random.shuffle(events)
        assert feed(*events, *events) == [10]
    assert feed(*events, moderation(begins, 52, **relation)) == []


def test_at_the_same_time_an_unfollow_wins():
    both = [follow(5), follow(5, kind="unfollowed")]

    assert feed(*both, post(10)) == feed(*reversed(both), post(10)) == []
    assert feed(*both, follow(6), post(10)) == [10]


def test_restoring_everywhere_undoes_every_takedown_before_it():
    down = [
        moderation("taken_down", 50, post_id=10),
        moderation("taken_down", 51, post_id=10, regions=("eu",)),
    ]
    events = [AccountEvent("registered", READER, "eu", False, 1), follow(), post(10), *down]

    assert feed(*events, moderation("restored", 52, post_id=10)) == [10]
    assert feed(*events, moderation("restored", 52, post_id=10, regions=("eu",))) == []
    assert feed(*events, moderation("restored", 50, post_id=10)) == []


def test_ones_own_posts_hide_only_when_deleted_or_taken_down():
    own = post(10, READER, visibility="private")

    assert feed(own, moderation("suspended", author_id=READER)) == [10]
    assert feed(own, moderation("taken_down", post_id=10)) == []
    assert feed(own, PostEvent("deleted", 10, READER, 60)) == []


def test_an_edit_or_deletion_without_its_post_is_no_post():
    assert feed(follow(), PostEvent("edited", 10, AUTHOR, 60, body="x")) == []


@pytest.fixture
def ledger():
    made = Ledger()
    events = [follow(), post(10), post(20), post(30), post(40, OTHER), PostEvent("deleted", 30, AUTHOR, 60)]
    for event in [*events, PostEvent("edited", 20, AUTHOR, 70, body="new")]:
        made.add(event)
    return made


def served(*post_ids, author=AUTHOR):
    return [Served(one, author, "new" if one == 20 else f"b{one}", "push") for one in post_ids]


def kinds(ledger, pages):
    return [(one.kind, one.post_id) for one in compare(ledger, READER, 0, pages)]


def test_the_right_feed_has_no_findings(ledger):
    assert compare(ledger, READER, 0, served(20, 10)) == []


def test_each_difference_is_found(ledger):
    assert kinds(ledger, served(20)) == [("missing", 10)]
    assert kinds(ledger, served(20, 10, 20)) == [("duplicate", 20)]
    assert kinds(ledger, served(10, 20)) == [("misordered", 20)]
    assert kinds(ledger, [*served(30), *served(20, 10)]) == [("forbidden", 30)]
    assert kinds(ledger, [*served(40, author=OTHER), *served(20, 10)]) == [("forbidden", 40)]
    assert kinds(ledger, [*served(99), *served(20, 10)]) == [("extra", 99)]
    assert kinds(ledger, [Served(20, AUTHOR, "b20"), *served(10)]) == [("stale", 20)]


def test_a_finding_says_where_it_came_from_and_why(ledger):
    found = compare(ledger, READER, 0, [*served(30), *served(20, 10)])

    assert found == [Finding("forbidden", 30, AUTHOR, "push", "deleted")]

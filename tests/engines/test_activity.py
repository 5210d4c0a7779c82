"""What readers do, on real engines: a reader counts once, a hide holds, and a replay leaves the tables as they are."""

import random
from typing import Any

import pytest

from pipeline.domain.engagement import hour_of
from pipeline.wire.codec import decode
from pipeline.wire.records import PageChange
from tests.engines import events
from tests.engines.events import Event
from tests.engines.harness import Instance

READERS = 40

Rows = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def world(instance: Instance) -> tuple[list[int], list[Event], list[Event]]:
    """Readers, posts, and what the readers did with them: some engaged often, some hid what they had seen."""
    author, *readers = events.take(READERS + 1)
    posts = [events.post(author, f"{n}") for n in range(3)]
    did = [events.about_a_post("engaged", reader, posts[0]) for reader in readers for _ in range(2)]
    did += [events.about_a_post("engaged", reader, posts[1]) for reader in readers[:7]]
    did += [events.about_a_post("hidden", reader, posts[2]) for reader in readers[:3]]
    did += [events.about_a_post("unhidden", readers[0], posts[2]) | {"at": did[-1]["at"] + 1}]
    instance.publish(events.followed(author, *readers), *posts, *did)
    instance.settle()
    return readers, posts, did


def tables(instance: Instance, readers: list[int], posts: list[Event]) -> Rows:
    """What comes of activity: of these posts, and of these readers."""
    keys = {
        "engagement_by_post": ("post_id", [post["post_id"] for post in posts]),
        "affinity_by_reader": ("reader_id", readers),
        "hidden_by_reader": ("reader_id", readers),
        "reader_state": ("reader_id", readers),
    }
    return {
        table: [row for one in ids for row in instance.rows(f"SELECT * FROM {table} WHERE {key} = %s", one)]
        for table, (key, ids) in keys.items()
    }


def counts(instance: Instance, posts: list[Event], did: list[Event]) -> list[int]:
    """By post, how many readers a page that looks back to the first event would find."""
    since = min(hour_of(event["at"]) for event in did)
    cql = "SELECT SUM(readers) FROM engagement_by_post WHERE post_id = %s AND hour >= %s"
    return [instance.rows(cql, post["post_id"], since)[0][0] for post in posts]


def once_an_hour(posts: list[Event], did: list[Event]) -> list[int]:
    """The same by exact sets: an hour may have ended while the events were made."""
    seen = {(e["post_id"], hour_of(e["at"]), e["reader_id"]) for e in did if e["type"] == "engaged"}
    return [len([post for post, _, _ in seen if post == each["post_id"]]) for each in posts]


def test_a_reader_counts_once_and_a_hide_holds_until_it_is_taken_back(
    instance: Instance, world: tuple[list[int], list[Event], list[Event]]
) -> None:
    readers, posts, did = world

    assert counts(instance, posts, did) == once_an_hour(posts, did)
    cql, post_id = "SELECT post_id, hidden FROM hidden_by_reader WHERE reader_id = %s", posts[2]["post_id"]
    hidden = [instance.rows(cql, reader) for reader in readers]
    assert hidden == [[(post_id, False)]] + [[(post_id, True)]] * 2 + [[]] * (READERS - 3)


def test_activity_published_again_counts_once(
    instance: Instance, world: tuple[list[int], list[Event], list[Event]]
) -> None:
    """In another order, too: not a byte of any table changes."""
    readers, posts, did = world
    before = tables(instance, readers, posts)
    assert all(before.values())

    instance.publish(*did)
    instance.publish(*random.Random(1).sample(did, len(did)))
    instance.settle()

    assert tables(instance, readers, posts) == before
    assert counts(instance, posts, did) == once_an_hour(posts, did)


def test_a_replay_leaves_the_same_tables(
    instance: Instance, world: tuple[list[int], list[Event], list[Event]]
) -> None:
    readers, posts, _ = world
    before = tables(instance, readers, posts)

    instance.tideline("replay", "readers", "counters", "--execute")
    instance.settle()

    assert tables(instance, readers, posts) == before


def test_a_replay_brings_back_counters_that_were_lost(
    instance: Instance, world: tuple[list[int], list[Event], list[Event]]
) -> None:
    """Whatever was counted is still in the topic, as long as it matters.

    By TRUNCATE: the tombstone of a DELETE would be newer than any growth.
    """
    readers, posts, _ = world
    before = tables(instance, readers, posts)["engagement_by_post"]
    instance.rows("TRUNCATE engagement_by_post")
    assert tables(instance, readers, posts)["engagement_by_post"] == []

    instance.tideline("replay", "counters", "--execute")
    instance.settle()

    assert tables(instance, readers, posts)["engagement_by_post"] == before


def test_whoever_is_about_has_been_told_of_when_nothing_is_unprocessed(
    instance: Instance, world: tuple[list[int], list[Event], list[Event]]
) -> None:
    """On page.changes, by kind: the reader who hides, the author who posts, the post that is edited."""
    readers, posts, _ = world
    since = instance.ends("page.changes")
    fresh = events.post(posts[0]["author_id"], "new")

    instance.publish(fresh, events.edited(posts[0], body="else"))
    instance.publish(events.about_a_post("hidden", readers[5], posts[0]))
    instance.settle()

    told: dict[str, set[int]] = {"reader": set(), "author": set(), "post": set()}
    for message in instance.messages(since):
        change = decode(message.value() or b"", PageChange)
        assert message.key() == change.kind.encode()
        told[change.kind] |= {*change.ids}
    assert readers[5] in told["reader"]
    assert told["author"] == {fresh["author_id"]}
    assert told["post"] == {posts[0]["post_id"]}

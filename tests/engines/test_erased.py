"""An erased account: on no page within a second, and then in no table; found by reading all of them."""

import json

import pytest

from pipeline.wire.codec import encode
from pipeline.wire.records import PostEvent
from tests.engines import events
from tests.engines.events import Event
from tests.engines.harness import Instance
from tests.waiting import eventually

AT_ONCE_S = 10
"""Far above the second that is promised: a busy machine is not a bug. What it takes is in docs/performance.md."""

WORDS = "a sentence that only one person ever wrote"


def tables_with(instance: Instance, account: int, *texts: str) -> dict[str, int]:
    """By table, the rows that have the id in any column, or one of the texts; asked for nothing by key."""
    keyspace = instance._tables.keyspace
    names = instance.rows("SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s", keyspace)
    found = {}
    for (name,) in names:
        rows = instance.rows(f"SELECT * FROM {name}")
        hits = [
            row
            for row in rows
            if account in row or any(text in str(value) for value in row for text in texts if value)
        ]
        found[name] = len(hits)
    return {name: number for name, number in found.items() if number}


def erased(account: int) -> Event:
    return {"topic": "accounts", "type": "erased", "user_id": account, "at": events.now()}


@pytest.fixture
def gone(instance: Instance) -> tuple[int, list[int], list[Event]]:
    """An account that has done everything there is to do; its followers, and its posts."""
    account, *others = events.take(6)
    follower, second, muter, blocked, followee = others
    posts = [events.post(account, f"{WORDS} {n}", media=[{"url": "https://m.example/1"}]) for n in range(4)]
    instance.publish(
        events.account(account, "eu"),
        events.followed(account, follower, second, muter),
        events.followed(followee, account),
    )
    instance.settle()
    theirs = events.post(followee, "hello")
    instance.publish(*posts, theirs)
    instance.settle()
    instance.publish(
        events.edited(posts[0], body=f"{WORDS}, edited"),
        events.about_a_post("engaged", follower, posts[1]),
        events.about_a_post("hidden", second, posts[1]),
        events.about_a_post("engaged", account, theirs),
        events.about_a_post("hidden", account, theirs),
        events.moderation("muted", reader_id=muter, author_id=account),
        events.moderation("blocked", reader_id=account, author_id=blocked),
        events.moderation("blocked", reader_id=blocked, author_id=account),
        events.unfollowed(account, second),
        events.followed(account, second),
    )
    unknown = PostEvent("shouted", posts[0]["post_id"], account, events.now(), body=WORDS)
    instance.send("posts", encode(unknown), b"%d" % account)
    instance.flush()
    instance.settle()
    return account, [follower, second, muter, followee], posts


def test_an_erased_account_is_on_no_page_and_then_in_no_table(
    instance: Instance, gone: tuple[int, list[int], list[Event]]
) -> None:
    account, (follower, second, muter, followee), posts = gone
    ids = {post["post_id"] for post in posts}
    assert ids <= instance.paths(follower).keys()
    assert ids <= instance.paths(account).keys()
    assert len(tables_with(instance, account, WORDS)) >= 9

    instance.publish(erased(account))

    eventually(lambda: not ids & instance.paths(follower).keys(), AT_ONCE_S)
    eventually(lambda: not instance.page(account)["items"], AT_ONCE_S)
    status = instance.get(f"/v1/posts/{posts[0]['post_id']}?reader_id={follower}").status
    assert status == 404

    eventually(lambda: tables_with(instance, account, WORDS) == {}, 60)
    instance.settle()
    for reader in (account, follower, second, muter, followee):
        assert not ids & instance.paths(reader).keys()

    found = json.loads(instance.tideline("erased", str(account), "--text", WORDS, "--json"))
    assert (found["erased"], found["clean"]) == (True, True)
    assert {one["goes"] for one in found["left"]} <= {"with its retention", "with the next compaction"}
    listed = json.loads(instance.tideline("dlq", "list", "--all", "--limit", "1000", "--json"))
    assert str(account) not in {letter["key"] for letter in listed}

    followers = instance.rows("SELECT followers FROM author_stats WHERE author_id = %s", followee)
    assert followers == [(0,)]


def test_whatever_comes_about_it_later_brings_nothing_back(
    instance: Instance, gone: tuple[int, list[int], list[Event]]
) -> None:
    account, (follower, *_, followee), posts = gone
    instance.publish(erased(account))
    eventually(lambda: tables_with(instance, account, WORDS) == {}, 60)
    instance.settle()

    instance.publish(
        events.account(account, "us"),
        events.followed(account, follower),
        events.followed(followee, account),
        *posts,
        events.opened(account),
        events.about_a_post("engaged", follower, posts[1]),
        events.moderation("muted", reader_id=follower, author_id=account),
    )
    instance.settle()

    assert tables_with(instance, account, WORDS) == {}
    assert not instance.page(account)["items"]


def test_an_account_that_is_not_erased_is_found(
    instance: Instance, gone: tuple[int, list[int], list[Event]]
) -> None:
    """A scan that finds nothing anywhere proves nothing."""
    account, *_ = gone

    done = instance.command("erased", str(account), "--text", WORDS, "--json")

    assert done.returncode == 3
    found = json.loads(done.stdout)
    assert not found["erased"]
    stays = {one["place"] for one in found["left"] if one["stays"]}
    assert stays >= {"posts", "posts_by_author", "reader_state", "relations_by_reader", "reader.cohorts"}

"""What a follow brings, what takes posts out of a feed again, and what brings them back."""

from typing import Any

import pytest

from tests.engines import events
from tests.engines.events import Event
from tests.engines.harness import Instance


def ids(posts: list[Event]) -> list[int]:
    """Their ids, newest first."""
    return sorted((post["post_id"] for post in posts), reverse=True)


def seen(instance: Instance, reader: int) -> list[int]:
    """The ids in the reader's feed."""
    return [post_id for post_id, _ in instance.walk(reader)]


def test_a_follow_brings_earlier_posts_an_unfollow_takes_all_away_a_refollow_brings_all_back(
    instance: Instance,
) -> None:
    author, reader = events.take(2)
    posts = [events.post(author, f"before {n}") for n in range(3)]
    instance.publish(*posts)
    instance.settle()
    assert seen(instance, reader) == []

    instance.publish(events.followed(author, reader))
    instance.settle()
    assert seen(instance, reader) == ids(posts)

    posts.append(events.post(author, "while followed"))
    instance.publish(posts[-1])
    instance.settle()
    assert seen(instance, reader) == ids(posts)

    instance.publish(events.unfollowed(author, reader))
    instance.settle()
    assert seen(instance, reader) == []

    posts.append(events.post(author, "while not followed"))
    instance.publish(posts[-1])
    instance.settle()
    assert seen(instance, reader) == []

    instance.publish(events.followed(author, reader))
    instance.settle()
    assert seen(instance, reader) == ids(posts)


@pytest.fixture(scope="module")
def followed_and_pushed(instance: Instance) -> tuple[int, int, list[int]]:
    """An author, a reader in `eu` and one in `us`, both pushed."""
    author, european, american = events.take(3)
    readers = [european, american]
    instance.publish(
        events.account(european, "eu"), events.account(american, "us"), events.followed(author, *readers)
    )
    instance.settle()
    instance.await_covered(author, readers)
    return author, european, readers


@pytest.mark.parametrize(
    ("begins", "ends", "hidden_from"),
    [
        ("blocked", "unblocked", {"reader"}),
        ("muted", "unmuted", {"reader"}),
        ("suspended", "reinstated", {"reader", "other"}),
        ("taken_down", "restored", {"reader", "other", "author"}),
        ("taken_down eu", "restored eu", {"reader"}),
        ("taken_down eu", "restored", {"reader"}),
        ("private", "public", {"reader", "other"}),
    ],
)
def test_hidden_posts_are_gone_with_the_next_page_and_come_back(
    instance: Instance,
    followed_and_pushed: tuple[int, int, list[int]],
    begins: str,
    ends: str,
    hidden_from: set[str],
) -> None:
    author, reader, readers = followed_and_pushed
    people = {"reader": reader, "other": readers[1], "author": author}
    post = events.post(author, begins)
    instance.publish(post)
    instance.settle()
    assert all(seen(instance, one)[0] == post["post_id"] for one in people.values())

    instance.publish(said(begins, post, reader))
    instance.settle()
    gone = {name for name, one in people.items() if post["post_id"] not in seen(instance, one)}
    instance.publish(said(ends, post, reader))
    instance.settle()

    assert gone == hidden_from
    assert all(seen(instance, one)[0] == post["post_id"] for one in people.values())


def said(what: str, post: Event, reader: int) -> Event:
    """The event of this kind about the post, its author, and the reader."""
    kind, _, region = what.partition(" ")
    if kind in ("private", "public"):
        return events.edited(post, visibility=kind)
    about: dict[str, Any] = {"author_id": post["author_id"]}
    if kind in ("taken_down", "restored"):
        about = {"post_id": post["post_id"], "regions": [region] if region else []}
    elif kind not in ("suspended", "reinstated"):
        about["reader_id"] = reader
    return events.moderation(kind, **about)


def test_a_block_hides_both_from_each_other(instance: Instance) -> None:
    one, other = events.take(2)
    posts = [events.post(one), events.post(other)]
    instance.publish(events.followed(one, other), events.followed(other, one), *posts)
    instance.settle()
    assert seen(instance, one) == seen(instance, other) == ids(posts)

    instance.publish(events.moderation("blocked", reader_id=one, author_id=other))
    instance.settle()

    assert seen(instance, one) == [posts[0]["post_id"]]
    assert seen(instance, other) == [posts[1]["post_id"]]


def test_a_deleted_post_is_gone_for_everyone_and_an_edit_does_not_bring_it_back(
    instance: Instance, followed_and_pushed: tuple[int, int, list[int]]
) -> None:
    author, _, readers = followed_and_pushed
    post = events.post(author, "a slip")
    instance.publish(post)
    instance.settle()

    instance.publish(events.deleted(post))
    instance.settle()
    assert all(post["post_id"] not in seen(instance, one) for one in (author, *readers))

    instance.publish(events.edited(post, body="still here?"))
    instance.settle()
    assert all(post["post_id"] not in seen(instance, one) for one in (author, *readers))


def test_an_edit_shows_in_every_feed(
    instance: Instance, followed_and_pushed: tuple[int, int, list[int]]
) -> None:
    author, _, readers = followed_and_pushed
    post = events.post(author, "frist")
    instance.publish(post, events.edited(post, body="first"))
    instance.settle()

    assert all(instance.walk(one)[0] == (post["post_id"], "first") for one in (author, *readers))

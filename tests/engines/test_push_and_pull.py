"""Who is pushed and who is pulled, by follower count: rows for the one, none for the other, pages for all."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from pipeline.wire.codec import decode
from pipeline.wire.records import FanoutTask
from tests.engines import events
from tests.engines.events import Event
from tests.engines.harness import Instance
from tests.engines.thresholds import class_of_a_post, classes, put, thresholds
from tests.waiting import eventually

FANOUT = ("fanout.small", "fanout.medium", "fanout.large")
PUSH_BELOW, PULL_ABOVE = 20, 40


@pytest.fixture(scope="module", autouse=True)
def small_thresholds(instance: Instance) -> Iterator[None]:
    with thresholds(instance, PUSH_BELOW, PULL_ABOVE):
        yield


def author_with(instance: Instance, followers: int) -> tuple[int, list[int]]:
    """An author, and followers whose edges are covered: nothing is pulled for the edge's sake."""
    author, *readers = events.take(followers + 1)
    instance.publish(events.followed(author, *readers))
    instance.settle()
    instance.await_covered(author, readers)
    return author, readers


def tasks_of(instance: Instance, post: Event, since: Mapping[tuple[str, int], int]) -> list[FanoutTask]:
    """The fan-out tasks of a post, on all tiers."""
    tasks = [decode(message.value(), FanoutTask) for message in instance.messages(since)]
    return [task for task in tasks if task.post_id == post["post_id"]]


def published(instance: Instance, author: int) -> tuple[Event, list[FanoutTask]]:
    """A post of the author, processed, and the tasks it was."""
    since, post = instance.ends(*FANOUT), events.post(author)
    instance.publish(post)
    instance.settle()
    return post, tasks_of(instance, post, since)


@pytest.mark.parametrize(
    ("followers", "expected"),
    [
        (PUSH_BELOW - 1, "push"),
        (PUSH_BELOW, "partial"),
        (PULL_ABOVE - 1, "partial"),
        (PULL_ABOVE, "pull"),
    ],
)
def test_the_class_follows_the_number_of_followers(instance: Instance, followers: int, expected: str) -> None:
    author, *readers = events.take(followers + 1)
    instance.publish(events.followed(author, *readers))
    instance.settle()

    assert class_of_a_post(instance, author) == expected


def test_above_the_pull_threshold_a_post_sends_no_task_and_is_on_every_followers_page(
    instance: Instance,
) -> None:
    author, readers = author_with(instance, PULL_ABOVE)

    post, tasks = published(instance, author)

    assert tasks == []
    assert instance.timeline(readers) == set()
    for reader in readers:
        assert instance.paths(reader) == {post["post_id"]: "pull"}


def test_below_the_push_threshold_a_post_is_in_every_followers_rows(instance: Instance) -> None:
    author, readers = author_with(instance, PUSH_BELOW - 1)

    post, tasks = published(instance, author)

    assert [(task.first_segment, task.last_segment) for task in tasks] == [(0, 0)]
    assert instance.timeline(readers) == {(reader, post["post_id"]) for reader in readers}
    for reader in readers:
        assert instance.paths(reader) == {post["post_id"]: "push"}


def test_between_the_thresholds_a_post_is_pulled_over_cold_edges(instance: Instance) -> None:
    author, readers = author_with(instance, PUSH_BELOW)

    post, _ = published(instance, author)

    assert instance.timeline(readers) == set()
    for reader in readers:
        assert instance.paths(reader) == {post["post_id"]: "pull"}


def test_a_new_follower_is_given_what_was_posted_before_and_pushed_what_comes_after(
    instance: Instance,
) -> None:
    author, reader = events.take(2)
    before, _ = published(instance, author)
    instance.publish(events.followed(author, reader))
    instance.settle()
    instance.await_covered(author, [reader])

    after, _ = published(instance, author)

    assert instance.paths(reader) == {after["post_id"]: "push", before["post_id"]: "push"}


def test_ones_own_posts_are_there_without_a_follower(instance: Instance) -> None:
    (author,) = events.take(1)

    post, tasks = published(instance, author)

    assert tasks == []
    assert instance.paths(author) == {post["post_id"]: "own"}


def test_while_the_class_changes_every_follower_gets_every_post_once(instance: Instance) -> None:
    author, *readers = events.take(31)
    instance.publish(events.followed(author, *readers))
    instance.settle()
    since = instance.ends("posts.classified")

    with posting(instance, author) as posts:
        for below, above, expected in [
            (100, 200, "push"),
            (10, 20, "pull"),
            (20, 100, "partial"),
            (100, 200, "push"),
            (PUSH_BELOW, PULL_ABOVE, "partial"),
        ]:
            put(instance, below, above)
            eventually(lambda wanted=expected: class_of_a_post(instance, author) == wanted, 30)
            readers += events.take(1)
            instance.publish(events.followed(author, readers[-1]))
    instance.settle()

    told = classes(instance, author, since)
    assert {told[post["post_id"]] for post in posts} == {"push", "partial", "pull"}
    everything = sorted(told, reverse=True)
    for reader in readers:
        assert [post_id for post_id, _ in instance.walk(reader, limit=20)] == everything


@contextmanager
def posting(instance: Instance, author: int) -> Iterator[list[Event]]:
    """The author posts without a pause while the context lasts; yields the posts."""
    posts: list[Event] = []
    enough = threading.Event()

    def post() -> None:
        while not enough.wait(0.05):
            posts.append(events.post(author, f"post {len(posts)}"))
            instance.publish(posts[-1])

    poster = threading.Thread(target=post)
    poster.start()
    try:
        yield posts
    finally:
        enough.set()
        poster.join()

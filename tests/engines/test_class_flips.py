"""A class that changes every moment, by an operator's word, while posts stream: every feed stays whole."""

import asyncio
import itertools
import json
import time

from pipeline.domain.cost import COLD
from pipeline.ops import routing_forced
from pipeline.wire.records import AuthorClass, ForcedClass
from tests.engines import events
from tests.engines.harness import Instance
from tests.engines.test_push_and_pull import posting
from tests.engines.thresholds import classes
from tests.waiting import eventually

FLIPS = 50


def flip(instance: Instance, author: int, to: AuthorClass | None) -> None:
    """`tideline routing force`, or `release`, without the start of a process: the flips have to be quick."""
    if to is None:
        asyncio.run(routing_forced.release(instance.kafka, author))
    else:
        forced = ForcedClass(author, to, "a test", events.now())
        asyncio.run(routing_forced.force(instance.kafka, forced))


def test_a_class_flipped_fifty_times_while_posts_stream_loses_no_post(instance: Instance) -> None:
    """Five flips a second: forced to pull, released, forced to partial, released; new followers meanwhile."""
    author, *readers = events.take(21)
    instance.publish(events.followed(author, *readers))
    instance.settle()
    instance.await_covered(author, readers)
    since, seen = instance.ends("posts.classified"), instance.ends("posts.classified")
    began = time.monotonic()

    with posting(instance, author) as posts:
        for n in range(FLIPS):
            to = [AuthorClass.PULL, None, AuthorClass.PARTIAL, None][n % 4]
            flip(instance, author, to)
            wanted = "push" if to is None else to.value
            eventually(lambda: wanted in classes(instance, author, seen).values(), 30)  # noqa: B023
            seen = instance.ends("posts.classified")
            if n % 10 == 5:
                readers += events.take(1)
                instance.publish(events.followed(author, readers[-1]))
    took = time.monotonic() - began
    instance.settle()

    told = classes(instance, author, since)
    in_order = [told[post["post_id"]] for post in posts]
    changes = sum(a != b for a, b in itertools.pairwise(in_order))
    assert changes >= FLIPS - 1, f"{changes} changes in {took:.0f} s"
    everything = sorted(told, reverse=True)
    assert len(everything) == len(posts)
    for reader in readers:
        assert [post_id for post_id, _ in instance.walk(reader)] == everything


def test_what_rows_and_pulls_cost_is_measured_and_told(instance: Instance) -> None:
    """By the writers and the API, about every ten seconds; classify and `explain` read it from the topic.

    Whatever ran before: the first COLD rows and pulls of a process do not count.
    """
    author, reader = events.take(2)
    instance.publish(events.followed(author, reader))
    instance.settle()
    instance.await_covered(author, [reader])
    for _ in range(COLD + 1):
        published_as("push", instance, author)
    flip(instance, author, AuthorClass.PULL)
    for _ in range(COLD + 1):
        published_as("pull", instance, author)
        instance.settle()
        assert "pull" in instance.paths(reader).values()
    flip(instance, author, None)

    def told() -> set[bytes]:
        return {message.key() for message in instance.messages({("costs", 0): 0})}

    eventually(lambda: told() >= {b"row_seconds@fanout.small", b"pull_seconds@api"}, 30)


def test_a_class_is_forced_explained_and_released(instance: Instance) -> None:
    author, reader = events.take(2)
    instance.publish(events.followed(author, reader))
    instance.settle()
    posts = published_as("push", instance, author)

    instance.tideline("routing", "force", str(author), "pull", "--reason", "launch party")
    before = json.loads(instance.tideline("routing", "explain", str(author), "--json"))
    posts += published_as("pull", instance, author)
    told = json.loads(instance.tideline("routing", "explain", str(reader), str(author), "--json"))

    assert (before["class"], before["next_post"]["class"]) == ("push", "pull")
    assert (told["author"]["class"], told["author"]["reason"]) == ("pull", "forced: launch party")
    assert told["author"]["forced"]["reason"] == "launch party"
    assert [entry["since_post_id"] for entry in told["author"]["history"]] == [str(posts[-1])]
    assert told["follows"] is True
    assert (told["spans"][-1]["path"], told["spans"][-1]["to"]) == ("pull", None)
    instance.tideline("routing", "release", str(author))
    posts += published_as("push", instance, author)
    instance.settle()
    assert [post_id for post_id, _ in instance.walk(reader)] == sorted(posts, reverse=True)


def published_as(wanted: str, instance: Instance, author: int) -> list[int]:
    """Posts up to one of this class: an operator's word takes a moment to be heard."""
    posts: list[int] = []

    def another() -> bool:
        since, made = instance.ends("posts.classified"), events.post(author)
        posts.append(made["post_id"])
        instance.publish(made)
        return eventually(lambda: classes(instance, author, since).get(posts[-1]), 60) == wanted

    eventually(another, 60)
    return posts


def test_ids_that_nobody_has_heard_of_are_an_error(instance: Instance) -> None:
    author, reader = events.take(2)

    unknown = instance.command("routing", "explain", str(author))
    instance.publish(events.post(author))
    instance.settle()
    stranger = instance.command("routing", "explain", str(reader), str(author))

    assert (unknown.returncode, stranger.returncode) == (1, 1)
    assert f"nobody has heard of author {author}" in unknown.stderr
    assert f"nobody has heard of reader {reader}" in stranger.stderr
    assert instance.command("routing", "explain", "1", "2", "3").returncode == 2

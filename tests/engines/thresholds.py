"""Small thresholds, so that a dozen followers make a class: `tideline routing set`, and back again."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pipeline.wire.codec import decode
from pipeline.wire.records import ClassifiedPost
from tests.engines import events
from tests.engines.harness import Instance
from tests.waiting import eventually


@contextmanager
def thresholds(instance: Instance, push_below: int, pull_above: int) -> Iterator[None]:
    """These thresholds while the context lasts, the topology's after it; an author's posts show both."""
    author, *followers = events.take(pull_above + 1)
    instance.publish(events.followed(author, *followers))
    instance.settle()
    files = instance.topology.routing
    put(instance, push_below, pull_above)
    try:
        eventually(lambda: class_of_a_post(instance, author) == "pull", 30)
        yield
    finally:
        put(instance, files.push_below, files.pull_above)
        eventually(lambda: class_of_a_post(instance, author) == "push", 30)


def put(instance: Instance, push_below: int, pull_above: int) -> None:
    """`tideline routing set`; posts are classified by it a moment later."""
    instance.tideline("routing", "set", f"push_below={push_below}", f"pull_above={pull_above}")


def class_of_a_post(instance: Instance, author: int) -> str:
    """The class of a post the author makes now."""
    since, made = instance.ends("posts.classified"), events.post(author, "of which class?")
    instance.publish(made)
    return eventually(lambda: classes(instance, author, since).get(made["post_id"], ""), 60)


def classes(instance: Instance, author: int, since: Mapping[tuple[str, int], int]) -> dict[int, str]:
    """By post of the author, its class as told on posts.classified since."""
    told = (decode(message.value(), ClassifiedPost) for message in instance.messages(since))
    return {post.post_id: post.author_class.value for post in told if post.author_id == author}

"""Tiers do not hold each other up: with the writer of one stopped, the posts of the others arrive."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.engines import events
from tests.engines.harness import Instance
from tests.waiting import eventually

LARGE = 300
"""Followers from which on profile small-graph gives an author's posts to the tier `large`."""

LONG = 60
"""Seconds: many times the budget of the small tier, which is for a machine that runs nothing else. Posts that
wait for the stopped writer never arrive.
"""


@contextmanager
def stopped(instance: Instance, stage: str) -> Iterator[None]:
    """No worker of the stage while the context lasts."""
    instance.tideline("stage", "stop", stage)
    try:
        eventually(lambda: instance.worker(stage)["state"] == "stopped")
        yield
    finally:
        instance.tideline("stage", "start", stage)


def test_with_the_writer_of_the_large_tier_stopped_small_authors_posts_arrive_and_the_rest_later(
    instance: Instance,
) -> None:
    celebrity, *fans = events.take(LARGE + 1)
    author, *readers = events.take(11)
    instance.publish(events.followed(celebrity, *fans), events.followed(author, *readers))
    instance.settle()
    instance.await_covered(celebrity, fans[:1])
    instance.await_covered(author, readers)
    burst = [events.post(celebrity, f"burst {number}") for number in range(20)]
    posts = [events.post(author, f"post {number}") for number in range(3)]
    expected = sorted((post["post_id"] for post in posts), reverse=True)

    with stopped(instance, "fanout.large"):
        instance.publish(*burst, *posts)
        for reader in readers:
            eventually(lambda reader=reader: [*instance.paths(reader)] == expected, LONG)

        assert {path for reader in readers for path in instance.paths(reader).values()} == {"push"}
        eventually(lambda: instance.lag("fanout.large").lag == len(burst), LONG)
        assert instance.timeline(fans) == set()
        assert not any(instance.paths(fan) for fan in fans[:10])

    instance.settle()
    assert instance.timeline(fans) == {(fan, post["post_id"]) for fan in fans for post in burst}
    assert len(instance.walk(fans[0])) == len(burst)

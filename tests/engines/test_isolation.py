"""Tiers do not hold each other up: with one stopped, the others are as fast as before."""

import time
from collections.abc import Iterator

import pytest

from tests.engines import events
from tests.engines.harness import Instance
from tests.waiting import eventually

LARGE = 300
"""Followers from which on profile small-graph gives an author's posts to the tier `large`."""

GENEROUS = 5
"""Budgets are for a machine that runs nothing else; a broken isolation does not end after five of them."""


@pytest.fixture
def large_stopped(instance: Instance) -> Iterator[None]:
    """No writer of fanout.large; there is one again at the end."""
    instance.tideline("stage", "stop", "fanout.large")
    yield
    instance.tideline("stage", "start", "fanout.large")


def test_with_the_writer_of_the_large_tier_stopped_small_authors_posts_arrive_and_the_rest_later(
    instance: Instance, request: pytest.FixtureRequest
) -> None:
    celebrity, *fans = events.take(LARGE + 1)
    author, *readers = events.take(11)
    instance.publish(events.followed(celebrity, *fans), events.followed(author, *readers))
    instance.settle()
    instance.await_covered(celebrity, fans[:1])
    instance.await_covered(author, readers)
    request.getfixturevalue("large_stopped")
    eventually(lambda: instance.worker("fanout.large")["state"] == "stopped")

    burst = [events.post(celebrity, f"burst {number}") for number in range(20)]
    posts = [events.post(author, f"post {number}") for number in range(3)]
    instance.publish(*burst, *posts)
    began = time.monotonic()
    expected = sorted((post["post_id"] for post in posts), reverse=True)
    for reader in readers:
        eventually(lambda reader=reader: [*instance.paths(reader)] == expected, 30)
    seconds = time.monotonic() - began

    assert seconds < GENEROUS * instance.topology.tiers["small"].lag_budget
    assert {path for reader in readers for path in instance.paths(reader).values()} == {"push"}
    assert instance.timeline(fans) == set()
    behind = instance.lag("fanout.large")
    assert behind.lag == len(burst)
    assert behind.age_s is not None
    assert behind.age_s > 0

    instance.tideline("stage", "start", "fanout.large")
    instance.settle()

    assert instance.timeline(fans) == {(fan, post["post_id"]) for fan in fans for post in burst}
    assert len(instance.walk(fans[0])) == len(burst)

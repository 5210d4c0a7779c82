"""`tideline drain` on a whole run: no new work goes into a tier until it is empty, and no reader misses a post."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.engines import events
from tests.engines.harness import REPOSITORY, Instance
from tests.engines.test_isolation import stopped
from tests.waiting import eventually


def shed_by_hand(instance: Instance) -> list[str]:
    """The tiers that an operator keeps new work out of, and as what it is posted instead."""
    in_force = json.loads(instance.tideline("contain", "list", "--json"))
    by_hand = [one for one in in_force if (one["kind"], one["by"]) == ("shed", "operator")]
    return [f"{one['target']} {one['class']}" for one in by_hand]


@contextmanager
def paused(instance: Instance, stage: str) -> Iterator[None]:
    """A worker that is in its group and does nothing."""
    pid = instance.worker(stage)["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def author_of(instance: Instance, readers: list[int]) -> int:
    (author,) = events.take(1)
    instance.publish(events.followed(author, *readers))
    instance.settle()
    instance.await_covered(author, readers)
    return author


def test_no_new_work_goes_in_until_the_tier_is_empty_and_every_post_arrives(instance: Instance) -> None:
    readers = events.take(3)
    author = author_of(instance, readers)
    waiting = events.post(author, "waiting")

    with paused(instance, "fanout.small"):
        instance.publish(waiting)
        eventually(lambda: instance.lag("fanout.small").lag == 1, 30)
        instance.tideline("contain", "shed", "small", "--class", "partial")
        draining = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "drain", "small", "--json"],
            cwd=REPOSITORY,
            env=instance.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        eventually(lambda: shed_by_hand(instance) == ["small pull"], 30)
        meanwhile = events.post(author, "meanwhile")
        instance.publish(meanwhile)
        instance.settle_but("fanout.small")
        assert instance.lag("fanout.small").lag == 1
        assert draining.poll() is None
    out, err = draining.communicate(timeout=120)

    assert draining.returncode == 0, err.decode()
    said = json.loads(out)
    assert (said["tier"], said["tasks"]) == ("small", 1)
    assert shed_by_hand(instance) == ["small partial"]  # as it was before
    instance.tideline("contain", "release", "shed", "small")
    after = events.post(author, "after")
    instance.publish(after)
    instance.settle()
    posts = [each["post_id"] for each in (after, meanwhile, waiting)]
    for reader in readers:
        assert [post for post, _ in instance.walk(reader)] == posts
    assert instance.timeline(readers) >= {(reader, waiting["post_id"]) for reader in readers}


def test_a_tier_that_nobody_works_on_is_not_waited_for(instance: Instance) -> None:
    author = author_of(instance, events.take(2))
    with stopped(instance, "fanout.small"):
        instance.publish(events.post(author))
        instance.settle_but("fanout.small")

        refused = instance.command("drain", "small")

        assert refused.returncode == 1
        assert "nobody works on it" in refused.stderr
        assert "tideline stage start fanout.small" in refused.stderr
        assert shed_by_hand(instance) == []


def test_a_tier_that_is_not_there_is_an_error(instance: Instance) -> None:
    refused = instance.command("drain", "tiny")

    assert refused.returncode == 1
    assert "known: small, medium, large" in refused.stderr

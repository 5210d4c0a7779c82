"""Lag budgets that act: a burst is contained while its tier is behind, nothing is lost, and all is released."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from confluent_kafka import Consumer

from pipeline.kafka.quotas import Quotas
from pipeline.ops import containment
from pipeline.wire.records import AuthorClass, Containment
from tests.engines import events
from tests.engines.harness import REPOSITORY, Instance
from tests.engines.test_isolation import LARGE, stopped
from tests.waiting import eventually

LONG = 90
"""Seconds: the budget of the large tier, how long things are held, and a slow machine."""


@pytest.fixture
def controlled(instance: Instance) -> Iterator[Instance]:
    """The instance with its controller, which the other tests do without."""
    instance.tideline("stage", "start", "controller")
    yield instance
    instance.tideline("stage", "stop", "controller")
    for one in in_force(instance):
        instance.tideline("contain", "release", one["kind"], one["target"])


@contextmanager
def another_controller(instance: Instance) -> Iterator["subprocess.Popen[bytes]"]:
    """A second process of the stage, started by hand."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "worker", "controller"],
        cwd=REPOSITORY,
        env=instance.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def stuck(instance: Instance, tier: str) -> Iterator[None]:
    """A worker that is in the group of the tier, and does nothing; for a dead one nobody is contained."""
    spec, ended = instance.topology.tiers[tier], threading.Event()
    settings = {"bootstrap.servers": instance.kafka, "group.id": spec.group, "enable.auto.commit": False}
    with closing(Consumer({**settings, "log_level": 2})) as consumer:
        consumer.subscribe([instance.topology.topics[spec.topic].name])
        eventually(lambda: consumer.poll(0.1) or consumer.assignment(), LONG)

        def stay() -> None:
            while not ended.is_set():
                consumer.poll(0.1)

        thread = threading.Thread(target=stay)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def in_force(instance: Instance) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(instance.tideline("contain", "list", "--json"))
    return found


def held(instance: Instance) -> set[tuple[str, str]]:
    """Asked again and again, so without the start of a process."""
    found = containment.read(instance.kafka, now_ms=time.time_ns() // 1_000_000)
    return {(one.kind, one.target) for one in found}


def journal(instance: Instance, since_ms: int) -> list[tuple[str, str, str]]:
    """What was done since, but for what only went on."""
    entries = json.loads(instance.tideline("contain", "journal", "--limit", "500", "--json"))
    return [
        (one["event"], one["kind"], one["target"])
        for one in entries
        if one["at"] >= since_ms and one["event"] != "extended"
    ]


def test_a_burst_is_contained_and_released_whoever_of_two_controllers_dies(controlled: Instance) -> None:
    """With a writer of the large tier that does nothing; the posts of the burst are all read, once."""
    celebrity, *fans = events.take(LARGE + 1)
    controlled.publish(events.followed(celebrity, *fans))
    controlled.settle()
    controlled.await_covered(celebrity, fans[:1])
    burst = [events.post(celebrity, f"burst {number}") for number in range(20)]
    me, began = str(celebrity), time.time_ns() // 1_000_000
    wanted = {("shed", "large"), ("pull", me), ("defer", "backfill"), ("defer", "retract")}

    with another_controller(controlled):
        with stopped(controlled, "fanout.large"), stuck(controlled, "large"):
            controlled.publish(*burst)
            eventually(lambda: held(controlled) >= wanted, LONG)
            breach = (
                events.time_of(burst[0]["post_id"]) + 1000 * controlled.topology.tiers["large"].lag_budget
            )
            acted = max(one["since"] for one in in_force(controlled) if one["kind"] in ("shed", "pull"))
            assert (
                float(acted) - breach <= 15_000
            )  # 5 s is measured by `bench burst`; other tests run beside this

            os.kill(controlled.worker("controller")["pid"], signal.SIGKILL)
            late = [events.post(celebrity, f"late {number}") for number in range(3)]
            controlled.publish(*late)
            newest = [post["post_id"] for post in reversed(late)]
            eventually(lambda: [*controlled.paths(fans[0])] == newest, LONG)
            assert set(controlled.paths(fans[0]).values()) == {"pull"}
            assert held(controlled) >= wanted
        controlled.settle()
        eventually(lambda: not held(controlled), LONG)
        ends = {("released", *each) for each in wanted}  # told by the look after the end
        eventually(lambda: {*journal(controlled, began)} >= ends, LONG)

    story = journal(controlled, began)
    for each in wanted:
        assert story.count(("started", *each)) == 1
        assert story.count(("released", *each)) == 1
        assert story.index(("started", *each)) < story.index(("released", *each))
    everything = sorted(post["post_id"] for post in (*burst, *late))
    for fan in (fans[0], fans[-1]):
        assert sorted(post for post, _ in controlled.walk(fan)) == everything


def test_a_frozen_tier_delivers_nothing_and_its_authors_are_pulled_until_it_is_released(
    instance: Instance,
) -> None:
    author, *readers = events.take(4)
    instance.publish(events.followed(author, *readers))
    instance.settle()
    instance.await_covered(author, readers)

    instance.tideline("contain", "freeze", "small", "--reason", "a test", "--for", "5m")
    frozen = events.post(author, "frozen")
    instance.publish(frozen)
    eventually(lambda: instance.paths(readers[0]) == {frozen["post_id"]: "pull"})
    instance.tideline("contain", "release", "freeze", "small")
    after = events.post(author, "after")
    instance.publish(after)
    instance.settle()

    paths = instance.paths(readers[0])  # around a change both paths have a post
    assert paths.keys() == {after["post_id"], frozen["post_id"]}
    assert (paths[after["post_id"]][:4], paths[frozen["post_id"]]) == ("push", "pull")


def test_a_producer_is_throttled_by_hand_and_let_go_by_the_controller(controlled: Instance) -> None:
    quotas = Quotas(controlled.kafka)
    name = f"by hand {events.take(1)[0]}"
    controlled.tideline("contain", "throttle", name, "5000", "--for", "10m")
    eventually(lambda: asyncio.run(quotas.all()).get(name) == 5000, LONG)
    controlled.tideline("contain", "throttle", name, "7000")
    eventually(lambda: asyncio.run(quotas.all()).get(name) == 7000, LONG)

    controlled.tideline("contain", "release", "throttle", name)
    eventually(lambda: name not in asyncio.run(quotas.all()), LONG)
    assert ("throttle", name) not in held(controlled)


def test_a_quota_of_somebody_else_is_not_taken_over(instance: Instance) -> None:
    name = f"somebody else {events.take(1)[0]}"
    asyncio.run(Quotas(instance.kafka).put({name: 9000}))
    done = instance.command("contain", "throttle", name, "5000")

    assert done.returncode == 1
    assert "the broker has a quota of 9000 bytes/s for it" in done.stderr
    assert asyncio.run(Quotas(instance.kafka).all())[name] == 9000
    asyncio.run(Quotas(instance.kafka).put({name: None}))


def test_what_is_released_is_released_whoever_put_it_there(instance: Instance) -> None:
    """A controller that has not heard of what an operator did leaves it alone: both are there."""
    now = time.time_ns() // 1_000_000
    mine = Containment("shed", "large", AuthorClass.PARTIAL, 0, "a test", "operator", now, 0)
    theirs = replace(mine, by="controller", until=now + 60_000, tier="large")
    for one in (mine, theirs):
        asyncio.run(containment.put(instance.kafka, one))
    assert sorted(one["by"] for one in in_force(instance)) == ["controller", "operator"]

    done = instance.command("contain", "release", "shed", "large")

    assert done.stderr.count("shed large: released; it was a test") == 2
    assert in_force(instance) == []
    assert journal(instance, now)[-2:] == [("released", "shed", "large")] * 2


def test_a_dry_run_says_whom_it_would_touch_and_does_nothing(instance: Instance) -> None:
    author, *readers = events.take(5)
    instance.publish(events.followed(author, *readers))
    instance.settle()

    radius = json.loads(instance.tideline("contain", "pull", str(author), "--dry-run", "--json"))["radius"]
    tier = json.loads(instance.tideline("contain", "shed", "small", "--dry-run", "--json"))["radius"]

    assert (radius["followers"], radius["tier"], radius["deliveries_saved_a_post"]) == (4, "small", 4)
    assert (tier["records_waiting"], tier["oldest_s"]) == (0, 0.0)
    assert in_force(instance) == []


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("shed", "huge"), "known: small, medium, large"),
        (("throttle", "workers", "5000"), "that is the pipeline itself"),
        (("release", "pull", "7"), "nothing of that is in force"),
        (("pull", "7", "--for", "soon"), "is no duration such as"),
    ],
)
def test_what_cannot_be_done_is_said(instance: Instance, words: tuple[str, ...], hint: str) -> None:
    done = instance.command("contain", *words)

    assert done.returncode in (1, 2)
    assert hint in done.stderr


def test_ages_are_right_with_every_worker_dead(instance: Instance) -> None:
    """Of each tier and shard: that of the oldest post that waits there."""
    stages = [one["stage"] for one in instance.description()["workers"]]
    tiers = [stage for stage in stages if stage.startswith("fanout.")]
    authors = events.take(100)
    fan = events.take(1)[0]
    instance.publish(*(events.followed(author, fan) for author in authors))
    instance.settle()
    with stopped(instance, "fanout.small"):
        posts = [events.post(author, "waits") for author in authors]
        instance.publish(*posts)
        instance.settle_but("fanout.small")
        others = [stage for stage in dict.fromkeys(stages) if stage not in (*tiers, "controller")]
        for stage in others:
            instance.tideline("stage", "stop", stage)
        try:
            found = {one["stage"]: one for one in json.loads(instance.tideline("lag", "--json"))}
            now = time.time_ns() // 1_000_000
            waiting = found["fanout.small"]
            oldest = min(events.time_of(post["post_id"]) for post in posts)
            assert waiting["lag"] == 100
            assert abs(waiting["age_seconds"] - (now - oldest) / 1000) < 1
            ages = [one["age_s"] for one in waiting["partitions"] if one["lag"]]
            assert len(ages) > 4
            assert all(abs(age - (now - oldest) / 1000) < 2 for age in ages)
            assert found["fanout.large"]["age_seconds"] == 0
        finally:
            for stage in others:
                instance.tideline("stage", "start", stage)
    instance.settle()

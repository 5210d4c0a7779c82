"""`kill -9` of every stage in mid-burst: the supervisor starts it again, and no feed is wrong by a post."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.wire.codec import decode, encode
from pipeline.wire.records import TimelineReply, TimelineRequest
from tests.engines import events
from tests.engines.harness import Instance
from tests.engines.thresholds import thresholds
from tests.engines.traffic import Traffic
from tests.waiting import eventually

STAGES = (
    "graph",
    "readers",
    "moderation",
    "classify",
    "fanout.small",
    "fanout.medium",
    "fanout.large",
    "query",
    "api",
)
READERS = 360
AUDIENCES = (3, 10, 20, 40, 60, 200, 310, 325, 345)
"""Followers of each author: under the thresholds of this module every tier and every class occurs."""

BURST = 120


@pytest.fixture(scope="module", autouse=True)
def all_classes(instance: Instance) -> Iterator[None]:
    with thresholds(instance, 320, 340):
        yield


def kill(instance: Instance, stage: str) -> None:
    """SIGKILL, and wait until the supervisor has started it again."""
    before = instance.worker(stage)
    os.kill(before["pid"], signal.SIGKILL)

    def again() -> bool:
        now = instance.worker(stage)
        return now["restarts"] == before["restarts"] + 1 and now["pid"] not in (None, before["pid"])

    eventually(again, 60)


def ask(instance: Instance, readers: list[int]) -> list[str]:
    """A page for each of these readers over Kafka; returns the ids of the requests."""
    ids = [f"crash-{number}" for number in events.take(len(readers))]
    for request_id, reader in zip(ids, readers, strict=True):
        request = TimelineRequest(request_id, reader, 20, None, "latest", False, "timeline.replies")
        instance.send("timeline.requests", encode(request), b"%d" % reader)
    instance.flush()
    return ids


def test_killed_in_mid_burst_every_stage_comes_back_and_every_feed_is_complete(instance: Instance) -> None:
    traffic = Traffic(seed=3, readers=READERS, audiences=AUDIENCES)
    since = instance.ends("timeline.replies")
    instance.publish(*traffic.opening())
    asked: list[str] = []

    for stage in STAGES:
        instance.publish(
            *traffic.burst(BURST)
        )  # acknowledged by the broker, and killed before it is worked off
        asked += ask(instance, traffic.readers[:20])
        kill(instance, stage)
        instance.publish(*traffic.burst(BURST // 4))

    instance.settle()
    for stage in STAGES:
        eventually(lambda stage=stage: instance.worker(stage)["state"] == "ready", 60)
    with ThreadPoolExecutor(4) as pool:
        feeds = dict(zip(traffic.readers, pool.map(instance.walk, traffic.readers), strict=True))
    expected = {reader: traffic.model.feed(reader) for reader in traffic.readers}
    assert sum(map(len, expected.values())) > 10 * READERS
    assert {reader: wrong for reader in feeds if (wrong := _wrong(feeds[reader], expected[reader]))} == {}
    assert feeds == expected

    replies = (decode(message.value(), TimelineReply) for message in instance.messages(since))
    assert {reply.request_id for reply in replies if reply.status == 200} >= set(asked)


def _wrong(feed: list[tuple[int, str]], expected: list[tuple[int, str]]) -> dict[str, list[tuple[int, str]]]:
    """What the feed lacks, has twice, or must not have; empty where it is right."""
    found = {
        "missing": sorted(set(expected) - set(feed)),
        "forbidden": sorted(set(feed) - set(expected)),
        "twice": sorted({item for item in feed if feed.count(item) > 1}),
    }
    return {what: items for what, items in found.items() if items}

"""`tideline replay`: every topic again from its beginning; tables and pages stay as they are."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engines.harness import Instance
from tests.engines.model import Shown
from tests.engines.test_replay import pages_of, tables_of, timelines_of, world
from tests.engines.thresholds import classes, thresholds
from tests.waiting import eventually

Timelines = dict[tuple[int, int], tuple[Any, ...]]


@pytest.fixture(scope="module", autouse=True)
def all_classes(instance: Instance) -> Iterator[None]:
    with thresholds(instance, 20, 40):
        yield


def shown(timelines: Timelines, pages: dict[int, list[Shown]]) -> Timelines:
    """The rows of posts that are on their reader's page.

    Rows of a post that everybody is refused are clean-up, and may be gone after a replay: a take-down that came
    before its post was classified finds nothing to retract the first time, and does the second.
    """
    seen = {reader: {post for post, _ in feed} for reader, feed in pages.items()}
    return {(reader, post): row for (reader, post), row in timelines.items() if post in seen[reader]}


def test_all_topics_processed_again_leave_the_same_tables_and_pages(instance: Instance) -> None:
    traffic = world(seed=6)
    instance.publish(*traffic.opening())
    for _ in range(3):
        instance.publish(*traffic.burst(80))
    instance.settle()
    tables, timelines = tables_of(instance, traffic), timelines_of(instance, traffic)
    pages = pages_of(instance, traffic)
    since = instance.ends("posts.classified")
    assert all(tables.values())

    told = json.loads(instance.tideline("replay", "--all", "--execute", "--json"))

    assert (told["executed"], told["settled"]) == (True, True)
    again = {stage["stage"]: stage["again"] for stage in told["stages"]}
    assert all(again[stage] for stage in ("graph", "readers", "policy", "classify", "fanout.small"))
    instance.settle()
    for author in traffic.authors:
        assert classes(instance, author, since), "no post of the author went out again"
    assert tables_of(instance, traffic) == tables
    assert shown(timelines_of(instance, traffic), pages) == shown(timelines, pages)
    assert pages_of(instance, traffic) == pages


def test_a_dry_run_says_what_it_would_do_and_does_nothing(instance: Instance) -> None:
    pids = {worker["pid"] for worker in instance.description()["workers"]}
    ends = instance.ends("posts.classified")

    done = instance.command("replay", "classify", "graph")

    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["stage", "graph", "classify"]
    assert "dry run" in done.stderr
    assert "tideline replay graph classify --execute" in done.stderr
    instance.settle()
    assert instance.messages(ends) == []
    assert {worker["pid"] for worker in instance.description()["workers"]} == pids


def test_a_group_that_others_work_in_is_refused(instance: Instance, tmp_path: Path) -> None:
    """Asked from a home where nothing runs: there is nobody whom the command could tell to stop."""
    before = instance.lag("classify").partitions

    done = instance.command("replay", "classify", "--execute", TIDELINE_HOME=str(tmp_path))

    assert done.returncode == 1
    assert "active in tideline.classify" in done.stderr
    assert "tideline stop --home" in done.stderr
    assert instance.lag("classify").partitions == before


def test_a_stage_that_is_stopped_stays_stopped_and_begins_anew_when_started(instance: Instance) -> None:
    instance.tideline("stage", "stop", "readers")

    done = instance.command("replay", "readers", "--execute")

    assert done.returncode == 0, done.stderr
    assert "not running, so they go on when started: readers" in done.stderr
    assert instance.worker("readers")["state"] == "stopped"
    assert (instance.lag("readers").lag or 0) > 0
    instance.tideline("stage", "start", "readers")
    eventually(lambda: instance.lag("readers").lag == 0, 60)


@pytest.mark.parametrize("arguments", [[], ["graph", "--all"]])
def test_either_stages_or_all(instance: Instance, arguments: list[str]) -> None:
    assert instance.command("replay", *arguments).returncode == 2

"""`tideline replay`: what it says, and what it refuses. A whole one is in tests/instances/test_domains.py."""

from pathlib import Path

import pytest

from tests.engines.harness import Instance
from tests.waiting import eventually


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

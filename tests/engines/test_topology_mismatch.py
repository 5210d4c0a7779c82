"""A worker does not start on a cluster that is not as its topology says."""

import re
import shutil
from pathlib import Path

import pytest

from pipeline.config import shipped
from tests.engines.harness import Instance


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    """A copy of the shipped topology."""
    return Path(shutil.copytree(shipped.folder("topology"), tmp_path / "topology"))


def give_posts(topology: Path, partitions: int) -> None:
    """Let the topology want another number of partitions for the topic `posts`, which has 4."""
    file = topology / "topics.yaml"
    before = file.read_text()
    after = re.sub(r"(name: posts\nspec:\n  partitions:) 4", rf"\1 {partitions}", before)
    assert after != before
    file.write_text(after)


@pytest.mark.parametrize(
    ("partitions", "reason"),
    [
        (3, "topic posts: there is 4 partitions, wanted is 3 partitions"),
        (5, "raise partitions of posts: 4 -> 5"),
    ],
)
@pytest.mark.parametrize("stage", ["classify", "graph", "api"])
def test_a_worker_refuses_another_number_of_partitions(
    instance: Instance, topology: Path, partitions: int, reason: str, stage: str
) -> None:
    give_posts(topology, partitions)

    done = instance.command("worker", stage, TIDELINE_TOPOLOGY=str(topology))

    assert done.returncode == 1
    assert f"error: {stage} does not start on another topology: {reason}" in done.stderr
    assert "hint: tideline topology apply" in done.stderr
    assert instance.worker(stage)["state"] == "ready"


def test_a_worker_refuses_a_keyspace_without_tables(instance: Instance) -> None:
    done = instance.command("worker", "classify", TIDELINE_KEYSPACE="nobodys")

    assert done.returncode == 1
    assert "classify does not start on another topology: create keyspace nobodys" in done.stderr


def test_a_whole_run_refuses_to_take_partitions_away(
    instance: Instance, topology: Path, tmp_path: Path
) -> None:
    give_posts(topology, 3)

    home = tmp_path / "home"
    done = instance.command("run", TIDELINE_TOPOLOGY=str(topology), TIDELINE_HOME=str(home))

    assert done.returncode == 1
    assert "topic posts: there is 4 partitions, wanted is 3 partitions" in done.stderr
    assert "hint: nothing was changed" in done.stderr
    assert not (home / "instance.json").exists()

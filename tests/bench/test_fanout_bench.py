"""`tideline bench fanout`, tiny: its output, the equal work of its contenders, and what it leaves behind.

How fast anything was is nobody's business here: the machine is shared.
"""

import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import psutil
import pytest

from pipeline.bench.figures import BenchReport, Turn
from pipeline.bench.workload import Workload
from pipeline.store.cassandra import connect

REPOSITORY = Path(__file__).parents[2]
CONTENDERS = ["ceiling", "pipeline", "row-at-a-time"]
FOLLOWERS, ROUNDS = 1_100, 2  # two segments an author
ROWS = 3 * FOLLOWERS

MARK = f"TIDELINE_BENCH_TEST_{uuid.uuid4().hex}"
"""In the environment of everything the run started."""


@pytest.fixture(scope="module")
def run(engines) -> subprocess.CompletedProcess:
    others = {name: value for name, value in os.environ.items() if not name.startswith("TIDELINE_")}
    given = {"TIDELINE_KAFKA": engines.kafka, "TIDELINE_CASSANDRA": engines.cassandra, MARK: "1"}
    size = ["--rows", str(ROWS), "--followers", str(FOLLOWERS), "--rounds", str(ROUNDS)]
    return subprocess.run(
        [sys.executable, "-m", "pipeline", "bench", "fanout", *size, "--json"],
        cwd=REPOSITORY,
        env={**others, **given},
        capture_output=True,
        text=True,
        timeout=300,
    )


def environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}


@pytest.fixture(scope="module")
def report(run) -> dict:
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_all_contenders_wrote_exactly_the_rows_of_the_workload(report):
    """Each turn counts by a query, and the run fails when a row is missing or is another than wanted."""
    assert report["workload"] == {"posts": 3, "followers": FOLLOWERS, "rows": ROWS}
    assert [(turn["contender"], turn["round"], turn["rows"]) for turn in report["turns"]] == [
        (contender, number, ROWS) for number in range(1, ROUNDS + 1) for contender in CONTENDERS
    ]


def test_cpu_time_is_told_by_process(report):
    writers = {turn["contender"]: set(turn["cpu_s"]) - {"client"} for turn in report["turns"]}

    assert writers == {
        "ceiling": {"ceiling"},
        "pipeline": {"classify", "fanout.medium"},
        "row-at-a-time": {"row-at-a-time"},
    }
    assert all(spent >= 0 for turn in report["turns"] for spent in turn["cpu_s"].values())


def test_each_contender_has_its_figures_and_each_ratio_its_verdict(report):
    assert list(report["contenders"]) == CONTENDERS
    assert all(figures["rows_s"] > 0 for figures in report["contenders"].values())
    assert [(each["ratio"], each["required"], len(each["rounds"])) for each in report["ratios"]] == [
        ("pipeline / ceiling", 0.6, ROUNDS),
        ("pipeline / row-at-a-time", 4.0, ROUNDS),
    ]


def test_talk_goes_to_stderr(run):
    assert f"round {ROUNDS} of {ROUNDS}: row-at-a-time" in run.stderr
    assert "round" not in run.stdout.partition("{")[0]


async def test_no_process_and_no_keyspace_is_left(run, engines):
    db = await connect(engines.cassandra)
    there = await db.query("SELECT keyspace_name FROM system_schema.keyspaces")
    await db.close()

    made = set(re.findall(r"bench_\w+", run.stderr))
    assert len(made) == 3
    assert made.isdisjoint(name for (name,) in there)
    assert [process.cmdline() for process in psutil.process_iter() if MARK in environment(process)] == []


def test_an_audience_that_is_not_pushed_to_is_refused():
    run = subprocess.run(
        [sys.executable, "-m", "pipeline", "bench", "fanout", "--followers", "100000"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (run.returncode, run.stdout) == (1, "")
    assert "100000 followers are not pushed to: push_below is 100000" in run.stderr


def test_a_ratio_is_formed_within_a_round():
    """The machine was three times as fast in the second round: only pairs may be compared."""
    seconds = {"ceiling": [6.0, 2.0], "pipeline": [8.0, 4.0], "row-at-a-time": [80.0, 20.0]}
    turns = [
        Turn(name, number + 1, seconds[name][number], 1200, {}) for number in range(2) for name in CONTENDERS
    ]

    verdicts = BenchReport({}, {}, turns, dict.fromkeys(CONTENDERS)).verdicts()

    assert [(each["rounds"], each["median"], each["met"]) for each in verdicts] == [
        ([0.75, 0.5], 0.625, True),
        ([10.0, 5.0], 7.5, True),
    ]


@pytest.mark.parametrize(("followers", "sizes"), [(1, [1]), (1000, [1000]), (1001, [1000, 1])])
def test_a_workload_is_the_same_in_every_process(followers, sizes):
    first, second = Workload(2, followers, 1000), Workload(2, followers, 1000)

    assert first.table(1_700_000_000_000) == second.table(1_700_000_000_000)
    assert len(first.table(1_700_000_000_000)) == first.rows == 2 * followers
    assert [len(segment) for segment in first.segments(1)] == sizes
    assert all(list(segment) == sorted(set(segment)) for segment in first.segments(2))

"""`tideline lag`, `budget` and `groups` as an SRE runs them, on a real Kafka without a worker or a controller.

They share a domain of its own: its topics hold what the first fixture put there.
"""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from typer.testing import CliRunner

from pipeline import cli, topology
from pipeline.config import shipped
from pipeline.kafka.offsets import Offsets
from pipeline.wire.codec import encode
from pipeline.wire.records import Burn, ShardHealth, StageHealth
from tests.waiting import eventually


def now_ms():
    return time.time_ns() // 1_000_000


class Domain:
    """A domain with nobody at work: 100 posts wait in the tier `small`, the oldest of shard n for n + 3 s."""

    def __init__(self, kafka, folder):
        self.kafka, self.name, self.folder = kafka, f"lag{uuid4().hex[:8]}", folder
        shutil.copytree(shipped.folder("topology"), folder)
        text = f"apiVersion: tideline/v1\nkind: Domain\nmetadata: {{name: {self.name}}}\nspec: {{}}\n"
        (folder / "domains" / f"{self.name}.yaml").write_text(text)
        self.topology = topology.load(folder).of(self.name)
        admin = AdminClient({"bootstrap.servers": kafka})
        wanted = [NewTopic(spec.name, spec.partitions, 1) for spec in self.topology.topics.values()]
        for future in admin.create_topics(wanted).values():
            future.result(60)
        places = self.topology.places(self.topology.topics)
        with Offsets(kafka) as offsets:
            eventually(lambda: len(offsets.ends(places)) == len(places), 30)
        self.producer = Producer({"bootstrap.servers": kafka, "log_level": 0})
        self.shards = self.topology.topics["fanout.small"].partitions
        now = now_ms()
        self.origins = {shard: now - (shard + 3) * 1000 for shard in range(self.shards)}
        for n in range(100):
            shard = n % self.shards
            origin = self.origins[shard] + n // self.shards
            self.send(
                "fanout.small", b"x", partition=shard, headers=[("tideline_entered_at", b"%d" % origin)]
            )
        self.flush()

    def send(self, topic, value, **more):
        self.producer.produce(self.topology.names.topic(topic), value, **more)

    def flush(self):
        assert self.producer.flush(30) == 0

    def say(self, *records):
        """As a controller does."""
        for one in records:
            self.send("pipeline.health", encode(one), key=one.stage)
        self.flush()


@pytest.fixture(scope="module")
def domain(engines, tmp_path_factory):
    return Domain(engines.kafka, tmp_path_factory.mktemp("lag") / "topology")


@pytest.fixture
def start(domain, tideline):
    """`start(…)`: the command on this domain."""
    return lambda *words: tideline(*words, "--domain", domain.name, TIDELINE_TOPOLOGY=str(domain.folder))


@pytest.fixture
def run(start):
    """`run(…)`: exit code, data and talk."""

    def to_its_end(*words):
        command = start(*words)
        out, err = command.communicate(timeout=60)
        return command.returncode, out, err

    return to_its_end


def of(rows, stage):
    return next(row for row in rows if row["stage"] == stage)


def test_ages_are_right_per_tier_and_shard_with_every_worker_dead(domain, run):
    before = now_ms()
    code, out, err = run("lag", "--json")
    after = now_ms()

    small = of(json.loads(out), "fanout.small")
    assert (code, err) == (0, "")
    assert small["lag"] == 100
    assert [one["oldest_ms"] for one in small["partitions"]] == list(domain.origins.values())
    for one in (small, *small["partitions"]):
        origin = one.get("oldest_ms", min(domain.origins.values()))
        age = one.get("age_seconds", one.get("age_s"))
        assert (before - origin) / 1000 <= age <= (after - origin) / 1000


def test_no_stage_without_a_live_worker_is_ok_and_each_says_what_to_do(run):
    """Also of those for which nothing waits; that something does is said."""
    rows = json.loads(run("lag", "--json")[1])
    first = {command: run(command)[1].splitlines()[0] for command in ("lag", "budget")}

    assert {(row["status"], row["workers"]) for row in rows} == {("STOP", 0)}
    small = of(rows, "fanout.small")
    assert small["next"].startswith("tideline worker ")
    assert f"fanout.small: no live worker, 100 records wait: {small['next']}" in run("lag")[1]
    assert all("no live worker" in line for line in first.values())


def test_a_breach_exits_with_3_for_who_asks(run):
    """The tier's 2 s are long over."""
    assert run("lag", "--json")[0] == 0
    assert run("lag", "--json", "--fail-on-breach")[0] == 3
    assert run("budget", "--json")[0] == 0
    assert run("budget", "--json", "--fail-on-breach")[0] == 3


def test_watching_goes_on_until_it_is_interrupted(start):
    command = start("lag", "--watch", "--json")

    looks = [json.loads(command.stdout.readline()) for _ in range(3)]
    command.send_signal(signal.SIGINT)
    _, err = command.communicate(timeout=30)

    assert (command.returncode, err) == (0, "")
    ages = [of(look, "fanout.small")["age_seconds"] for look in looks]
    assert ages[2] - ages[0] == pytest.approx(2, abs=0.8)


def test_on_a_terminal_the_table_is_drawn_in_place(domain, tmp_path):
    ours, its = pty.openpty()
    place = {
        "TIDELINE_HOME": str(tmp_path),
        "TIDELINE_KAFKA": domain.kafka,
        "TIDELINE_TOPOLOGY": str(domain.folder),
    }
    command = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "lag", "--watch", "--domain", domain.name],
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120", **place},
        stdout=its,
        stderr=subprocess.PIPE,
    )
    os.close(its)
    try:
        shown = b""
        while shown.count(b"fanout.small") < 3 * (1 + domain.shards):
            shown += os.read(ours, 4096)
        command.send_signal(signal.SIGINT)
        _, err = command.communicate(timeout=30)
    finally:
        command.kill()
        os.close(ours)

    assert (command.returncode, err) == (0, b"")
    assert b"\x1b[1A" in shown  # up a line, to begin over


def test_watching_ends_at_a_breach_for_who_asks(run):
    code, out, err = run("lag", "--watch", "--fail-on-breach", "--json")

    assert (code, len(out.splitlines()), err) == (3, 1, "")


def test_watching_and_waiting_exclude_each_other(tmp_path):
    arguments = ["lag", "--watch", "--wait", "1", "--home", str(tmp_path)]

    assert CliRunner().invoke(cli.build(), arguments).exit_code == 2


def test_a_budget_is_late_since_its_oldest_record_outlived_it(domain, run):
    _, out, _ = run("budget", "--json")

    rows = json.loads(out)
    small = of(rows, "fanout.small")
    assert [row["stage"] for row in rows] == [
        "fanout.small",
        "fanout.medium",
        "fanout.large",
        "backfill",
        "retract",
    ]
    assert small["late_since_ms"] == min(domain.origins.values()) + 2_000
    assert (small["lag_budget_seconds"], small["objective"]) == (2.0, 0.99)
    assert (small["status"], small["workers"], small["alert"]) == ("STOP", 0, None)
    assert {one["rate"] for one in small["burn"]} == {None}
    assert of(rows, "fanout.large")["late_since_ms"] is None


def test_what_the_controller_says_is_shown(domain, run):
    """Both as JSON and as a table; ages stay the broker's."""
    shards = tuple(
        ShardHealth(domain.topology.names.topic("fanout.small"), n, "STOP", 9, 9.0) for n in range(2)
    )
    burn = (Burn(300, 100.0), Burn(3600, 20.5))
    said = StageHealth(
        "fanout.small", "STOP", 1, 12_345, 9.0, 2.0, burn, "page", shards, now_ms() + 60_000, 5
    )
    domain.say(said)

    small = of(json.loads(run("lag", "--json")[1]), "fanout.small")
    budget = of(json.loads(run("budget", "--json")[1]), "fanout.small")
    table, budgets = run("lag")[1], run("budget")[1]

    assert (small["status"], small["lag"], small["status_since_ms"]) == ("STOP", 100, 5)
    assert small["pending_deliveries"] == 12_345
    assert [one["status"] for one in small["partitions"]][:3] == ["STOP", "STOP", "UNKNOWN"]
    assert (budget["status"], budget["alert"]) == ("STOP", "page")
    assert budget["burn"][1] == {"window_seconds": 3600, "rate": 20.5}
    line = next(line for line in table.splitlines() if line.startswith("fanout.small "))
    assert "12,345" in line.split()
    assert line.split()[1:3] in (["STOP", "01-01"], ["STOP", "12-31"])  # in any time zone
    line = next(line for line in budgets.splitlines() if line.startswith("fanout.small "))
    assert line.split()[-8:] == ["100.0", "–", "20.5", "–", "–", "–", "–", "page"]


def test_groups_are_shown_with_their_members_and_partitions(domain, run):
    """One worker is in one group; the others nobody ever joined."""
    group, topic = domain.topology.tiers["small"].group, domain.topology.names.topic("fanout.small")
    settings = {"bootstrap.servers": domain.kafka, "group.id": group, "client.id": "writer-1"}
    with closing(Consumer({**settings, "enable.auto.commit": False})) as worker:
        worker.subscribe([topic])
        eventually(lambda: worker.poll(0.1) or worker.assignment(), 30)

        code, out, err = run("groups", "--json")
        table = run("groups")[1]

    rows = json.loads(out)
    small = of(rows, "fanout.small")
    assert (code, err) == (0, "")
    assert (small["group"], small["state"], small["lag"]) == (group, "stable", 100)
    [member] = small["members"]
    assert (member["client_id"], bool(member["host"])) == ("writer-1", True)
    assert member["partitions"] == [{"topic": topic, "partition": n} for n in range(domain.shards)]
    assert {row["state"] for row in rows if row is not small} == {"dead"}
    assert f"{topic} {' '.join(map(str, range(domain.shards)))}" in table


def test_a_kafka_that_is_away_is_unknown_and_no_breach(tmp_path, tideline):
    command = tideline("lag", "--json", "--fail-on-breach", TIDELINE_KAFKA="127.0.0.1:1")
    out, _ = command.communicate(timeout=60)

    assert command.returncode == 0
    assert {(row["status"], row["lag"]) for row in json.loads(out)} == {("UNKNOWN", None)}

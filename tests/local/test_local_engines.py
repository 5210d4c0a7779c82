"""`up` and `down` against the real engines; the module starts two pairs and a killed Kafka."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from cassandra.cluster import Cluster
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.errors import EngineError
from pipeline.kafka.offsets import Offsets
from pipeline.kafka.view import Follower, TopicView
from pipeline.local import engines
from pipeline.local.engines import Endpoints, down, status, up
from tests.leftovers import taken_down

pytestmark = pytest.mark.engines

UP = "import sys, pathlib; from pipeline.local.engines import up; up(pathlib.Path(sys.argv[1]), print)"


@pytest.fixture(scope="module", autouse=True)
def own_engines_only() -> Iterator[None]:
    """The clusters the session may point to are not what is tested here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TIDELINE_KAFKA", raising=False)
        patch.delenv("TIDELINE_CASSANDRA", raising=False)
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose engines were started by a process that has ended since."""
    folder = tmp_path_factory.mktemp("home")
    with taken_down(folder):
        subprocess.run([sys.executable, "-c", UP, folder], check=True, timeout=240)
        yield folder


def silent(_: str) -> None:
    """No progress."""


def processes(home: Path) -> dict[str, int]:
    """The recorded pid of each engine."""
    recorded = json.loads((home / "engines.json").read_text())["processes"]
    return {name: child["pid"] for name, child in recorded.items()}


def ports(home: Path) -> set[int]:
    return {port for engine in json.loads((home / "ports.json").read_text()).values() for port in engine}


def eventually(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Return when the condition holds; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def produce(kafka: str, topic: str, value: bytes) -> None:
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)
    producer = Producer({"bootstrap.servers": kafka, "acks": "all"})
    producer.produce(topic, value)
    assert producer.flush(30) == 0


def consume(kafka: str, topic: str) -> bytes | None:
    settings = {"bootstrap.servers": kafka, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"}
    consumer = Consumer(settings)
    try:
        consumer.subscribe([topic])
        message = consumer.poll(60)
        assert message is not None
        assert message.error() is None
        return message.value()
    finally:
        consumer.close()


def test_engines_outlive_the_process_that_started_them(home: Path) -> None:
    found = status(home)

    assert all(engine.up for engine in found.values())
    for engine in found.values():
        assert engine.pid
        assert os.getsid(engine.pid) == engine.pid  # a session of its own: no terminal ends it


def test_a_message_goes_through_kafka(home: Path) -> None:
    endpoints = up(home, silent)

    produce(endpoints.kafka, "through", b"hello")

    assert consume(endpoints.kafka, "through") == b"hello"


def test_cassandra_answers_a_query(home: Path) -> None:
    host, port = up(home, silent).cassandra.split(":")

    with Cluster([host], port=int(port)) as cluster:
        row = cluster.connect().execute("SELECT release_version FROM system.local").one()

    assert row.release_version == "5.0.7"


def test_up_again_starts_nothing(home: Path) -> None:
    before = processes(home)
    said: list[str] = []

    endpoints = up(home, said.append)

    assert endpoints == Endpoints.from_json((home / "engines.json").read_text())
    assert processes(home) == before
    assert not [line for line in said if line.startswith("starting")]


def test_a_killed_kafka_comes_back_where_it_was_with_its_data(home: Path) -> None:
    endpoints = up(home, silent)
    produce(endpoints.kafka, "kept", b"before the kill")
    before = processes(home)
    os.kill(before["kafka"], signal.SIGKILL)
    eventually(lambda: not status(home)["kafka"].up)

    again = up(home, silent)

    assert again == endpoints
    assert processes(home)["kafka"] != before["kafka"]
    assert processes(home)["cassandra"] == before["cassandra"]
    assert consume(again.kafka, "kept") == b"before the kill"


def test_who_looked_at_offsets_before_kafka_was_started_again_sees_them_after(home: Path) -> None:
    """A restart raises the leader epoch, and librdkafka's admin client asks with the old one for ever."""
    endpoints = up(home, silent)
    produce(endpoints.kafka, "looked-at", b"one")
    with Offsets(endpoints.kafka) as offsets:
        eventually(lambda: offsets.ends([("looked-at", 0)]) == {("looked-at", 0): 1})
        os.kill(processes(home)["kafka"], signal.SIGKILL)
        eventually(lambda: not status(home)["kafka"].up)
        up(home, silent)

        eventually(lambda: offsets.ends([("looked-at", 0)]) == {("looked-at", 0): 1})
        assert offsets.begins([("looked-at", 0)]) == {("looked-at", 0): 0}


def test_a_view_is_as_of_now_again_after_kafka_was_started_again(home: Path) -> None:
    """Writers push to everyone, and queries read tables, for as long as a view does not know that it has all."""
    endpoints = up(home, silent)
    produce(endpoints.kafka, "viewed", b"one")
    follower = Follower(endpoints.kafka)
    try:
        view = follower.view(TopicView("viewed", bytes))
        os.kill(processes(home)["kafka"], signal.SIGKILL)
        eventually(lambda: view.age_s() > 2)
        up(home, silent)

        eventually(lambda: view.age_s() < 1, 30)
    finally:
        follower.close()


def test_two_ups_at_once_start_one_pair_beside_other_homes_and_down_ends_it(
    home: Path, tmp_path: Path
) -> None:
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: up(tmp_path, silent), range(2))

    assert first == second
    assert not ports(tmp_path) & ports(home)
    pids = processes(tmp_path)
    assert sorted(down(tmp_path)) == ["cassandra", "kafka"]
    assert not any(psutil.pid_exists(pid) for pid in pids.values())
    assert (tmp_path / "kafka" / "data" / "meta.properties").exists()
    assert all(engine.up for engine in status(home).values())

    assert down(tmp_path, purge=True) == []

    assert [path.name for path in tmp_path.iterdir()] == ["engines.lock"]


def test_an_interrupted_up_leaves_no_process(tmp_path: Path) -> None:
    starter = subprocess.Popen([sys.executable, "-c", UP, tmp_path], stderr=subprocess.DEVNULL)
    recorded = tmp_path / "engines.json"
    eventually(lambda: recorded.exists() and "kafka" in processes(tmp_path))
    pids = processes(tmp_path)

    starter.send_signal(signal.SIGINT)

    assert starter.wait(60) != 0
    assert not any(psutil.pid_exists(pid) for pid in pids.values())
    assert not recorded.exists()


def test_an_engine_that_cannot_start_shows_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDELINE_CASSANDRA_HEAP", "1m")

    with pytest.raises(EngineError, match="Cassandra ended while it was starting") as error:
        up(tmp_path, silent)

    assert "Too small maximum heap" in error.value.message
    assert str(tmp_path / "logs" / "cassandra.log") in error.value.hint
    assert not any(engine.pid for engine in status(tmp_path).values())


def test_clusters_of_the_users_own_are_used_and_left_alone(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoints = up(home, silent)
    monkeypatch.setenv("TIDELINE_KAFKA", endpoints.kafka)
    monkeypatch.setenv("TIDELINE_CASSANDRA", endpoints.cassandra)

    assert up(tmp_path, silent) == endpoints
    assert down(tmp_path) == []
    assert all(engine.up for engine in status(tmp_path).values())


def test_a_cluster_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "GIVEN_DEADLINE_SECONDS", 0.0)
    monkeypatch.setenv("TIDELINE_KAFKA", "127.0.0.1:1")
    monkeypatch.setenv("TIDELINE_CASSANDRA", "127.0.0.1:1")

    with pytest.raises(EngineError, match=r"does not answer at 127\.0\.0\.1:1"):
        up(tmp_path, silent)

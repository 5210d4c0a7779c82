"""One running instance as its users have it: a `tideline run` process, its topics, its tables, its pages."""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import WhiteListRoundRobinPolicy
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from pipeline import topology
from pipeline.auth.login import login_of
from pipeline.config.settings import Settings
from pipeline.control.lag import Lag, StageLag, settled, topics_read
from pipeline.kafka.client import settings
from pipeline.kafka.offsets import Offsets
from pipeline.local import logins
from pipeline.local.home import Endpoints
from pipeline.local.instance import beside_api
from pipeline.ops.lines import Line
from pipeline.ops.publish import batch_of
from tests.engines import events
from tests.engines.events import Event
from tests.engines.model import Shown
from tests.waiting import eventually

REPOSITORY = Path(__file__).parents[2]
PROFILE = "small-graph"

START_S = 240
"""Engines and a dozen processes on two busy cores; a quiet machine needs 20 s."""

FLUSH_S = 240
"""Until the broker has everything; one that is started again on a busy machine was seen to take two minutes."""

SETTLE_S = 120
"""Until everything is processed; a killed worker's partitions alone are free after 10 s."""


@dataclass(frozen=True)
class Answer:
    """What the HTTP API said."""

    status: int
    content_type: str
    body: dict[str, Any]


class Instance:
    """A `tideline run` on a home, as a context manager. `environment`: the TIDELINE_ variables it gets.

    `domains` run beside the home feed; `of` shows one of them as the home feed is shown.
    """

    def __init__(
        self,
        home: Path,
        environment: Mapping[str, str],
        domains: Sequence[str] = (),
        *,
        secured: bool = False,
    ) -> None:
        self.home, self.domains, self.secured = home, domains, secured
        others = {name: value for name, value in os.environ.items() if not name.startswith("TIDELINE_")}
        self.environment = {**others, **environment, "TIDELINE_HOME": str(home), "TIDELINE_PROFILE": PROFILE}
        self._said = home / "stdout"
        self._connections = ExitStack()
        self._known: set[int] = set()

    def launch(self) -> None:
        """Start the process; `await_ready` waits for it."""
        self.home.mkdir(parents=True, exist_ok=True)
        with self._said.open("wb") as said, (self.home / "stderr").open("wb") as talk:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "pipeline", "run", "--port", "0"),
                    *(word for domain in self.domains for word in ("--domain", domain)),
                    *(["--secure"] if self.secured else []),
                ],
                cwd=REPOSITORY,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=talk,
            )

    def await_ready(self) -> None:
        """Return when it says so, with connections to its engines open."""
        eventually(self._is_ready, START_S)
        self._connect()

    @contextmanager
    def of(self, domain: str) -> "Iterator[Instance]":
        """A domain of this instance: its topics, tables and pages; commands are about it."""
        one = Instance(self.home, {**self.environment, "TIDELINE_DOMAIN": domain})
        one._connect(domain)
        with one._connections:
            yield one

    def _connect(self, domain: str = "") -> None:
        found = self.description()
        self.api, self.kafka = found["domains"][domain] if domain else found["api"], found["kafka"]
        self.topology = topology.load(profile=PROFILE).of(domain)
        logins.use(
            Settings(home=self.home, kafka="", cassandra=""), Endpoints(self.kafka, found["cassandra"])
        )
        client = {**settings(self.kafka), "log_level": 0}
        self._producer = Producer({**client, "partitioner": "murmur2_random", "enable.idempotence": True})
        self._consumer = Consumer({**client, "group.id": "tests.engines", "enable.auto.commit": False})
        self._consumer.list_topics(timeout=30)  # who knows the leaders gets an answer in ms, not in seconds
        host, _, port = found["cassandra"].partition(":")
        nodes = ExecutionProfile(load_balancing_policy=WhiteListRoundRobinPolicy([host]), request_timeout=60)
        login = login_of(found["cassandra"])
        cluster = Cluster(
            [host],
            port=int(port),
            protocol_version=5,
            execution_profiles={EXEC_PROFILE_DEFAULT: nodes},
            auth_provider=PlainTextAuthProvider(login.username, login.password) if login.username else None,
            ssl_context=login.context(),
        )
        self._connections.callback(cluster.shutdown)
        self._tables = cluster.connect(self.topology.names.keyspace(found["keyspace"]))
        self._offsets = Offsets(self.kafka)
        now_ms, read = (
            (lambda: time.time_ns() // 1_000_000),
            partial(topics_read, partial(beside_api, self.home, domain)),
        )
        self.looking = Lag(self._offsets, self.topology, now_ms=now_ms, topics_read=read)
        self._connections.callback(self._forget)
        self._connections.enter_context(self._offsets)

    def _is_ready(self) -> bool:
        talk = (self.home / "stderr").read_text(errors="replace")[-4000:]
        if self.process.poll() is not None:
            raise RuntimeError(f"tideline run ended with {self.process.returncode}:\n{talk}")
        assert self._said.read_text().startswith("ready http"), talk
        return True

    def stop(self) -> None:
        """SIGTERM, and wait until it is gone; what does not go is killed. Does nothing the second time."""
        self._connections.close()
        self.process.terminate()
        try:
            self.process.wait(90)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _forget(self) -> None:
        """Let go of the clients of Kafka: their threads talk to it for as long as they live."""
        self._consumer.close()
        del self._producer, self._consumer, self._offsets, self.looking

    def __enter__(self) -> "Instance":
        self.launch()
        try:
            self.await_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # The command line, and what the home says

    def command(
        self, *arguments: str, stdin: bytes = b"", **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run `tideline …` on this home to its end; `environment`: variables it is given besides."""
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", *arguments],
            cwd=REPOSITORY,
            env={**self.environment, **environment},
            input=stdin,
            capture_output=True,
            timeout=120,
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    def tideline(self, *arguments: str) -> str:
        """The same for a command that has to succeed; returns its stdout."""
        done = self.command(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def description(self) -> dict[str, Any]:
        """HOME/instance.json."""
        found: dict[str, Any] = json.loads((self.home / "instance.json").read_text())
        return found

    def worker(self, stage: str) -> dict[str, Any]:
        """The worker of a stage as instance.json has it."""
        found: dict[str, Any] = next(w for w in self.description()["workers"] if w["stage"] == stage)
        return found

    # Kafka

    def publish(self, *published: Event, strangers: bool = False, source: str = "tests/engines") -> None:
        """Publish events as `tideline publish` does; returns when the broker has them.

        Readers who are named as followers are registered first, as in any real system: nothing is pushed to
        readers nobody has seen. `strangers`: leave them unknown. `source`: who says that it produced them.
        """
        if not strangers:
            self._introduce(published)
        self._publish(published, source)

    def _introduce(self, published: Sequence[Event]) -> None:
        named = {r for event in published for r in event.get("follower_ids", ())} - self._known
        if named:
            self._known |= named
            self._publish([events.introduced(reader) for reader in named])
            eventually(lambda: not self.lag("readers").lag, 60)

    def _publish(self, published: Sequence[Event], source: str = "tests/engines") -> None:
        lines = [Line(number, orjson.dumps(event)) for number, event in enumerate(published, 1)]
        now_ms = time.time_ns() // 1_000_000
        batch = batch_of(lines, default_topic=None, source=source, now_ms=now_ms)
        assert not batch.refusals
        for message in batch.messages:
            self.send(message.topic, message.value, message.key, headers=[*message.headers])
        self.flush()

    def send(self, topic: str, value: bytes | None, key: bytes | None = None, **more: Any) -> None:
        """Write bytes straight to a topic; `flush` waits for the broker."""
        self._producer.produce(self.topology.names.topic(topic), value, key, **more)

    def flush(self) -> None:
        """Return when the broker has everything sent."""
        assert self._producer.flush(FLUSH_S) == 0

    def settle(
        self, seconds: float = SETTLE_S, told: Callable[[list[StageLag]], None] = lambda _: None
    ) -> None:
        """Return when everything published so far is processed: `tideline lag --wait`, in this process."""
        stages = self.looking.wait(seconds, told)
        left = {stage.stage: stage.lag for stage in stages if stage.lag != 0}
        assert settled(stages), f"after {seconds:g} s unprocessed: {left}"

    def settle_but(self, stage: str, seconds: float = SETTLE_S) -> None:
        """The same for all stages but one."""
        eventually(
            lambda: all(each.lag == 0 for each in self.looking.snapshot() if each.stage != stage), seconds
        )

    def lag(self, stage: str) -> StageLag:
        """How far a stage is behind now."""
        return next(each for each in self.looking.snapshot() if each.stage == stage)

    def ends(self, *topics: str) -> dict[tuple[str, int], int]:
        """By topic and partition, where the next message goes."""
        return self._ends(self.topology.places(topics))

    def _ends(self, places: Collection[tuple[str, int]]) -> dict[tuple[str, int], int]:
        found = self._offsets.ends(places)
        assert len(found) == len(places), "Kafka did not answer"
        return found

    def messages(self, since: Mapping[tuple[str, int], int]) -> list[Message]:
        """All messages of some topics from `ends` taken before until now."""
        left = {place: end for place, end in self._ends(since).items() if end > since[place]}
        self._consumer.assign([TopicPartition(*place, since[place]) for place in left])
        found: list[Message] = []
        deadline = time.monotonic() + 30
        while left:
            assert time.monotonic() < deadline, f"{len(found)} messages came, then none of {left}"
            for message in self._consumer.consume(1000, timeout=0.05):
                assert message.error() is None, message.error()
                found.append(message)
                if message.offset() + 1 >= left.get((message.topic(), message.partition()), 0):
                    left.pop((message.topic(), message.partition()), None)
        return found

    # Cassandra

    def rows(self, cql: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query in this instance's keyspace."""
        return [tuple(row) for row in self._tables.execute(cql, values)]

    def timeline(self, readers: Iterable[int]) -> set[tuple[int, int]]:
        """The rows pushed to these readers as (reader, post)."""
        cql = "SELECT reader_id, post_id FROM timeline_by_reader WHERE reader_id = %s"
        return {row for reader in readers for row in self.rows(cql, reader)}

    def await_covered(self, author: int, readers: Sequence[int]) -> None:
        """Return when a post made from now on is pushed to these followers and not pulled any more."""
        margin_ms = self.topology.routing.margin_ms
        cql = "SELECT covered_from FROM following_by_reader WHERE reader_id = %s AND author_id = %s"

        def covered() -> bool:
            bounds = [self.rows(cql, reader, author) for reader in readers]
            return all(b and events.time_of(b[0][0]) + margin_ms < time.time() * 1000 for b in bounds)

        eventually(covered, 30)

    # HTTP

    def get(self, path: str, body: bytes | None = None) -> Answer:
        """What the API answers, with as much time as it allows: a slow machine makes no short pages."""
        patient = {"Request-Timeout-Ms": str(self.topology.api.deadline_max_ms)}
        connection = http.client.HTTPConnection(urlsplit(self.api).netloc, timeout=30)
        try:
            connection.request("GET", path, body, patient)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers["Content-Type"], json.loads(answer.read()))
        finally:
            connection.close()

    def page(self, reader: int, **query: str | int | None) -> dict[str, Any]:
        """A page of the reader's feed, with the path of each item."""
        asked = {name: value for name, value in query.items() if value is not None}
        answer = self.get(f"/v1/readers/{reader}/timeline?{urlencode({'explain': 1, **asked})}")
        assert answer.status == 200, answer
        return answer.body

    def pages(self, reader: int, limit: int = 100) -> Iterator[list[dict[str, Any]]]:
        """The items of the reader's feed, page by page to its end."""
        cursor = None
        while True:
            page = self.page(reader, limit=limit, cursor=cursor)
            yield page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def walk(self, reader: int, limit: int = 100) -> list[Shown]:
        """All of the reader's feed as (post, text), page by page."""
        items = [item for page in self.pages(reader, limit) for item in page]
        return [(int(item["post_id"]), item["body"]) for item in items]

    def paths(self, reader: int) -> dict[int, str]:
        """By post of the reader's first page, the path it came on."""
        return {int(item["post_id"]): item["path"] for item in self.page(reader, limit=100)["items"]}

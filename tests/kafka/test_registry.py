"""A schema registry: looked up by processes, filled by `tideline topology apply`.

The registry here is a stand-in that answers these three requests as Confluent's API documents them; the
client, the bytes and the engines are real.
"""

import asyncio
import io
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import fastavro
import pytest
from confluent_kafka.admin import AdminClient

from pipeline import topology
from pipeline.errors import ConfigError, EngineError, Unavailable
from pipeline.kafka.registry import SchemaRegistry, subjects
from pipeline.runtime.topology_apply import Cluster, apply, compare
from pipeline.runtime.topology_plan import RegisterSchema
from pipeline.store.cassandra import connect
from pipeline.topology import TopicSpec
from pipeline.wire.codec import Codec, CodecError, NotYet
from pipeline.wire.records import AuthorClass, FanoutTask, PostEvent
from pipeline.wire.schemas import source

TASK = FanoutTask(1, 2, AuthorClass.PUSH, 3, 4, 5)


class Held(ThreadingHTTPServer):
    """What the stand-in holds: schemas by id, the ids of each subject, and the requests it got."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.schemas: list[Any] = []
        self.subjects: dict[str, set[int]] = {}
        self.requests: list[tuple[str, str, str | None]] = []
        self.refusal = 0
        self.answer: Any = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    server: Held

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["schema"])

    def _answer(self, schema: str | None) -> None:
        held = self.server
        held.requests.append((self.command, self.path, self.headers["Authorization"]))
        status, body = (held.refusal, {"message": "no"}) if held.refusal else self._found(schema)
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _found(self, schema: str | None) -> tuple[int, Any]:
        held = self.server
        if held.answer is not None:
            return 200, held.answer
        if match := re.fullmatch(r"/schemas/ids/(\d+)", self.path):
            number = int(match[1])
            if 0 < number <= len(held.schemas):
                return 200, {"schema": json.dumps(held.schemas[number - 1])}
            return 404, {"error_code": 40403}
        assert schema is not None
        parsed = json.loads(schema)
        subject, versions = re.fullmatch(r"/subjects/([^/]+)(/versions)?", self.path).groups()  # type: ignore[union-attr]
        if versions:
            if parsed not in held.schemas:
                held.schemas.append(parsed)
            held.subjects.setdefault(subject, set()).add(held.schemas.index(parsed) + 1)
        elif parsed not in held.schemas or held.schemas.index(parsed) + 1 not in held.subjects.get(
            subject, set()
        ):
            return 404, {"error_code": 40403}
        return 200, {"id": held.schemas.index(parsed) + 1}

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def held() -> Iterator[Held]:
    with Held() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_registered_record_travels_in_the_confluent_format(held: Held) -> None:
    registry = SchemaRegistry(held.url)
    registry.register("posts-value", PostEvent)
    registry.register("fanout.small-value", FanoutTask)

    codec = Codec(registry.lookups())
    data = codec.encode(TASK)

    assert data[:5] == b"\x00\x00\x00\x00\x02"
    assert Codec(SchemaRegistry(held.url).lookups()).decode(data, FanoutTask) == TASK


def test_each_schema_is_asked_for_once(held: Held) -> None:
    registry = SchemaRegistry(held.url)
    registry.register("fanout.small-value", FanoutTask)
    codec = Codec(registry.lookups())
    held.requests.clear()

    for _ in range(3):
        codec.decode(codec.encode(TASK), FanoutTask)

    assert [request[:2] for request in held.requests] == [
        ("POST", "/subjects/fanout.small-value"),
        ("GET", "/schemas/ids/1"),
    ]


def test_an_unknown_id_is_waited_for_and_then_a_codec_error(held: Held) -> None:
    """However often it comes, it is asked for once a second while it is waited for, and every ten after."""
    times: list[float] = []
    codec = Codec(SchemaRegistry(held.url, clock=lambda: times[-1]).lookups())
    said: list[type[Exception]] = []
    for now in (100.0, 100.1, 100.2, 107.0, 107.1, 114.9, 115.1, 115.2, 170.0):
        times.append(now)
        with pytest.raises((NotYet, CodecError), match="schema id 9") as caught:
            codec.decode(b"\x00\x00\x00\x00\x09abc", FanoutTask)
        said.append(caught.type)

    assert said == [NotYet] * 6 + [CodecError] * 3

    assert len(held.requests) == 4


def test_an_id_that_is_registered_meanwhile_is_read(held: Held) -> None:
    now = 100.0
    registry = SchemaRegistry(held.url, clock=lambda: now)
    codec = Codec(registry.lookups())
    writer = io.BytesIO(b"\x00\x00\x00\x00\x01")
    writer.seek(0, 2)
    fastavro.schemaless_writer(writer, json.loads(source(FanoutTask)), json.loads(json.dumps(asdict(TASK))))

    with pytest.raises(NotYet):
        codec.decode(writer.getvalue(), FanoutTask)
    registry.register("fanout.small-value", FanoutTask)
    now = 101.0

    assert codec.must_ask(writer.getvalue(), FanoutTask)
    assert codec.decode(writer.getvalue(), FanoutTask) == TASK
    assert not codec.must_ask(writer.getvalue(), FanoutTask)


def test_random_ids_are_no_storm_on_the_registry(held: Held) -> None:
    """A thousand ids in ten seconds: look-ups have a rate, and what is not looked up does not wait for ever."""
    now = 0.0
    codec, said = Codec(SchemaRegistry(held.url, clock=lambda: now).lookups()), []
    for number in range(1_000):
        now = 20 + number / 100
        try:
            codec.decode(b"\x00" + (number + 5).to_bytes(4) + b"abc", FanoutTask)
        except (NotYet, CodecError) as error:
            said.append(type(error).__name__)

    assert set(said) == {"NotYet"}
    assert len(held.requests) <= 50 + 10 * 20 + 1


def test_a_registry_that_is_away_makes_no_dead_letters(held: Held) -> None:
    """However many messages ask meanwhile: what it may know is waited for."""
    registry = SchemaRegistry(held.url, clock=lambda: 100.0)
    registry.register("fanout.small-value", FanoutTask)
    codec = Codec(registry.lookups())
    held.refusal = 503
    for number in range(200):
        with pytest.raises(Unavailable, match="503"):
            codec.decode(b"\x00" + (number + 5).to_bytes(4) + b"abc", FanoutTask)

    held.refusal = 0
    assert Codec(registry.lookups()).decode(codec.encode(TASK), FanoutTask) == TASK


def test_who_looks_at_letters_does_not_wait(held: Held) -> None:
    with pytest.raises(CodecError, match="unknown schema id 9"):
        Codec(SchemaRegistry(held.url).lookups(waits=False)).decode(b"\x00\x00\x00\x00\x09abc", FanoutTask)


@pytest.mark.parametrize("text", ['{"type": "record"}', 'syntax = "proto3";', "[1]", "null"])
def test_a_schema_of_something_else_is_asked_for_once(held: Held, text: str) -> None:
    held.answer = {"schema": text}
    codec = Codec(SchemaRegistry(held.url).lookups())

    for _ in range(3):
        with pytest.raises(CodecError, match="schema id 9"):
            codec.decode(b"\x00\x00\x00\x00\x09abc", FanoutTask)

    assert len(held.requests) == 1


def test_a_record_that_is_not_registered_cannot_be_written(held: Held) -> None:
    with pytest.raises(
        EngineError, match=r"fanout\.small-value does not hold the current schema of FanoutTask"
    ):
        Codec(SchemaRegistry(held.url).lookups()).encode(TASK)


@pytest.mark.parametrize(("status", "error"), [(500, Unavailable), (503, Unavailable), (401, EngineError)])
def test_a_registry_in_trouble_is_no_codec_error(held: Held, status: int, error: type[Exception]) -> None:
    held.refusal = status

    with pytest.raises(error, match=str(status)):
        Codec(SchemaRegistry(held.url).lookups()).decode(b"\x00\x00\x00\x00\x01abc", FanoutTask)


def test_a_registry_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:9: "):
        SchemaRegistry("http://someone:secret@127.0.0.1:9").schema(1)


def test_a_password_is_sent_and_never_told(held: Held) -> None:
    registry = SchemaRegistry(held.url.replace("//", "//user:p%40ss@"))
    held.refusal = 403

    with pytest.raises(EngineError) as caught:
        registry.schema(1)

    assert held.requests == [("GET", "/schemas/ids/1", "Basic dXNlcjpwQHNz")]
    assert "p%40ss" not in str(caught.value)
    assert registry.url == held.url


@pytest.mark.parametrize("url", ["file:///etc/passwd", "localhost:8081", "http://", "nonsense"])
def test_a_url_of_something_else_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="TIDELINE_SCHEMA_REGISTRY_URL"):
        SchemaRegistry(url)


def test_apply_registers_every_topic_and_then_nothing_more(held: Held, engines: Any) -> None:
    """Also in a dry run: nothing."""
    mark = f"reg_{uuid4().hex[:8]}"
    cluster = Cluster(engines.kafka, engines.cassandra, mark, held.url)
    keyspace_only = topology.load().cql.partition("CREATE TABLE")[0]
    topic = TopicSpec(name=mark, partitions=1, replicas=1)
    wanted = replace(topology.load(), topics={mark: topic}, cql=keyspace_only)

    async def scenario() -> None:
        first = (await compare(wanted, cluster)).changes
        assert [step.subject for step in first if isinstance(step, RegisterSchema)] == list(subjects())
        await apply(wanted, cluster, dry_run=True)
        assert held.subjects == {}
        await apply(wanted, cluster)
        assert set(held.subjects) == set(subjects())
        assert held.schemas[0] == json.loads(source(subjects()["accounts-value"]))
        assert not await compare(wanted, cluster)
        db = await connect(cluster.cassandra)
        await db.query(f"DROP KEYSPACE {mark}")
        await db.close()

    asyncio.run(scenario())
    client = AdminClient({"bootstrap.servers": engines.kafka})
    client.delete_topics([mark])[mark].result()

"""Secured engines: who may not log in is told so in a line, and who may log in does what its role allows.

One pair for all of them, without workers: what the stages may do is what the fault runs and the demo show.
"""

import asyncio
import os
import subprocess
import sys
from contextlib import contextmanager

import psutil
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline import topology
from pipeline.auth import login
from pipeline.errors import ConfigError, EngineError
from pipeline.kafka import client
from pipeline.kafka.outbox import Outbox
from pipeline.kafka.ports import NoSuchTopic, Outgoing
from pipeline.kafka.quotas import Quotas
from pipeline.kafka.spans import spans
from pipeline.kafka.view import whole
from pipeline.local import secure, users
from pipeline.local.engines import up
from pipeline.local.logins import ADMIN, cassandra_file, kafka_file
from pipeline.runtime import topology_apply
from pipeline.store.cassandra import connect
from pipeline.wire.records import Containment
from tests.leftovers import taken_down

pytestmark = [pytest.mark.engines, pytest.mark.slow]

KEYSPACE = "secured"
MINE, OTHERS = "timeline.replies.gateway", "timeline.replies.other"


class Secured:
    """A secured home whose engines run, with the topics, tables, users and permissions of the topology."""

    def __init__(self, home):
        self.home = home
        self.endpoints = up(home, lambda _: None, secured=True)
        self.kafka, self.cassandra = self.endpoints.kafka, self.endpoints.cassandra
        whole_topology = topology.load(None, "small-graph")
        cluster = topology_apply.Cluster(self.kafka, self.cassandra, KEYSPACE)
        asyncio.run(topology_apply.apply(whole_topology, cluster))
        asyncio.run(users.bring(home, self.endpoints, whole_topology, [KEYSPACE]))
        admin = AdminClient(client.settings(self.kafka))
        for made in admin.create_topics([NewTopic(name, 1, 1) for name in (MINE, OTHERS)]).values():
            made.result(30)

    @contextmanager
    def as_user(self, user, password=""):
        """Kafka and Cassandra know this process as somebody else meanwhile."""
        before = client.security_of(self.kafka), login.login_of(self.cassandra)
        client.use(self.kafka, client.read(kafka_file(self.home, user), password))
        login.use(self.cassandra, login.read(cassandra_file(self.home, user), password))
        try:
            yield
        finally:
            client.use(self.kafka, before[0])
            login.use(self.cassandra, before[1])

    def write(self, user, topic):
        """As this user, one record."""

        async def send():
            async with Outbox(self.kafka) as outbox:
                await outbox.send(Outgoing(topic, b"x", b"k"))

        with self.as_user(user):
            asyncio.run(send())

    def command(self, *words, **environment):
        given = {f"TIDELINE_{name.upper()}": str(value) for name, value in environment.items()}
        return subprocess.run(
            [sys.executable, "-m", "pipeline", *words],
            env={**os.environ, "TIDELINE_HOME": str(self.home), "TIDELINE_KEYSPACE": KEYSPACE, **given},
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    home = tmp_path_factory.mktemp("secured")
    with pytest.MonkeyPatch.context() as patch, taken_down(home):
        for given in ("TIDELINE_KAFKA", "TIDELINE_CASSANDRA"):  # not those the session may point to
            patch.delenv(given, raising=False)
        yield Secured(home)


def lines(done):
    """What a refused command says: the error and what to do about it, nothing else."""
    assert done.returncode == 1
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
    return error, hint


def spoiled(secured, tmp_path, file, old):
    """The file without a line, or with another value in it."""
    kept = [line for line in file.read_text().splitlines() if not line.startswith(old)]
    spoiled = tmp_path / file.name
    spoiled.write_text("\n".join(kept))
    return spoiled


def test_secrets_are_in_files_of_their_owner_alone_and_in_no_command_line(secured):
    found = {file.name: file.stat().st_mode & 0o777 for file in (secured.home / "secure").iterdir()}
    assert found.pop("engines.pem") == 0o644
    assert set(found.values()) == {0o600}
    assert (secured.home / "secure").stat().st_mode & 0o777 == 0o700
    assert (secured.home / "kafka" / "server.properties").stat().st_mode & 0o777 == 0o600
    assert (secured.home / "cassandra" / "cassandra.yaml").stat().st_mode & 0o777 == 0o600

    password = client.read(kafka_file(secured.home, ADMIN)).properties["sasl.password"]
    assert not list((secured.home / "kafka").glob("*.arguments"))
    for process in psutil.process_iter(["cmdline"]):
        assert password not in " ".join(process.info["cmdline"] or ())


@pytest.mark.parametrize(
    "topic",
    ["containment", "author.routes", "routing.forced", "edge.marks", "reader.marks", "timeline.requests"],
)
def test_a_service_upstream_writes_input_topics_only(secured, topic):
    secured.write("upstream", "posts")

    with pytest.raises(NoSuchTopic) as refused:
        secured.write("upstream", topic)

    assert refused.value.message == f"{topic}: Broker: Topic authorization failed"
    assert refused.value.hint == "`tideline topology acls --all` tells who may"


def test_who_acts_for_readers_reads_its_own_answers_and_nobody_elses(secured):
    secured.write("gateway", "timeline.requests")
    with secured.as_user("gateway"), spans(secured.kafka) as reader:
        assert reader.whole(MINE) == {(MINE, 0): (0, 0)}
        for topic in (OTHERS, "timeline.replies", "posts"):
            with pytest.raises(EngineError) as refused:
                reader.whole(topic)
            assert refused.value.message == (
                f"{topic} cannot be read from {secured.kafka}: Broker: Topic authorization failed"
            )


@pytest.mark.parametrize("topic", ["posts", "routing.settings", "timeline.requests", OTHERS])
def test_a_service_downstream_reads_outputs_only(secured, topic):
    with secured.as_user("downstream"):
        assert whole(secured.kafka, "pipeline.health", Containment) == []
        with pytest.raises(EngineError, match="Topic authorization failed"):
            whole(secured.kafka, topic, Containment)  # not an empty view
    with pytest.raises(NoSuchTopic):
        secured.write("downstream", topic)


@pytest.mark.parametrize(
    "topic", ["posts", "accounts", "moderation", "policy", "routing.settings", "timeline.requests"]
)
def test_workers_write_nothing_that_others_own(secured, topic):
    secured.write("workers", "edge.marks")
    with pytest.raises(NoSuchTopic):
        secured.write("workers", topic)


async def test_workers_write_rows_and_change_no_table(secured):
    with secured.as_user("workers"):
        db = await connect(secured.cassandra, KEYSPACE)
        try:
            await db.query("UPDATE posts SET body = 'x' WHERE post_id = 1")
            assert await db.query("SELECT post_id FROM posts WHERE post_id = 1") == [(1,)]
            for forbidden in (
                "DROP TABLE posts",
                "ALTER TABLE posts ADD more text",
                "SELECT * FROM system_auth.roles",
            ):
                with pytest.raises(EngineError, match="User workers"):
                    await db.query(forbidden)
        finally:
            await db.close()


async def test_the_default_superuser_is_gone(secured):
    admin = login.login_of(secured.cassandra)
    login.use(secured.cassandra, login.Login("cassandra", "cassandra", True, admin.certfile))
    try:
        with pytest.raises(EngineError, match="refuses the password of cassandra"):
            await connect(secured.cassandra)
    finally:
        login.use(secured.cassandra, admin)


async def test_a_quota_is_of_the_user_whoever_it_says_it_is(secured):
    quotas = Quotas(secured.kafka)
    await quotas.put({"upstream": 1_000})
    waits = []
    with secured.as_user("upstream"):
        producer = Producer(
            {**client.settings(secured.kafka), "client.id": "somebody else", "throttle_cb": waits.append}
        )
    for _ in range(20):
        producer.produce("posts", b"x" * 10_000)
        producer.flush(60)
        if waits:
            break
    assert waits
    await quotas.put({"upstream": None})
    assert "upstream" not in await quotas.all()


def test_an_upstream_service_that_steers_is_refused_in_a_line(secured):
    upstream = kafka_file(secured.home, "upstream")
    done = secured.command("contain", "pull", "7", "--reason", "mine", "--for", "5m", kafka_config=upstream)

    assert "Topic authorization failed" in lines(done)[0]


def test_the_owner_of_the_home_logs_in_by_its_home_alone(secured):
    done = secured.command("topology", "acls", "--profile", "small-graph", "--fail-on-changes")

    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_a_wrong_password_is_a_line_at_once(secured):
    kafka = secured.command("dlq", "list", kafka_password="wrong")
    cassandra = secured.command("topology", "diff", cassandra_password="wrong")

    assert lines(kafka)[0].startswith(
        f"error: Kafka at {secured.kafka}: it refuses the password of admin: SASL authentication error: "
    )
    assert lines(cassandra)[0] == f"error: Cassandra at {secured.cassandra} refuses the password of admin"


def test_a_certificate_that_is_not_trusted_is_a_line_at_once(secured, tmp_path):
    kafka = spoiled(secured, tmp_path, kafka_file(secured.home, ADMIN), "ssl.ca.location")
    cassandra = spoiled(secured, tmp_path, cassandra_file(secured.home, ADMIN), "certfile")

    assert lines(secured.command("dlq", "list", kafka_config=kafka))[0].startswith(
        f"error: Kafka at {secured.kafka}: no TLS connection: SSL handshake failed: "
    )
    assert lines(secured.command("topology", "diff", cassandra_config=cassandra))[0] == (
        f"error: Cassandra at {secured.cassandra} has a certificate that is not trusted:"
        " self-signed certificate"
    )


def test_a_home_that_has_data_is_not_secured_afterwards(tmp_path):
    (tmp_path / "kafka" / "data").mkdir(parents=True)

    with pytest.raises(ConfigError, match="written without --secure"):
        secure.make(tmp_path)
    assert not secure.is_secure(tmp_path)

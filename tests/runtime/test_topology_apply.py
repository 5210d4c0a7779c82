"""The topology against a real broker and a real node: compare, apply, check.

Every test has topics and a keyspace of its own. Most have two tables of the many, for the sake of time.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
import typer
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from pipeline import topology
from pipeline.cli import topology as command
from pipeline.errors import ConfigError, EngineError
from pipeline.kafka.admin import Admin, TopicState
from pipeline.runtime.topology_apply import Cluster, apply, check, compare
from pipeline.runtime.topology_plan import ChangeTables, CreateTopic, RaisePartitions, SetConfig, TopologyPlan
from pipeline.store.cassandra import connect
from pipeline.topology import TopicSpec, Topology

LOADED = topology.load()
TWO_TABLES = ";".join(
    statement
    for statement in re.sub(r"--.*", "", LOADED.cql).split(";")
    if re.search(r"KEYSPACE|\.(posts|timeline_by_reader) \(", statement)
)


class Bench:
    """A cluster with a keyspace and a prefix of its own, and one small topology for it."""

    def __init__(self, kafka: str, cassandra: str) -> None:
        self.mark = f"topo_{uuid4().hex[:8]}"
        self.cluster = Cluster(kafka, cassandra, self.mark)
        self.posts, self.routes = f"{self.mark}.posts", f"{self.mark}.routes"

    def topology(self, *topics: TopicSpec, cql: str = TWO_TABLES) -> Topology:
        return replace(LOADED, topics={spec.name: spec for spec in topics or self.both()}, cql=cql)

    def both(self) -> tuple[TopicSpec, TopicSpec]:
        return self.spec(), self.spec(self.routes, 1, **{"cleanup.policy": "compact"})

    def spec(self, name: str = "", partitions: int = 2, **configs: str) -> TopicSpec:
        named = configs or {"retention.ms": "3600000"}
        return TopicSpec(name=name or self.posts, partitions=partitions, replicas=1, configs=named)

    def found(self) -> dict[str, TopicState]:
        return Admin(self.cluster.kafka).topics([self.posts, self.routes])

    def compare(self, wanted: Topology) -> TopologyPlan:
        return asyncio.run(compare(wanted, self.cluster))

    def apply(self, wanted: Topology, *, dry_run: bool = False) -> TopologyPlan:
        return asyncio.run(apply(wanted, self.cluster, dry_run=dry_run))

    def check(self, wanted: Topology) -> list[str]:
        return asyncio.run(check(wanted, self.cluster))

    def cql(self, statement: str) -> list[tuple[Any, ...]]:
        async def run() -> list[tuple[Any, ...]]:
            db = await connect(self.cluster.cassandra)
            try:
                return await db.query(statement)
            finally:
                await db.close()

        return asyncio.run(run())


@pytest.fixture
def bench(engines: Any) -> Iterator[Bench]:
    """A bench that leaves nothing behind."""
    bench = Bench(engines.kafka, engines.cassandra)
    yield bench
    client = AdminClient({"bootstrap.servers": engines.kafka})
    for future in client.delete_topics(list(bench.found())).values() if bench.found() else ():
        future.result()
    bench.cql(f"DROP KEYSPACE IF EXISTS {bench.mark}")


def test_on_an_empty_cluster_everything_is_created(bench: Bench) -> None:
    wanted = bench.topology(cql=LOADED.cql)

    done = bench.apply(wanted)

    assert done.changes[:2] == (
        CreateTopic(bench.posts, 2, 1, {"retention.ms": "3600000"}),
        CreateTopic(bench.routes, 1, 1, {"cleanup.policy": "compact"}),
    )
    assert str(done.changes[2]).startswith(f"create keyspace {bench.mark}: ")
    assert str(done.changes[3]) == f"create table {bench.mark}.posts"
    assert len(done.changes) == 2 + 1 + LOADED.cql.count("CREATE TABLE")
    assert bench.found()[bench.posts].partitions == 2
    assert bench.found()[bench.routes].configs["cleanup.policy"] == "compact"
    assert not bench.compare(wanted)
    assert bench.check(wanted) == []


def test_applying_twice_changes_nothing_the_second_time(bench: Bench) -> None:
    wanted = bench.topology()
    bench.apply(wanted)
    before = bench.found()

    assert bench.apply(wanted) == TopologyPlan()

    assert bench.found() == before


def test_two_that_apply_at_once_end_in_the_same_state(bench: Bench) -> None:
    wanted = bench.topology()

    async def both() -> None:
        await asyncio.gather(apply(wanted, bench.cluster), apply(wanted, bench.cluster))

    asyncio.run(both())

    assert not bench.compare(wanted)


def test_a_dry_run_touches_nothing(bench: Bench) -> None:
    """Neither on an empty cluster nor on one that differs."""
    wanted = bench.topology()

    empty = bench.apply(wanted, dry_run=True)
    assert len(empty.changes) == 2 + 1 + 2
    assert bench.found() == {}
    assert not bench.cql("SELECT keyspace_name FROM system_schema.keyspaces").count((bench.mark,))

    bench.apply(wanted)
    before = bench.found()
    changed = bench.topology(bench.spec(partitions=6, **{"retention.ms": "5"}))
    assert len(bench.apply(changed, dry_run=True).changes) == 2
    assert bench.found() == before


def test_a_dry_run_asks_the_broker(bench: Bench) -> None:
    """A setting the file may name and Kafka does not know is found without a change."""
    wanted = bench.topology(bench.spec(**{"retention.hours": "1"}))

    with pytest.raises(EngineError, match=r"retention\.hours"):
        bench.apply(wanted, dry_run=True)


def test_partitions_are_raised_and_settings_set(bench: Bench) -> None:
    bench.apply(bench.topology())
    wanted = bench.topology(
        bench.spec(partitions=5, **{"retention.ms": "7200000", "segment.bytes": "1048576"})
    )

    assert bench.compare(wanted).changes == (
        RaisePartitions(bench.posts, 2, 5),
        SetConfig(bench.posts, "retention.ms", "3600000", "7200000"),
        SetConfig(bench.posts, "segment.bytes", "1073741824", "1048576"),
    )
    bench.apply(wanted)

    state = bench.found()[bench.posts]
    assert state.partitions == 5
    assert (state.configs["retention.ms"], state.configs["segment.bytes"]) == ("7200000", "1048576")


def test_settings_the_file_does_not_name_stay(bench: Bench) -> None:
    """Somebody set one by hand; the file then stops naming another."""
    bench.apply(bench.topology())
    Admin(bench.cluster.kafka).set_configs(bench.posts, {"segment.ms": "60000"})

    bench.apply(bench.topology(bench.spec(**{"min.insync.replicas": "1"})))

    configs = bench.found()[bench.posts].configs
    assert (configs["segment.ms"], configs["retention.ms"]) == ("60000", "3600000")


def test_a_topic_with_more_partitions_is_an_error_before_any_change(bench: Bench) -> None:
    bench.apply(bench.topology(bench.spec(partitions=3)))
    wanted = bench.topology()

    with pytest.raises(ConfigError, match="there is 3 partitions, wanted is 2 partitions: Kafka takes no"):
        bench.apply(wanted)

    assert bench.routes not in bench.found()
    assert any("3 partitions" in sentence for sentence in bench.check(wanted))


def test_missing_columns_come_back_and_other_types_are_an_error(bench: Bench) -> None:
    wanted = bench.topology()
    bench.apply(wanted)
    bench.cql(f"ALTER TABLE {bench.mark}.posts DROP body")

    (missing,) = bench.compare(wanted).changes
    assert str(missing) == f"create column {bench.mark}.posts.body: text regular"
    assert bench.check(wanted) == [str(missing)]
    bench.apply(wanted)
    assert bench.check(wanted) == []

    other = bench.topology(cql=TWO_TABLES.replace("region text,\n    body", "region blob,\n    body"))
    with pytest.raises(ConfigError, match=rf"column {bench.mark}\.posts\.region: there is text regular"):
        bench.apply(other)


def test_another_table_option_keeps_no_worker_from_its_work(bench: Bench) -> None:
    wanted = bench.topology()
    bench.apply(wanted)
    bench.cql(f"ALTER TABLE {bench.mark}.timeline_by_reader WITH default_time_to_live = 60")

    assert [type(change) for change in bench.compare(wanted).changes] == [ChangeTables]
    assert bench.check(wanted) == []


def test_the_replication_of_a_keyspace_that_exists_is_left_alone(bench: Bench) -> None:
    simple = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
    bench.cql(f"CREATE KEYSPACE {bench.mark} WITH replication = {simple}")

    bench.apply(bench.topology())

    assert bench.check(bench.topology()) == []


def test_a_worker_is_told_everything_that_is_missing(bench: Bench) -> None:
    sentences = bench.check(bench.topology())

    assert sentences[0].startswith(f"create topic {bench.posts}")
    assert len(sentences) == 2 + 1 + 2


def test_an_engine_that_does_not_answer_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.kafka.admin.TIMEOUT_S", 0.2)
    away = replace(bench.cluster, kafka="127.0.0.1:9")

    with pytest.raises(EngineError, match=r"Kafka at 127\.0\.0\.1:9"):
        asyncio.run(compare(bench.topology(), away))


# --- The command ----------------------------------------------------------------------------------------


@pytest.fixture
def cli(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    """Run `tideline topology …` on the bench's topology."""
    app = typer.Typer()
    command.register(app)
    wanted = bench.topology()
    monkeypatch.setattr(topology, "load", lambda *_: wanted)
    environment = {
        "TIDELINE_HOME": str(tmp_path),
        "TIDELINE_KAFKA": bench.cluster.kafka,
        "TIDELINE_CASSANDRA": bench.cluster.cassandra,
        "TIDELINE_KEYSPACE": bench.mark,
    }
    return lambda *words: CliRunner().invoke(app, ["topology", *words], env=environment)


def test_the_command_shows_applies_and_shows_nothing_more(cli: Any, bench: Bench) -> None:
    shown = cli("diff", "--fail-on-changes")
    assert shown.exit_code == 3
    assert shown.stdout.splitlines()[0].startswith(f"create topic {bench.posts}: 2 partitions")

    dry = cli("apply", "--dry-run")
    assert (dry.exit_code, dry.stdout) == (0, shown.stdout)
    assert "5 changes not done, a dry run" in dry.stderr
    assert bench.found() == {}

    done = cli("apply")
    assert (done.exit_code, done.stdout) == (0, shown.stdout)
    assert "5 changes done" in done.stderr

    again = cli("diff", "--fail-on-changes")
    assert (again.exit_code, again.stdout) == (0, "")
    assert "no differences" in again.stderr


def test_the_command_speaks_json(cli: Any, bench: Bench) -> None:
    result = json.loads(cli("diff", "--json").stdout)

    assert result["mismatches"] == []
    assert result["changes"][0] == {
        "kind": "CreateTopic",
        "topic": bench.posts,
        "partitions": 2,
        "replicas": 1,
        "configs": {"retention.ms": "3600000"},
        "blocks": True,
        "text": f"create topic {bench.posts}: 2 partitions, 1 replicas, retention.ms=3600000",
    }

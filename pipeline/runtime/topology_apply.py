"""The topology against a running Kafka and Cassandra: compare, check, apply.

All three raise EngineError or StoreUnavailable when an engine does not answer. Applying is idempotent, and
two that apply at once end in the same state; after a failure in the middle, apply again to go on from there.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pipeline.config.names import Names
from pipeline.errors import ConfigError
from pipeline.kafka.admin import Admin
from pipeline.kafka.registry import SchemaRegistry, subjects
from pipeline.runtime.topology_plan import (
    Change,
    ChangeTables,
    CreateTopic,
    Mismatch,
    RaisePartitions,
    RegisterSchema,
    SetConfig,
    TopologyPlan,
    plan_of,
    plan_topics,
)
from pipeline.store.cassandra import Database, apply_tables, connect, differences
from pipeline.topology import Topology


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where a topology runs: bootstrap servers, contact points, the keyspace of the home feed, and a schema
    registry or none.
    """

    kafka: str
    cassandra: str
    keyspace: str
    registry: str = ""


async def check(topology: Topology, cluster: Cluster) -> list[str]:
    """What keeps a worker from running on this cluster, as sentences; empty: it may start."""
    return (await compare(topology, cluster)).blocking


async def compare(topology: Topology, cluster: Cluster) -> TopologyPlan:
    """What `apply` would do, and what it could not. Changes nothing."""
    async with _database(cluster) as db:
        return await _plan(topology, cluster, db)


async def apply(topology: Topology, cluster: Cluster, *, dry_run: bool = False) -> TopologyPlan:
    """Create and change what differs; returns what was done.

    `dry_run`: nothing is changed, but the broker is asked whether it would take the changes. Raises
    ConfigError, before the first change, when there is a mismatch.
    """
    async with _database(cluster) as db:
        plan = await _plan(topology, cluster, db)
        if plan.mismatches:
            raise ConfigError("\n".join(map(str, plan.mismatches)), "nothing was changed")
        admin = Admin(cluster.kafka, dry_run=dry_run)
        for change in plan.changes:
            await asyncio.to_thread(_change_topic, change, admin)
        if not dry_run:
            await asyncio.to_thread(_register, plan, cluster.registry, topology.names)
            await apply_tables(db, await _cql(topology, cluster, db))
    return plan


async def _plan(topology: Topology, cluster: Cluster, db: Database) -> TopologyPlan:
    known = [spec.name for spec in topology.topics.values()]
    topics = await asyncio.to_thread(Admin(cluster.kafka).topics, known)
    schemas = await asyncio.to_thread(_unregistered, cluster.registry, topology.names)
    return plan_topics(topology.topics, topics) + schemas + await _tables(topology, cluster, db)


def _change_topic(change: Change, admin: Admin) -> None:
    match change:
        case CreateTopic(topic, partitions, replicas, configs):
            admin.create(topic, partitions, replicas, configs)
        case RaisePartitions(topic, _, wanted):
            admin.raise_partitions(topic, wanted)
        case SetConfig(topic, key, _, wanted):
            admin.set_configs(topic, {key: wanted})
        case RegisterSchema() | ChangeTables():
            pass  # not of a topic; they come after all topics


def _unregistered(url: str, names: Names) -> TopologyPlan:
    registry = SchemaRegistry(url) if url else None
    return plan_of(
        RegisterSchema(subject, record.__name__)
        for subject, record in subjects(names).items()
        if registry is not None and registry.registered(subject, record) is None
    )


def _register(plan: TopologyPlan, url: str, names: Names) -> None:
    for change in plan.changes:
        if isinstance(change, RegisterSchema):
            SchemaRegistry(url).register(change.subject, subjects(names)[change.subject])


@asynccontextmanager
async def _database(cluster: Cluster) -> AsyncIterator[Database]:
    db = await connect(cluster.cassandra)
    try:
        yield db
    finally:
        await db.close()


async def _tables(topology: Topology, cluster: Cluster, db: Database) -> TopologyPlan:
    return plan_of(
        ChangeTables(each.what, each.found, each.wanted, blocks=not each.what.startswith("option "))
        if each.fix
        else Mismatch(each.what, each.found, each.wanted, "migrate it by hand, or use another keyspace")
        for each in await differences(db, await _cql(topology, cluster, db))
    )


async def _cql(topology: Topology, cluster: Cluster, db: Database) -> str:
    """The tables, with the replication the keyspace has: to change that takes a repair, so nothing here does.

    A new keyspace gets, in every data centre, as many copies as the best kept topic has replicas.
    """
    keyspace = topology.names.keyspace(cluster.keyspace)
    rows = await db.query(
        "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = %s", keyspace
    )
    replication: Mapping[str, str]
    if rows:
        replication = {option: value.rpartition(".")[2] for option, value in rows[0][0].items()}
    else:
        copies = str(max(spec.replicas for spec in topology.topics.values()))
        centres = await db.query("SELECT data_center FROM system.local") + await db.query(
            "SELECT data_center FROM system.peers_v2"
        )
        replication = {"class": "NetworkTopologyStrategy"} | {centre: copies for (centre,) in centres}
    return topology.tables(keyspace, replication)

"""Cassandra behind the six ports. The driver is imported in this folder and nowhere else.

`open_stores` for the stages; `connect` and `apply_tables` for `tideline topology`. In reading order:
`session` (statements with retries and bounds), `wire` (rows as bytes), `ring` (rows that may share a batch),
then one module a port: `graph`, `posts`, `routes`, `timelines`, `readers`, `counters`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pipeline.store.cassandra.counters import CassandraCounters
from pipeline.store.cassandra.graph import CassandraGraph
from pipeline.store.cassandra.posts import CassandraPosts
from pipeline.store.cassandra.readers import CassandraReaders
from pipeline.store.cassandra.routes import CassandraRoutes
from pipeline.store.cassandra.schema import apply_tables, differences
from pipeline.store.cassandra.session import Database, connect
from pipeline.store.cassandra.timelines import CassandraTimelines
from pipeline.store.ports import Stores

__all__ = ["Database", "apply_tables", "connect", "differences", "open_stores", "stores_of"]


@asynccontextmanager
async def open_stores(
    contact_points: str, keyspace: str, *, deadline_s: float = 30.0
) -> AsyncIterator[Stores]:
    """The six stores over one connection, which is closed at the end.

    `deadline_s`: how long a statement is tried before it raises StoreUnavailable.
    """
    db = await connect(contact_points, keyspace, deadline_s=deadline_s)
    try:
        yield await stores_of(db)
    finally:
        await db.close()


async def stores_of(db: Database) -> Stores:
    """The six stores of an open database; their statements are prepared here, off the event loop."""
    return await asyncio.to_thread(
        lambda: Stores(
            graph=CassandraGraph(db),
            posts=CassandraPosts(db),
            routes=CassandraRoutes(db),
            timelines=CassandraTimelines(db),
            readers=CassandraReaders(db),
            counters=CassandraCounters(db),
        )
    )

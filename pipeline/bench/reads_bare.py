"""The baseline of `bench reads`: the driver used plainly, awaited by the simplest bridge there is.

It reads the rows that a page reads, from one partition of one table, and makes nothing of them. Beside the
adapters and `row_at_a_time` this module alone imports the driver.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import RoundRobinPolicy, TokenAwarePolicy
from cassandra.query import tuple_factory

from pipeline.bench.reads_load import Ask
from pipeline.domain.snowflake import MAX_ID

_NEWEST = (
    "SELECT post_id, author_id, hints FROM timeline_by_reader"
    " WHERE reader_id = ? AND post_id >= ? AND post_id < ? LIMIT 21"
)
"""A page of twenty, and the row that tells whether there is another."""


@contextmanager
def bare(contact_points: str, keyspace: str, lo: int) -> Iterator[Ask]:
    """Reads of the newest rows above `lo`; the connection is closed at the end."""
    hosts = [point.rpartition(":") for point in contact_points.split(",")]
    profile = ExecutionProfile(TokenAwarePolicy(RoundRobinPolicy()), row_factory=tuple_factory)
    cluster = Cluster(
        [(host, int(port)) for host, _, port in hosts],
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        protocol_version=5,
        compression="lz4",  # as the store's own connection
        monitor_reporting_enabled=False,
    )
    try:
        session = cluster.connect(keyspace)
        newest = session.prepare(_NEWEST)

        async def read(reader: int) -> None:
            loop = asyncio.get_running_loop()
            landed = loop.create_future()
            session.execute_async(newest, (reader, lo, MAX_ID)).add_callbacks(
                lambda rows: loop.call_soon_threadsafe(landed.set_result, rows),
                lambda error: loop.call_soon_threadsafe(landed.set_exception, error),
            )
            await landed

        yield read
    finally:
        cluster.shutdown()

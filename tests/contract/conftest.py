"""Each contract test runs twice: on the in-memory twins, and on Cassandra in a keyspace of this session.

Tests share the keyspace, so each takes ids of its own from `fresh`.
"""

import random
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from pipeline.store.cassandra import Database, apply_tables, connect, open_stores
from pipeline.store.memory import memory_stores
from pipeline.store.ports import Stores

TABLES = Path(__file__).parents[2] / "topology" / "tables.cql"
WINDOW_S = 30 * 86_400


def tables(keyspace: str) -> str:
    """topology/tables.cql for one node."""
    replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
    return TABLES.read_text().format(keyspace=keyspace, replication=replication, window_seconds=WINDOW_S)


@pytest.fixture(scope="session")
def fresh() -> Callable[[], int]:
    """Ids nobody else in this session has: 1,000 in a row belong to the caller."""
    return lambda: random.getrandbits(48) * 1000


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def definitions(engines) -> AsyncIterator[Database]:
    """A connection without a keyspace, for definitions."""
    db = await connect(engines.cassandra)
    yield db
    await db.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def keyspace(definitions: Database) -> AsyncIterator[str]:
    """A keyspace with all tables, dropped at the end."""
    name = f"contract_{random.getrandbits(48):x}"
    await apply_tables(definitions, tables(name))
    yield name
    await definitions.query(f"DROP KEYSPACE IF EXISTS {name}")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cassandra_stores(engines, keyspace: str) -> AsyncIterator[Stores]:
    """The six stores on Cassandra."""
    async with open_stores(engines.cassandra, keyspace) as stores:
        yield stores


@pytest.fixture(params=["memory", pytest.param("cassandra", marks=pytest.mark.engines)])
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    """The six stores, once of each kind."""
    yield memory_stores() if request.param == "memory" else request.getfixturevalue("cassandra_stores")

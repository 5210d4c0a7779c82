"""Tables are created, completed and altered, never dropped; what cannot be altered is refused as a whole."""

import random

import pytest
import pytest_asyncio

from pipeline.errors import EngineError
from pipeline.store.cassandra import Database, apply_tables, differences

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.engines]

KEYSPACE = (
    "CREATE KEYSPACE IF NOT EXISTS {name} WITH replication = "
    "{{'class': 'SimpleStrategy', 'replication_factor': 1}};\n"
)
TABLE = """
-- A comment; with a semicolon.
CREATE TABLE IF NOT EXISTS {name}.walks (
    author_id bigint,
    bucket int,
    post_id bigint,
    tags set<text>,
    total int STATIC,
    PRIMARY KEY ((author_id, bucket), post_id)
) WITH CLUSTERING ORDER BY (post_id DESC)
  AND default_time_to_live = 600
  AND gc_grace_seconds = 86400;
CREATE TABLE IF NOT EXISTS {name}.names (
    id bigint PRIMARY KEY,
    name text
);
"""


@pytest_asyncio.fixture(loop_scope="session")
async def cql(definitions: Database):
    name = f"schema_{random.getrandbits(48):x}"
    yield (KEYSPACE + TABLE).format(name=name)
    await definitions.query(f"DROP KEYSPACE IF EXISTS {name}")


async def test_everything_is_missing_then_nothing(definitions, cql):
    assert [each.what.split()[0] for each in await differences(definitions, cql)] == [
        "keyspace",
        "table",
        "table",
    ]

    assert len(await apply_tables(definitions, cql)) == 3

    assert await differences(definitions, cql) == []
    assert await apply_tables(definitions, cql) == []


async def test_missing_columns_are_added_and_options_changed(definitions, cql):
    older = cql.replace("    tags set<text>,\n    total int STATIC,\n", "").replace("= 600", "= 500")
    await apply_tables(definitions, older)

    changes = await apply_tables(definitions, cql)

    assert [(each.what.partition(".")[2], each.wanted, each.found) for each in changes] == [
        ("walks.tags", "set<text> regular", "missing"),
        ("walks.total", "int static", "missing"),
        ("walks default_time_to_live", "600", "500"),
    ]
    assert await differences(definitions, cql) == []


async def test_what_is_there_besides_is_left_alone(definitions, cql):
    await apply_tables(definitions, cql.replace("    name text", "    name text,\n    more text"))

    assert await differences(definitions, cql) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("name text", "name bigint"),
        ("total int STATIC", "total int"),
        ("((author_id, bucket), post_id)", "((author_id), bucket, post_id)"),
        ("((author_id, bucket), post_id)", "((bucket, author_id), post_id)"),
        ("post_id DESC", "post_id ASC"),
        ("'replication_factor': 1", "'replication_factor': 3"),
    ],
)
async def test_what_needs_a_migration_is_refused_before_any_change(definitions, cql, before, after):
    await apply_tables(definitions, cql)
    wanted = cql.replace(before, after).replace("= 600", "= 700")

    with pytest.raises(EngineError, match="wanted"):
        await apply_tables(definitions, wanted)

    assert await differences(definitions, cql) == []


async def test_any_other_statement_is_refused(definitions):
    with pytest.raises(EngineError, match="DROP TABLE"):
        await apply_tables(definitions, "DROP TABLE everything;")

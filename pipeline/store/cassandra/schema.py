"""The tables as `topology/tables.cql` wants them, against those a cluster has.

`differences` only reads. `apply_tables` creates what is missing and changes table options; it never drops
anything, and refuses what would need a migration: another type, another key, another replication.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.errors import EngineError
from pipeline.store.cassandra.session import Database

_COMMENT = re.compile(r"--.*")
_KEYSPACE = re.compile(r"CREATE KEYSPACE IF NOT EXISTS (\w+) WITH replication = (\{.*?\})", re.S)
_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)\.(\w+) \(\n(.*?)\n\)(.*)", re.S)
_COLUMN = re.compile(r"^ +(\w+) (\w+(?:<[^>]+>)?)( STATIC)?( PRIMARY KEY)?,?$", re.M)
_KEY = re.compile(r"^ +PRIMARY KEY \(\(([^)]*)\)(?:, ([^)]*))?\)", re.M)
_DESCENDING = re.compile(r"(\w+) DESC\b")
_OPTION = re.compile(r"(\w+) = (\d+)")


@dataclass(frozen=True, slots=True)
class Difference:
    """Something the cluster has not as wanted; `fix` is the statement for it, empty where there is none."""

    what: str
    wanted: str
    found: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class _Table:
    keyspace: str
    name: str
    cql: str
    columns: dict[str, str] = field(default_factory=dict)
    """By name, type and role, as `_role` words it."""
    options: dict[str, int] = field(default_factory=dict)


async def differences(db: Database, cql: str) -> list[Difference]:
    """What the cluster lacks of these definitions, in their order; empty: nothing to do."""
    found: list[Difference] = []
    for statement in _statements(cql):
        if keyspace := _KEYSPACE.fullmatch(statement):
            found += await _keyspace_differences(db, statement, *keyspace.groups())
        elif table := _parse(statement):
            found += await _table_differences(db, table)
        else:
            raise EngineError(f"not a definition of a keyspace or a table: {statement[:60]}")
    return found


async def apply_tables(db: Database, cql: str) -> list[Difference]:
    """Close the differences and return them; raises EngineError, before any change, for one it cannot."""
    todo = await differences(db, cql)
    if stuck := [each for each in todo if not each.fix]:
        raise EngineError(
            "; ".join(f"{each.what} is {each.found}, wanted {each.wanted}" for each in stuck),
            "this needs a migration: change it by hand, or use another keyspace",
        )
    for each in todo:
        await db.query(each.fix)
    return todo


def _statements(cql: str) -> Iterator[str]:
    for statement in _COMMENT.sub("", cql).split(";"):
        if statement.strip():
            yield statement.strip()


def _parse(statement: str) -> _Table | None:
    match = _TABLE.fullmatch(statement)
    if match is None:
        return None
    keyspace, name, body, options = match.groups()
    key = _KEY.search(body)
    descending = _DESCENDING.findall(options)
    roles: dict[str, str] = {}
    for kind, names in zip(("partition_key", "clustering"), key.groups() if key else (), strict=False):
        for position, column in enumerate(names.split(", ") if names else ()):
            order = "none" if kind == "partition_key" else "desc" if column in descending else "asc"
            roles[column] = _role(kind, position, order)
    table = _Table(keyspace, name, statement)
    for column, cql_type, static, primary in _COLUMN.findall(body):
        other = _role("partition_key", 0, "none") if primary else "static" if static else "regular"
        table.columns[column] = f"{cql_type} {roles.get(column, other)}"
    table.options.update({option: int(value) for option, value in _OPTION.findall(options)})
    return table


def _role(kind: str, position: int, order: str) -> str:
    """What a column is in its table; for a part of the key also the place, and the order of its rows."""
    if kind in ("regular", "static"):
        return kind
    return f"{kind} {position}" if order == "none" else f"{kind} {position} {order}"


async def _keyspace_differences(db: Database, cql: str, name: str, replication: str) -> list[Difference]:
    rows = await db.query("SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = %s", name)
    wanted = {option: str(value) for option, value in ast.literal_eval(replication).items()}
    if not rows:
        return [Difference(f"keyspace {name}", str(wanted), fix=cql)]
    found = {option: value.rpartition(".")[2] for option, value in rows[0][0].items()}
    return [] if found == wanted else [Difference(f"keyspace {name}", str(wanted), str(found))]


async def _table_differences(db: Database, table: _Table) -> list[Difference]:
    path = f"{table.keyspace}.{table.name}"
    place = table.keyspace, table.name
    rows = await db.query(
        "SELECT column_name, type, kind, position, clustering_order FROM system_schema.columns"
        " WHERE keyspace_name = %s AND table_name = %s",
        *place,
    )
    if not rows:
        return [Difference(f"table {path}", "to exist", fix=table.cql)]
    existing = {column: f"{cql_type} {_role(*role)}" for column, cql_type, *role in rows}
    result = []
    for column, wanted in table.columns.items():
        found = existing.get(column, "missing")
        if wanted != found:
            addable = found == "missing" and wanted.endswith((" regular", " static"))
            definition = wanted.removesuffix(" regular").replace(" static", " STATIC")
            fix = f"ALTER TABLE {path} ADD {column} {definition}" if addable else ""
            result.append(Difference(f"column {path}.{column}", wanted, found, fix))
    if table.options:
        (values,) = await db.query(
            f"SELECT {', '.join(table.options)} FROM system_schema.tables"  # noqa: S608  # from tables.cql
            " WHERE keyspace_name = %s AND table_name = %s",
            *place,
        )
        for (option, value), actual in zip(table.options.items(), values, strict=True):
            if value != actual:
                fix = f"ALTER TABLE {path} WITH {option} = {value}"
                result.append(Difference(f"option {path} {option}", str(value), str(actual), fix))
    return result

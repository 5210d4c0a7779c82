"""Who may do what in a Cassandra with roles: of the local engines, whose roles nobody else makes."""

import asyncio
import time
from dataclasses import replace

from pipeline.auth.login import Login, login_of, use
from pipeline.errors import EngineError
from pipeline.store.cassandra.session import Database, connect

_DEFAULT = "cassandra"
"""The superuser of a fresh Cassandra, and its password."""

_MADE_S = 30.0
"""Within this a fresh Cassandra makes its first superuser, after it has begun to answer."""


async def take_over(contact_points: str) -> None:
    """Make whom we log in as the superuser, and take the default one away. Does nothing the second time."""
    admin = login_of(contact_points)
    deadline = time.monotonic() + _MADE_S
    while not await _is_admin(contact_points, admin):
        try:
            use(contact_points, replace(admin, username=_DEFAULT, password=_DEFAULT))
            await _make_admin(contact_points, admin)
        except EngineError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)
        finally:
            use(contact_points, admin)
    db = await connect(contact_points)
    try:
        await db.query(f"DROP ROLE IF EXISTS {_DEFAULT}")
    finally:
        await db.close()


async def _is_admin(contact_points: str, admin: Login) -> bool:
    try:
        await (await connect(contact_points)).close()
    except EngineError:
        return False
    return True


async def _make_admin(contact_points: str, admin: Login) -> None:
    db = await connect(contact_points)
    try:
        await make(db, admin, superuser=True)
    finally:
        await db.close()


async def make(db: Database, user: Login, *, superuser: bool = False) -> None:
    """A role that may log in with this password; one that is there gets the password."""
    options = f"WITH PASSWORD = '{user.password}' AND LOGIN = true AND SUPERUSER = {str(superuser).lower()}"
    await db.query(f'CREATE ROLE IF NOT EXISTS "{user.username}" {options}')
    await db.query(f'ALTER ROLE "{user.username}" {options}')


async def let_work(db: Database, role: str, keyspace: str) -> None:
    """Let a role read and write the rows of a keyspace, and nothing else."""
    for permission in ("SELECT", "MODIFY"):
        await db.query(f'GRANT {permission} ON KEYSPACE {keyspace} TO "{role}"')

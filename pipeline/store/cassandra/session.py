"""One connection to Cassandra for a process: statements awaited, retried, and bounded in number.

`connect` opens a `Database`. Reads are awaited by `fetch`; writes by `write`, which cuts rows into batches
within one replica set; conditional batches by `apply_if`. What can be retried is retried until the deadline,
with jittered back-off; then StoreUnavailable says which table did not answer. What will never be done raises
StoreRefuses at once: it is about the key, not about the server.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, TypeAlias

from cassandra import AuthenticationFailed, ConsistencyLevel, InvalidRequest, Unauthorized
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.policies import (
    DCAwareRoundRobinPolicy,
    ExponentialReconnectionPolicy,
    FallthroughRetryPolicy,
    TokenAwarePolicy,
)
from cassandra.query import SimpleStatement, tuple_factory

from pipeline.auth.login import login_of
from pipeline.errors import EngineError
from pipeline.store.cassandra.landing import Landing
from pipeline.store.cassandra.retry import FAILURES, pauses, refused, transient
from pipeline.store.cassandra.ring import Ring, cut
from pipeline.store.cassandra.wire import EncodedBatches, Mutation, Statement, StatementBatch
from pipeline.store.ports import StoreRefuses, StoreUnavailable

BATCHES_IN_FLIGHT = 12
"""Batches on the way in this process. With 32 a node writes no more rows a second, and another process's
write waits three times as long behind them; with 5 it idles (measured, batches of 200 rows).
"""

READS_IN_FLIGHT = 256

_ATTEMPT_S = 10.0
_PAGE_ROWS = 5_000  # more than a segment has, so that a segment is one page
_KEYS_IN = 100  # keys in one IN: a multi-get that a coordinator still answers fast

Rows: TypeAlias = list[tuple[Any, ...]]


async def connect(
    contact_points: str, keyspace: str | None = None, *, deadline_s: float = 30.0
) -> "Database":
    """Connect to `host:port[,host:port]`, off the event loop; only the calling loop can use the result.

    Raises StoreUnavailable when no node answers within the deadline, EngineError for a missing keyspace.
    """
    session = await asyncio.to_thread(_open, contact_points, keyspace, deadline_s)
    return Database(session, deadline_s)


class Database:
    """Statements of one keyspace, from one event loop."""

    def __init__(self, session: Session, deadline_s: float) -> None:
        self._session, self._deadline_s = session, deadline_s
        self._loop = asyncio.get_running_loop()
        self._landing = Landing(self._loop)
        self._batches = asyncio.Semaphore(BATCHES_IN_FLIGHT)
        self._turn = asyncio.Lock()
        self._reads = asyncio.Semaphore(READS_IN_FLIGHT)
        self._ring, self._owners = Ring((), ()), None

    def prepare(self, cql: str) -> Statement:
        """Prepare a statement of the keyspace. Blocks: for the thread that opens the stores."""
        try:
            prepared = self._session.prepare(cql)
        except InvalidRequest as error:
            raise EngineError(
                f"keyspace {self._session.keyspace}: {error}", "`tideline topology apply` creates the tables"
            ) from error
        except Unauthorized as error:
            raise _unauthorized(error) from error
        except FAILURES as error:
            raise _unavailable("a statement could not be prepared", error) from error
        return Statement(prepared, self._session.cluster.protocol_version)

    def ring(self) -> Ring:
        """The ring of the keyspace; built anew when the driver has learned of other owners."""
        tokens, keyspace = self._session.cluster.metadata.token_map, self._session.keyspace
        if tokens is not None:
            tokens.rebuild_keyspace(keyspace, build_if_absent=True)
            owners = tokens.tokens_to_hosts_by_ks.get(keyspace)
            if owners is not self._owners:
                self._ring, self._owners = Ring.of(tokens, keyspace), owners
        return self._ring

    async def fetch(self, statement: Statement, *values: object) -> Rows:
        """All rows of a query, page by page."""
        bound = statement.prepared.bind(values)
        rows, page = await self._page(bound, statement.table, None)
        while page is not None:
            more, page = await self._page(bound, statement.table, page)
            rows += more
        return rows

    async def stream(self, statement: Statement, *values: object) -> AsyncIterator[tuple[Any, ...]]:
        """All rows of a query, a page held at a time."""
        bound = statement.prepared.bind(values)
        rows, page = await self._page(bound, statement.table, None)
        while True:
            for row in rows:
                yield row
            if page is None:
                return
            rows, page = await self._page(bound, statement.table, page)

    async def fetch_in(self, statement: Statement, keys: Iterable[int], *rest: object) -> Rows:
        """All rows of a query whose first marker is an IN, asked in chunks of the keys, concurrently."""
        unique = list(dict.fromkeys(keys))
        chunks = (unique[at : at + _KEYS_IN] for at in range(0, len(unique), _KEYS_IN))
        answers = await asyncio.gather(*(self.fetch(statement, chunk, *rest) for chunk in chunks))
        return [row for answer in answers for row in answer]

    async def write(self, mutations: Iterable[Mutation], table: str) -> None:
        """Write rows in batches, a bounded number at a time; returns after the last one is acknowledged.

        Concurrent calls send one after another, without a gap: what was asked for first is durable first,
        where taking turns batch by batch would end all of them late.
        """
        try:
            async with asyncio.TaskGroup() as group, self._turn:
                for batch in cut(mutations, self.ring()):
                    await self._batches.acquire()
                    task = group.create_task(self._insist(StatementBatch(batch), table, transient))
                    task.add_done_callback(lambda _: self._batches.release())
        except ExceptionGroup as failures:
            first = failures.exceptions[0]
            raise first from first.__cause__

    async def apply_if(self, mutations: Sequence[Mutation], table: str) -> bool:
        """Apply a conditional batch of one partition, all or nothing; whether its condition held.

        Tried again only when it was certainly not executed: after a lost answer a second try would find its
        own work and call it another's. Then StoreUnavailable, and the caller reads what is there.
        """
        async with self._batches:
            rows, _ = await self._insist(StatementBatch(mutations, conditional=True), table, refused)
        return bool(rows[0][0])

    async def query(self, cql: str, *values: object) -> Rows:
        """Run a statement that is not worth preparing: definitions, and the system's own tables.

        A definition may take long and is bad to repeat, so one attempt may last until the deadline.
        """
        statement, name = SimpleStatement(cql), cql.partition("(")[0].strip()
        rows, _ = await self._insist(statement, name, transient, values, attempt_s=self._deadline_s)
        return rows

    async def close(self) -> None:
        """Close the connections; what is still under way fails."""
        await asyncio.to_thread(self._session.cluster.shutdown)

    async def _page(self, bound: Any, table: str, page: bytes | None) -> tuple[Rows, bytes | None]:
        async with self._reads:
            return await self._insist(bound, table, transient, page=page)

    async def _insist(
        self,
        statement: Any,
        table: str,
        again: Callable[[Exception], bool],
        values: Sequence[object] | None = None,
        page: bytes | None = None,
        attempt_s: float = _ATTEMPT_S,
    ) -> tuple[Rows, bytes | None]:
        """Execute until it succeeds, the error is not one to try again after, or the deadline has passed."""
        deadline = self._loop.time() + self._deadline_s
        waits = pauses()
        while True:
            landed: asyncio.Future[Rows | None] = self._loop.create_future()
            left = max(deadline - self._loop.time(), 0.1)
            response = self._session.execute_async(
                statement, values, timeout=min(attempt_s, left), paging_state=page
            )
            response.add_callbacks(
                self._landing.result, self._landing.failure, callback_args=(landed,), errback_args=(landed,)
            )
            try:
                return await landed or [], response._paging_state
            except Unauthorized as error:
                raise _unauthorized(error) from error
            except FAILURES as error:
                if not transient(error):
                    raise StoreRefuses(f"{table}: Cassandra refuses: {error}") from error
                pause = next(waits)
                if not again(error) or self._loop.time() + pause >= deadline:
                    raise _unavailable(table, error) from error
            await asyncio.sleep(pause)


def _open(contact_points: str, keyspace: str | None, deadline_s: float) -> Session:
    # A stock server answers every batch over more than 10 partitions with a warning, and the driver logs it.
    logging.getLogger("cassandra.protocol").setLevel(logging.ERROR)
    deadline = time.monotonic() + deadline_s
    waits = pauses()
    while True:
        cluster = _cluster(contact_points)
        try:
            session = cluster.connect()
            session.client_protocol_handler = EncodedBatches
            session.default_fetch_size = _PAGE_ROWS
            if keyspace is not None:
                session.set_keyspace(keyspace)
            return session
        except InvalidRequest as error:
            cluster.shutdown()
            raise EngineError(
                f"{contact_points}: {error}", "`tideline topology apply` creates the keyspace"
            ) from error
        except FAILURES as error:
            cluster.shutdown()
            _raise_refused(contact_points, error)
            pause = next(waits)
            if time.monotonic() + pause >= deadline:
                raise _unavailable(contact_points, error) from error
        time.sleep(pause)


def _cluster(contact_points: str) -> Cluster:
    hosts = [point.strip().rpartition(":") for point in contact_points.split(",")]
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(), shuffle_replicas=True),
        retry_policy=FallthroughRetryPolicy(),  # `_insist` retries, without holding a driver's thread
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL,
        request_timeout=_ATTEMPT_S,
        row_factory=tuple_factory,
    )
    login = login_of(contact_points)
    return Cluster(
        auth_provider=PlainTextAuthProvider(login.username, login.password) if login.username else None,
        ssl_context=login.context(),
        contact_points=[(host, int(port)) for host, _, port in hosts],
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        connect_timeout=_ATTEMPT_S,
        control_connection_timeout=_ATTEMPT_S,  # 2 s do not do when a dozen workers connect on a busy machine
        protocol_version=5,  # Cassandra 4.0 and later; without it the driver tries others first, and logs it
        compression="lz4",
        reconnection_policy=ExponentialReconnectionPolicy(0.5, 5.0),
        schema_event_refresh_window=-1,  # do not read all definitions anew whenever anybody changes one
        monitor_reporting_enabled=False,
    )


def _raise_refused(contact_points: str, error: Exception) -> None:
    """A wrong password and a certificate that is not trusted are not waited for: they stay wrong.

    Raises EngineError.
    """
    reasons = error.errors.values() if isinstance(error, NoHostAvailable) else [error]
    for reason in reasons:
        if isinstance(reason, AuthenticationFailed):
            user = login_of(contact_points).username
            what = f"refuses the password of {user}" if user else "wants a username and a password"
        elif "CERTIFICATE_VERIFY_FAILED" in str(reason):  # the driver raises another error with this text
            text = str(reason).partition("certificate verify failed: ")[2].partition(" (")[0]
            what = f"has a certificate that is not trusted: {text}"
        else:
            continue
        raise EngineError(
            f"Cassandra at {contact_points} {what}",
            "see the file that TIDELINE_CASSANDRA_CONFIG names: [authentication] and [ssl] certfile",
        ) from error


def _unauthorized(error: Exception) -> EngineError:
    """A stage waits for it: whoever took the permission away can give it back, and nothing is lost."""
    return EngineError(
        f"Cassandra: {error}", "GRANT SELECT, MODIFY ON KEYSPACE … TO the role it logs in with"
    )


def _unavailable(what: str, error: Exception) -> StoreUnavailable:
    return StoreUnavailable(
        f"{what}: Cassandra did not answer: {error}", "`tideline status` tells whether Cassandra is up"
    )

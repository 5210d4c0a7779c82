"""`reader_state`, `relations_by_reader`, and who is suspended. Writes carry the time of their event."""

from collections.abc import Mapping, Sequence

from pipeline.records import AccountEvent
from pipeline.store.cassandra.session import Database
from pipeline.store.cassandra.wire import UNSET
from pipeline.store.ports import ReaderState, Relations


class CassandraReaders:
    """A `ReaderStore`. At the same millisecond the end of a relation wins over its beginning."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._put_account = db.prepare(
            "INSERT INTO reader_state (reader_id, region, protected, registered_at) VALUES (?, ?, ?, ?)"
            " USING TIMESTAMP ?"
        )
        self._put_seen = db.prepare(
            "INSERT INTO reader_state (reader_id, last_seen) VALUES (?, ?) USING TIMESTAMP ?"
        )
        self._state = db.prepare(
            "SELECT region, protected, registered_at, last_seen FROM reader_state WHERE reader_id = ?"
        )
        self._relate = db.prepare(
            "INSERT INTO relations_by_reader (reader_id, other_id, kind, at) VALUES (?, ?, ?, ?)"
            " USING TIMESTAMP ?"
        )
        self._unrelate = db.prepare(
            "DELETE FROM relations_by_reader USING TIMESTAMP ?"
            " WHERE reader_id = ? AND other_id = ? AND kind = ?"
        )
        self._relations = db.prepare("SELECT other_id, kind FROM relations_by_reader WHERE reader_id = ?")
        self._suspend = db.prepare(
            "INSERT INTO author_stats (author_id, suspended) VALUES (?, ?) USING TIMESTAMP ?"
        )
        self._suspended = db.prepare("SELECT author_id, suspended FROM author_stats WHERE author_id IN ?")

    async def put_accounts(self, events: Sequence[AccountEvent]) -> None:
        """See `ReaderStore`."""
        rows = (
            self._put_account.mutation(
                event.user_id,
                event.region,
                event.protected,
                event.at if event.type == "registered" else UNSET,
                event.at * 1000,
            )
            for event in events
        )
        await self._db.write(rows, self._put_account.table)

    async def put_seen(self, seen: Mapping[int, int]) -> None:
        """See `ReaderStore`."""
        rows = (self._put_seen.mutation(reader_id, at, at * 1000) for reader_id, at in seen.items())
        await self._db.write(rows, self._put_seen.table)

    async def reader(self, reader_id: int) -> ReaderState:
        """See `ReaderStore`."""
        rows = await self._db.fetch(self._state, reader_id)
        if not rows:
            return ReaderState(reader_id)
        region, protected, registered_at, last_seen = rows[0]
        return ReaderState(reader_id, region or "", bool(protected), registered_at, last_seen)

    async def relate(self, reader_id: int, author_id: int, kind: str, present: bool, at: int) -> None:
        """See `ReaderStore`."""
        if kind == "block":
            sides = [(reader_id, author_id, "blocks"), (author_id, reader_id, "blocked_by")]
        else:
            sides = [(reader_id, author_id, "mutes")]
        rows = [
            self._relate.mutation(*side, at, at * 1000)
            if present
            else self._unrelate.mutation(at * 1000, *side)
            for side in sides
        ]
        await self._db.write(rows, self._relate.table)

    async def relations(self, reader_id: int) -> Relations:
        """See `ReaderStore`."""
        kinds: dict[str, set[int]] = {"blocks": set(), "blocked_by": set(), "mutes": set()}
        for other_id, kind in await self._db.fetch(self._relations, reader_id):
            kinds[kind].add(other_id)
        return Relations(**{kind: frozenset(others) for kind, others in kinds.items()})

    async def set_suspended(self, author_id: int, suspended: bool, at: int) -> None:
        """See `ReaderStore`."""
        await self._db.write([self._suspend.mutation(author_id, suspended, at * 1000)], self._suspend.table)

    async def suspended(self, author_ids: Sequence[int]) -> set[int]:
        """See `ReaderStore`."""
        rows = await self._db.fetch_in(self._suspended, author_ids)
        return {author_id for author_id, suspended in rows if suspended}

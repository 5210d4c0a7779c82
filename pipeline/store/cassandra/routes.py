"""`author_routes`: one row an author, its entries as JSON `[[since_post_id, class, reason], ...]`."""

from collections.abc import Iterable, Sequence

import orjson

from pipeline.domain.erasure import FOREVER
from pipeline.store.cassandra.session import Database
from pipeline.store.cassandra.wire import write_time_of
from pipeline.wire.records import AuthorClass, RouteEntry, RouteRecord


class CassandraRoutes:
    """A `RouteStore`. Records are replaced whole; a write time is a version, so no clock can lose one."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._put = db.prepare(
            "INSERT INTO author_routes (author_id, history, latest_post_id)"
            " VALUES (?, ?, ?) USING TIMESTAMP ?"
        )
        self._get = db.prepare(
            "SELECT author_id, history, latest_post_id FROM author_routes WHERE author_id IN ?"
        )
        self._forget = db.prepare("DELETE FROM author_routes USING TIMESTAMP ? WHERE author_id = ?")

    async def routes(self, author_ids: Iterable[int]) -> dict[int, RouteRecord]:
        """See `RouteStore`."""
        rows = await self._db.fetch_in(self._get, author_ids)
        return {
            author_id: RouteRecord(author_id, _entries(entries), latest)
            for author_id, entries, latest in rows
        }

    async def put_routes(self, records: Sequence[RouteRecord]) -> None:
        """See `RouteStore`."""
        rows = (
            self._put.mutation(
                each.author_id, _text(each.entries), each.latest_post_id, write_time_of(each.version)
            )
            for each in records
        )
        await self._db.write(rows, self._put.table)

    async def forget_routes(self, author_id: int) -> None:
        """See `RouteStore`."""
        await self._db.write([self._forget.mutation(FOREVER, author_id)], self._forget.table)


def _text(entries: Iterable[RouteEntry]) -> str:
    return orjson.dumps([(e.since_post_id, e.author_class, e.reason) for e in entries]).decode()


def _entries(text: str) -> tuple[RouteEntry, ...]:
    return tuple(
        RouteEntry(since, AuthorClass(author_class), reason)
        for since, author_class, reason in orjson.loads(text)
    )

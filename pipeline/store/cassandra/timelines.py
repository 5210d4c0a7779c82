"""`timeline_by_reader`: the hot path. A row costs one 8-byte key and a few bytes copies in this process.

Every parameter but the reader is the same for all readers of an entry, so it is encoded once per entry.
"""

import struct
from collections.abc import Iterator, Sequence

from pipeline.domain.erasure import FOREVER
from pipeline.domain.hints import GONE
from pipeline.domain.merge import Row
from pipeline.store.cassandra.ring import MAX_ROWS, Ring
from pipeline.store.cassandra.session import Database
from pipeline.store.cassandra.wire import Mutation
from pipeline.store.values import Push, Retraction, TimelineEntry

GRAIN = 20
"""Rows that are encoded as one: a tenth of a batch, so that batches still fill up."""

_KEY = struct.Struct(">q")
_KEY_SIZE = struct.pack(">i", _KEY.size)


class CassandraTimelines:
    """A `TimelineStore`. Rows carry the time of their event, so a replayed push rewrites the same rows."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._push = db.prepare(
            "INSERT INTO timeline_by_reader (reader_id, post_id, author_id, hints) VALUES (?, ?, ?, ?)"
            " USING TIMESTAMP ? AND TTL ?"
        )
        self._retract = db.prepare(
            "INSERT INTO timeline_by_reader (reader_id, post_id, author_id, hints) VALUES (?, ?, 0, ?)"
            " USING TIMESTAMP ?"
        )
        self._newest = db.prepare(
            "SELECT post_id, author_id, hints FROM timeline_by_reader"
            " WHERE reader_id = ? AND post_id >= ? AND post_id < ? LIMIT ?"
        )
        self._forget = db.prepare("DELETE FROM timeline_by_reader USING TIMESTAMP ? WHERE reader_id = ?")

    async def push(self, pushes: Sequence[Push]) -> int:
        """See `TimelineStore`. Rows are encoded as the batches before them leave."""
        alive = [Push(push.readers, [each for each in push.entries if each.ttl_s > 0]) for push in pushes]
        ring = self._db.ring()
        grains = (grain for push in alive for grain in self._mutations(push, ring))
        await self._db.write(grains, self._push.table)
        return sum(len(push.readers) * len(push.entries) for push in alive)

    def _mutations(self, push: Push, ring: Ring) -> Iterator[Mutation]:
        """The rows of a push, a grain of readers at a time: all entries of a reader stay together."""
        keys = [_KEY.pack(reader) for reader in push.readers]
        lead = self._push.head + _KEY_SIZE
        for first in range(0, len(push.entries), MAX_ROWS):
            tails = self._tails(push.entries[first : first + MAX_ROWS])
            readers = max(1, GRAIN // len(tails))
            for near in ring.split(keys):
                for at in range(0, len(near), readers):
                    some = near[at : at + readers]
                    rows = [lead + (tail + lead).join(some) + tail for tail in tails]
                    yield Mutation(some[0], len(some) * len(tails), b"".join(rows))

    def _tails(self, entries: Sequence[TimelineEntry]) -> list[bytes]:
        """What follows the reader in the row of each entry."""
        return [
            b"".join(
                self._push.parameters(
                    0, entry.post_id, entry.author_id, entry.hints, entry.timestamp_us, entry.ttl_s
                )[1:]
            )
            for entry in entries
        ]

    async def retract(self, retractions: Sequence[Retraction]) -> int:
        """See `TimelineStore`. A microsecond later, as the removal counts among writes of one millisecond."""
        rows = (
            self._retract.mutation(reader, post, GONE, min(each.timestamp_us + 1, FOREVER))
            for each in retractions
            for reader in each.readers
            for post in each.post_ids
        )
        await self._db.write(rows, self._retract.table)
        return sum(len(each.readers) * len(each.post_ids) for each in retractions)

    async def timeline(
        self, reader_id: int, lo: int, hi: int, limit: int, *, gone: bool = False
    ) -> list[Row]:
        """See `TimelineStore`."""
        found: list[Row] = []
        while len(found) < limit:
            rows = await self._db.fetch(self._newest, reader_id, lo, hi, limit)
            found += [Row(*row) for row in rows if gone or not row[2] & GONE]
            if gone or len(rows) < limit:
                break
            hi = rows[-1][0]
        return found[:limit]

    async def forget_timeline(self, reader_id: int) -> None:
        """See `TimelineStore`."""
        await self._db.write([self._forget.mutation(FOREVER, reader_id)], self._forget.table)

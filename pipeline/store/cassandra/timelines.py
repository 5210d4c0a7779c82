"""`timeline_by_reader`: the hot path. A row costs one 8-byte key and a few bytes copies in this process.

Every parameter but the reader is the same for all readers of an entry, so it is encoded once per entry.
"""

import struct
from collections.abc import Iterator, Sequence

from pipeline.store.cassandra.ring import MAX_ROWS
from pipeline.store.cassandra.session import Database
from pipeline.store.cassandra.wire import Mutation
from pipeline.store.ports import Push, TimelineEntry, TimelineRow

_KEY = struct.Struct(">q")


class CassandraTimelines:
    """A `TimelineStore`. Rows carry the time of their event, so a replayed push rewrites the same rows."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._push = db.prepare(
            "INSERT INTO timeline_by_reader (reader_id, post_id, author_id, hints) VALUES (?, ?, ?, ?)"
            " USING TIMESTAMP ? AND TTL ?"
        )
        self._newest = db.prepare(
            "SELECT post_id, author_id, hints FROM timeline_by_reader"
            " WHERE reader_id = ? AND post_id >= ? AND post_id < ? LIMIT ?"
        )

    async def push(self, pushes: Sequence[Push]) -> int:
        """See `TimelineStore`. Rows are encoded as the batches before them leave."""
        alive = [Push(push.readers, [each for each in push.entries if each.ttl_s > 0]) for push in pushes]
        rows = (mutation for push in alive for mutation in self._mutations(push.readers, push.entries))
        await self._db.write(rows, self._push.table)
        return sum(len(push.readers) * len(push.entries) for push in alive)

    def _mutations(self, readers: Sequence[int], entries: Sequence[TimelineEntry]) -> Iterator[Mutation]:
        """For each reader the rows of all entries together, so that they end in one mutation."""
        chunks = [self._tails(entries[at : at + MAX_ROWS]) for at in range(0, len(entries), MAX_ROWS)]
        before = self._push.head + struct.pack(">i", _KEY.size)
        pack = _KEY.pack
        for tails in chunks:
            rows = len(tails)
            for reader in readers:
                key = pack(reader)
                lead = before + key
                yield Mutation(key, rows, lead + lead.join(tails))

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

    async def timeline(self, reader_id: int, lo: int, hi: int, limit: int) -> list[TimelineRow]:
        """See `TimelineStore`."""
        rows = await self._db.fetch(self._newest, reader_id, lo, hi, limit)
        return [TimelineRow(post_id, author_id, hints) for post_id, author_id, hints in rows]

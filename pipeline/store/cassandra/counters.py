"""`engagement_by_post`: a row a window. Its write time is how far its sketch has grown, so the larger one
stays whoever writes last, and no clock has a say.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence

from pipeline.domain.engagement import Sketch, from_bytes, growth, readers, to_bytes
from pipeline.domain.erasure import FOREVER
from pipeline.store.cassandra.session import Database
from pipeline.store.values import CounterWindow, Engaged


class CassandraCounters:
    """A `CounterStore`."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._put = db.prepare(
            "INSERT INTO engagement_by_post (post_id, hour, part, readers, sketch) VALUES (?, ?, ?, ?, ?)"
            " USING TIMESTAMP ? AND TTL ?"
        )
        self._counts = db.prepare(
            "SELECT post_id, readers FROM engagement_by_post WHERE post_id IN ? AND hour >= ?"
        )
        self._sketches = db.prepare(
            "SELECT post_id, sketch FROM engagement_by_post WHERE post_id IN ? AND hour = ? AND part = ?"
        )
        self._forget = db.prepare("DELETE FROM engagement_by_post USING TIMESTAMP ? WHERE post_id = ?")

    async def engaged(self, post_ids: Iterable[int], since: int) -> dict[int, int]:
        """See `CounterStore`."""
        found: dict[int, int] = defaultdict(int)
        for post_id, count in await self._db.fetch_in(self._counts, post_ids, since):
            found[post_id] += count
        return dict(found)

    async def sketches(self, windows: Sequence[CounterWindow]) -> dict[CounterWindow, Sketch]:
        """See `CounterStore`. A batch is mostly of one hour, so that few questions ask for many posts."""
        posts: dict[tuple[int, int], list[int]] = defaultdict(list)
        for window in windows:
            posts[window.hour, window.part].append(window.post_id)
        answers = await asyncio.gather(
            *(self._db.fetch_in(self._sketches, each, *place) for place, each in posts.items())
        )
        return {
            CounterWindow(post_id, *place): from_bytes(data)
            for place, rows in zip(posts, answers, strict=True)
            for post_id, data in rows
        }

    async def put_sketches(self, engaged: Sequence[Engaged]) -> None:
        """See `CounterStore`."""
        rows = (
            self._put.mutation(
                *each.window, readers(each.sketch), to_bytes(each.sketch), growth(each.sketch), each.ttl_s
            )
            for each in engaged
        )
        await self._db.write(rows, self._put.table)

    async def forget_counters(self, post_ids: Sequence[int]) -> None:
        """See `CounterStore`."""
        gone = (self._forget.mutation(FOREVER, post) for post in post_ids)
        await self._db.write(gone, self._forget.table)

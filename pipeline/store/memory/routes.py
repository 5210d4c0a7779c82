"""Routes in memory: the newest record of each author."""

from collections.abc import Iterable, Sequence

from pipeline.wire.records import RouteRecord


class MemoryRoutes:
    """A `RouteStore`."""

    def __init__(self) -> None:
        self._records: dict[int, RouteRecord] = {}
        self._forgotten: set[int] = set()

    async def routes(self, author_ids: Iterable[int]) -> dict[int, RouteRecord]:
        """See `RouteStore`."""
        return {author: self._records[author] for author in author_ids if author in self._records}

    async def put_routes(self, records: Sequence[RouteRecord]) -> None:
        """See `RouteStore`."""
        for record in records:
            if record.author_id in self._forgotten:
                continue
            known = self._records.get(record.author_id, record)
            self._records[record.author_id] = max(known, record, key=lambda each: each.version)

    async def forget_routes(self, author_id: int) -> None:
        """See `RouteStore`."""
        self._records.pop(author_id, None)
        self._forgotten.add(author_id)

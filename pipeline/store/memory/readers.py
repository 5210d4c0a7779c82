"""Accounts, relations and suspensions in memory."""

from collections.abc import Mapping, Sequence

from pipeline.records import AccountEvent
from pipeline.store.memory.cells import Clock, Table
from pipeline.store.ports import ReaderState, Relations


class MemoryReaders:
    """A `ReaderStore`."""

    def __init__(self, clock: Clock) -> None:
        self._states = Table(clock)
        self._relations = Table(clock)
        self._suspensions = Table(clock)

    async def put_accounts(self, events: Sequence[AccountEvent]) -> None:
        """See `ReaderStore`."""
        for event in events:
            registered = {"registered_at": event.at} if event.type == "registered" else {}
            values = {"region": event.region, "protected": event.protected, **registered}
            self._states.write(event.user_id, 0, event.at * 1000, values)

    async def put_seen(self, seen: Mapping[int, int]) -> None:
        """See `ReaderStore`."""
        for reader, at in seen.items():
            self._states.write(reader, 0, at * 1000, {"last_seen": at})

    async def reader(self, reader_id: int) -> ReaderState:
        """See `ReaderStore`."""
        return ReaderState(reader_id, **self._states.row(reader_id))

    async def relate(self, reader_id: int, author_id: int, kind: str, present: bool, at: int) -> None:
        """See `ReaderStore`."""
        value = {"at": at if present else None}
        if kind == "block":
            self._relations.write(reader_id, (author_id, "blocks"), at * 1000, value)
            self._relations.write(author_id, (reader_id, "blocked_by"), at * 1000, value)
        else:
            self._relations.write(reader_id, (author_id, "mutes"), at * 1000, value)

    async def relations(self, reader_id: int) -> Relations:
        """See `ReaderStore`."""
        rows = self._relations.rows(reader_id)
        kinds = {kind: {other for other, its in rows if its == kind} for _, kind in rows}
        return Relations(**{kind: frozenset(others) for kind, others in kinds.items()})

    async def set_suspended(self, author_id: int, suspended: bool, at: int) -> None:
        """See `ReaderStore`."""
        self._suspensions.write(author_id, 0, at * 1000, {"suspended": suspended})

    async def suspended(self, author_ids: Sequence[int]) -> set[int]:
        """See `ReaderStore`."""
        return {author for author in author_ids if self._suspensions.row(author).get("suspended")}

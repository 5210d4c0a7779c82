"""Accounts, engagements, relations, hides and suspensions in memory."""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from itertools import islice

from pipeline.domain.erasure import FOREVER
from pipeline.domain.order import Version, time_of
from pipeline.domain.snowflake import MAX_ID, first_id
from pipeline.store.memory.cells import Clock, MemoryTable
from pipeline.store.values import Hidden, Hide, Placed, ReaderState, Relations
from pipeline.wire.enums import EventType
from pipeline.wire.records import AccountEvent, Suspension


class MemoryReaders:
    """A `ReaderStore`."""

    def __init__(self, clock: Clock) -> None:
        self._states = MemoryTable(clock)
        self._engagements = MemoryTable(clock)
        self._relations = MemoryTable(clock)
        self._hidden = MemoryTable(clock)
        self._suspensions = MemoryTable(clock)

    async def put_accounts(self, events: Iterable[Placed[AccountEvent]]) -> None:
        """See `ReaderStore`."""
        for event, place in events:
            settings = {"region": event.region, "protected": event.protected}
            values: dict[str, object] = {name: value for name, value in settings.items() if event.sets(name)}
            if event.type == EventType.REGISTERED:
                values["registered_at"] = event.at
            self._states.write(event.user_id, 0, Version(event.at, place).write_time, values)

    async def put_seen(self, seen: Mapping[int, int]) -> None:
        """See `ReaderStore`."""
        for reader, at in seen.items():
            self._states.write(reader, 0, at * 1000, {"last_seen": at})

    async def reader(self, reader_id: int) -> ReaderState:
        """See `ReaderStore`."""
        return ReaderState(reader_id, **self._states.row(reader_id))

    async def readers(self, reader_ids: Sequence[int]) -> dict[int, ReaderState]:
        """See `ReaderStore`."""
        return {reader: await self.reader(reader) for reader in reader_ids}

    async def put_cohorts(
        self, states: Sequence[ReaderState], accounts: Iterable[Placed[AccountEvent]] = ()
    ) -> None:
        """See `ReaderStore`."""
        await self.put_accounts(accounts)
        for each in states:
            values = {
                "active": each.active,
                "covered_from": each.covered_from,
                "cohort_at": each.cohort_at,
            }
            self._states.write(each.reader_id, 0, each.cohort_at * 1000, values)

    async def put_readers_caught_up(self, reader_ids: Sequence[int], bound: int, *, ttl_s: int) -> None:
        """See `ReaderStore`."""
        for reader in reader_ids:
            self._states.write(reader, 0, bound, {"caught_up": bound}, ttl_s=ttl_s)

    async def put_engagements(self, engagements: Sequence[tuple[int, int, int]]) -> None:
        """See `ReaderStore`."""
        for reader, author, at in engagements:
            self._engagements.write(reader, (author, at), at * 1000, {"at": at})

    async def engagements(self, reader_id: int, author_id: int, after: int, until: int, most: int) -> int:
        """See `ReaderStore`."""
        rows = self._engagements.rows(reader_id)
        return min(most, len([at for author, at in rows if author == author_id and after < at <= until]))

    async def affinity(self, reader_id: int, most: int) -> dict[int, int]:
        """See `ReaderStore`."""
        return Counter(author for author, _ in islice(self._engagements.rows(reader_id), most))

    async def not_seen_since(self, before: int) -> AsyncIterator[int]:
        """See `ReaderStore`."""
        for reader_id in self._states.partitions():
            state = await self.reader(reader_id)
            if state.active and max(state.last_seen or 0, state.registered_at or 0) < before:
                yield reader_id

    async def readers_after(self, place: int, limit: int) -> list[tuple[int, int]]:
        """See `ReaderStore`."""
        return self._states.after(place, limit)

    async def relate(
        self, reader_id: int, author_id: int, kind: str, present: bool, version: Version
    ) -> None:
        """See `ReaderStore`."""
        value, written = {"present": present}, version.write_time
        if kind == "block":
            self._relations.write(reader_id, (author_id, "blocks"), written, value)
            self._relations.write(author_id, (reader_id, "blocked_by"), written, value)
        else:
            self._relations.write(reader_id, (author_id, "mutes"), written, value)

    async def relations(self, reader_id: int, others: Collection[int]) -> Relations:
        """See `ReaderStore`."""
        kinds: dict[str, set[int]] = {"blocks": set(), "blocked_by": set(), "mutes": set()}
        asked = set(others)
        for (other, kind), cells in self._relations.rows(reader_id).items():
            if cells["present"] and other in asked:
                kinds[kind].add(other)
        return Relations(**{kind: frozenset(found) for kind, found in kinds.items()})

    async def put_hidden(self, hides: Sequence[Hide]) -> None:
        """See `ReaderStore`."""
        for each in hides:
            values = {"author_id": each.author_id, "hidden": each.hidden}
            self._hidden.write(each.reader_id, each.post_id, each.version.write_time, values)

    async def hidden(self, reader_id: int, since: int, most: int) -> Hidden:
        """See `ReaderStore`."""
        rows = {post: cells for post, cells in self._hidden.rows(reader_id).items() if post >= since}
        newest = sorted(rows, reverse=True)[:most]
        posts = {post: rows[post]["author_id"] for post in newest if rows[post]["hidden"]}
        return Hidden(posts, newest[-1] if len(newest) == most else since)

    async def hidden_among(self, reader_id: int, post_ids: Collection[int]) -> dict[int, int]:
        """See `ReaderStore`."""
        rows, asked = self._hidden.rows(reader_id), set(post_ids)
        return {p: cells["author_id"] for p, cells in rows.items() if p in asked and cells["hidden"]}

    async def set_suspended(self, author_id: int, suspended: bool, version: Version) -> None:
        """See `ReaderStore`."""
        bound = {"retracted_before": first_id(version.at)} if suspended else {}
        self._suspensions.write(author_id, 0, version.write_time, {"suspended": suspended, **bound})

    async def suspensions(self, author_ids: Sequence[int]) -> dict[int, Suspension]:
        """See `ReaderStore`."""
        rows = {author: self._suspensions.row(author) for author in author_ids}
        return {
            author: Suspension(
                author,
                row["suspended"],
                row.get("retracted_before", 0),
                time_of(self._suspensions.written_us(author, 0, "suspended")),
                row.get("erased", False),
            )
            for author, row in rows.items()
            if row
        }

    async def suspended_as_of(self, author_id: int) -> int:
        """See `ReaderStore`."""
        return self._suspensions.written_us(author_id, 0, "suspended")

    async def suspended(self, author_ids: Sequence[int]) -> set[int]:
        """See `ReaderStore`."""
        return {author for author in author_ids if self._suspensions.row(author).get("suspended")}

    async def hide_erased(self, account_id: int) -> Suspension:
        """See `ReaderStore`."""
        values = {"suspended": True, "retracted_before": MAX_ID, "erased": True}
        self._suspensions.write(account_id, 0, FOREVER, values)
        return Suspension(account_id, True, MAX_ID, time_of(FOREVER), erased=True)

    async def related_after(self, account_id: int, after: int, limit: int) -> list[int]:
        """See `ReaderStore`."""
        return sorted({other for other, _ in self._relations.rows(account_id) if other > after})[:limit]

    async def mentions_after(self, place: int, limit: int) -> list[tuple[int, int]]:
        """See `ReaderStore`."""
        tables = (self._relations, self._hidden, self._engagements)
        return sorted({each for table in tables for each in table.after(place, limit)})[:limit]

    async def forget_mentions(self, account_id: int, reader_ids: Sequence[int]) -> set[int]:
        """See `ReaderStore`."""
        found = set()
        for reader in reader_ids:
            said = [
                *((self._relations, row) for row in self._relations.rows(reader) if row[0] == account_id),
                *((self._engagements, row) for row in self._engagements.rows(reader) if row[0] == account_id),
                *(
                    (self._hidden, post)
                    for post, cells in self._hidden.rows(reader).items()
                    if cells["author_id"] == account_id
                ),
            ]
            for table, row in said:
                table.forget(reader, row)
                found.add(reader)
        return found

    async def forget_account(self, account_id: int) -> None:
        """See `ReaderStore`."""
        every = (self._states, self._engagements, self._relations, self._hidden, self._suspensions)
        for table in every:
            table.forget(account_id)

"""What is known of readers, and which authors are suspended. Writes carry the time of their event."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from itertools import chain
from operator import attrgetter

from pipeline.domain.erasure import FOREVER
from pipeline.domain.order import Version, time_of
from pipeline.domain.snowflake import MAX_ID, first_id
from pipeline.store.cassandra.session import Database
from pipeline.store.cassandra.wire import UNSET, Mutation, write_time_of
from pipeline.store.values import NOT_COVERED, Hidden, Hide, Placed, ReaderState, Relations
from pipeline.wire.enums import EventType
from pipeline.wire.records import AccountEvent, Suspension

_MENTIONING = ("relations_by_reader", "hidden_by_reader", "affinity_by_reader")
"""Where a reader's rows name other accounts."""


class CassandraReaders:
    """A `ReaderStore`. What ends is overwritten, not deleted: no partition collects tombstones."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._put_account = db.prepare(
            "INSERT INTO reader_state (reader_id, region, protected, registered_at) VALUES (?, ?, ?, ?)"
            " USING TIMESTAMP ?"
        )
        self._put_seen = db.prepare(
            "INSERT INTO reader_state (reader_id, last_seen) VALUES (?, ?) USING TIMESTAMP ?"
        )
        self._put_cohort = db.prepare(
            "INSERT INTO reader_state (reader_id, active, covered_from, cohort_at) VALUES (?, ?, ?, ?)"
            " USING TIMESTAMP ?"
        )
        self._caught_up = db.prepare(
            "INSERT INTO reader_state (reader_id, caught_up) VALUES (?, ?) USING TIMESTAMP ? AND TTL ?"
        )
        self._states = db.prepare(
            "SELECT reader_id, region, protected, registered_at, last_seen, active, covered_from, cohort_at,"
            " caught_up FROM reader_state WHERE reader_id IN ?"
        )
        self._engage = db.prepare(
            "INSERT INTO affinity_by_reader (reader_id, author_id, at) VALUES (?, ?, ?) USING TIMESTAMP ?"
        )
        self._engagements = db.prepare(
            "SELECT at FROM affinity_by_reader"
            " WHERE reader_id = ? AND author_id = ? AND at > ? AND at <= ? LIMIT ?"
        )
        self._affinity = db.prepare("SELECT author_id FROM affinity_by_reader WHERE reader_id = ? LIMIT ?")
        self._hide = db.prepare(
            "INSERT INTO hidden_by_reader (reader_id, post_id, author_id, hidden) VALUES (?, ?, ?, ?)"
            " USING TIMESTAMP ?"
        )
        self._hidden = db.prepare(
            "SELECT post_id, author_id, hidden FROM hidden_by_reader WHERE reader_id = ? AND post_id >= ?"
            " ORDER BY post_id DESC LIMIT ?"
        )
        self._hidden_among = db.prepare(
            "SELECT post_id, author_id, hidden FROM hidden_by_reader WHERE post_id IN ? AND reader_id = ?"
        )
        self._all = db.prepare("SELECT reader_id, active, last_seen, registered_at FROM reader_state")
        self._readers = db.prepare(
            "SELECT DISTINCT reader_id, token(reader_id) FROM reader_state WHERE token(reader_id) > ? LIMIT ?"
        )
        self._relate = db.prepare(
            "INSERT INTO relations_by_reader (reader_id, other_id, kind, at, present) VALUES (?, ?, ?, ?, ?)"
            " USING TIMESTAMP ?"
        )
        self._relations = db.prepare(
            "SELECT other_id, kind, present FROM relations_by_reader WHERE other_id IN ? AND reader_id = ?"
        )
        self._suspend = db.prepare(
            "INSERT INTO author_stats (author_id, suspended, retracted_before) VALUES (?, true, ?)"
            " USING TIMESTAMP ?"
        )
        self._reinstate = db.prepare(
            "INSERT INTO author_stats (author_id, suspended) VALUES (?, false) USING TIMESTAMP ?"
        )
        self._suspensions = db.prepare(
            "SELECT author_id, suspended, retracted_before, WRITETIME(suspended), erased FROM author_stats"
            " WHERE author_id IN ?"
        )
        self._hide_erased = db.prepare(
            "INSERT INTO author_stats (author_id, suspended, retracted_before, erased)"
            " VALUES (?, true, ?, true) USING TIMESTAMP ?"
        )
        self._related = db.prepare(
            "SELECT other_id FROM relations_by_reader WHERE reader_id = ? AND other_id > ? LIMIT ?"
        )
        self._mentioning = [
            db.prepare(
                f"SELECT DISTINCT reader_id, token(reader_id) FROM {table}"  # noqa: S608 - names of ours
                " WHERE token(reader_id) > ? LIMIT ?"
            )
            for table in _MENTIONING
        ]
        self._related_to = db.prepare(
            "SELECT reader_id, other_id, kind FROM relations_by_reader WHERE reader_id IN ? AND other_id = ?"
        )
        self._hidden_of = db.prepare(
            "SELECT reader_id, post_id FROM hidden_by_reader WHERE reader_id IN ? AND author_id = ?"
            " ALLOW FILTERING"
        )
        self._engaged_with = db.prepare(
            "SELECT reader_id, author_id FROM affinity_by_reader WHERE reader_id IN ? AND author_id = ?"
            " PER PARTITION LIMIT 1"
        )
        self._unrelate = db.prepare(
            "DELETE FROM relations_by_reader USING TIMESTAMP ?"
            " WHERE reader_id = ? AND other_id = ? AND kind = ?"
        )
        self._unhide = db.prepare(
            "DELETE FROM hidden_by_reader USING TIMESTAMP ? WHERE reader_id = ? AND post_id = ?"
        )
        self._disengage = db.prepare(
            "DELETE FROM affinity_by_reader USING TIMESTAMP ? WHERE reader_id = ? AND author_id = ?"
        )
        self._forget = [
            db.prepare(f"DELETE FROM {table} USING TIMESTAMP ? WHERE {key} = ?")  # noqa: S608 - as above
            for table, key in (
                *((table, "reader_id") for table in ("reader_state", *_MENTIONING)),
                ("author_stats", "author_id"),
            )
        ]

    async def put_accounts(self, events: Iterable[Placed[AccountEvent]]) -> None:
        """See `ReaderStore`."""
        await self._db.write(map(self._account, events), self._put_account.table)

    def _account(self, placed: Placed[AccountEvent]) -> Mutation:
        event, place = placed
        return self._put_account.mutation(
            event.user_id,
            event.region if event.sets("region") else UNSET,
            event.protected if event.sets("protected") else UNSET,
            event.at if event.type == EventType.REGISTERED else UNSET,
            Version(event.at, place).write_time,
        )

    async def put_seen(self, seen: Mapping[int, int]) -> None:
        """See `ReaderStore`."""
        rows = (self._put_seen.mutation(reader_id, at, at * 1000) for reader_id, at in seen.items())
        await self._db.write(rows, self._put_seen.table)

    async def reader(self, reader_id: int) -> ReaderState:
        """See `ReaderStore`."""
        return (await self.readers([reader_id]))[reader_id]

    async def readers(self, reader_ids: Sequence[int]) -> dict[int, ReaderState]:
        """See `ReaderStore`."""
        states = {reader: ReaderState(reader) for reader in reader_ids}
        for row in await self._db.fetch_in(self._states, reader_ids):
            states[row[0]] = _state(*row)
        return states

    async def put_cohorts(
        self, states: Sequence[ReaderState], accounts: Iterable[Placed[AccountEvent]] = ()
    ) -> None:
        """See `ReaderStore`. The server merges the rows of a reader that come in one batch."""
        cohorts = (
            self._put_cohort.mutation(
                each.reader_id, each.active, each.covered_from, each.cohort_at, each.cohort_at * 1000
            )
            for each in states
        )
        rows = sorted(chain(cohorts, map(self._account, accounts)), key=attrgetter("key"))
        await self._db.write(rows, self._put_cohort.table)

    async def put_readers_caught_up(self, reader_ids: Sequence[int], bound: int, *, ttl_s: int) -> None:
        """See `ReaderStore`. The bound itself is the write time, so the higher one wins."""
        us = write_time_of(bound)
        rows = (self._caught_up.mutation(reader, bound, us, ttl_s) for reader in reader_ids)
        await self._db.write(rows, self._caught_up.table)

    async def put_engagements(self, engagements: Sequence[tuple[int, int, int]]) -> None:
        """See `ReaderStore`."""
        rows = (self._engage.mutation(*each, each[-1] * 1000) for each in engagements)
        await self._db.write(rows, self._engage.table)

    async def engagements(self, reader_id: int, author_id: int, after: int, until: int, most: int) -> int:
        """See `ReaderStore`."""
        return len(await self._db.fetch(self._engagements, reader_id, author_id, after, until, most))

    async def affinity(self, reader_id: int, most: int) -> dict[int, int]:
        """See `ReaderStore`."""
        return Counter(author_id for (author_id,) in await self._db.fetch(self._affinity, reader_id, most))

    async def not_seen_since(self, before: int) -> AsyncIterator[int]:
        """See `ReaderStore`. Reads the whole table, a page at a time."""
        async for reader_id, active, last_seen, registered_at in self._db.stream(self._all):
            if active and max(last_seen or 0, registered_at or 0) < before:
                yield reader_id

    async def readers_after(self, place: int, limit: int) -> list[tuple[int, int]]:
        """See `ReaderStore`. A place is a token; of two readers with one token the second is left out."""
        rows = await self._db.fetch(self._readers, place, limit)
        return [(token, reader_id) for reader_id, token in rows]

    async def relate(
        self, reader_id: int, author_id: int, kind: str, present: bool, version: Version
    ) -> None:
        """See `ReaderStore`."""
        if kind == "block":
            sides = [(reader_id, author_id, "blocks"), (author_id, reader_id, "blocked_by")]
        else:
            sides = [(reader_id, author_id, "mutes")]
        rows = [self._relate.mutation(*side, version.at, present, version.write_time) for side in sides]
        await self._db.write(rows, self._relate.table)

    async def relations(self, reader_id: int, others: Collection[int]) -> Relations:
        """See `ReaderStore`. A row of an older release has no `present`, and is."""
        kinds: dict[str, set[int]] = {"blocks": set(), "blocked_by": set(), "mutes": set()}
        for other_id, kind, present in await self._db.fetch_in(self._relations, others, reader_id):
            if present is not False:
                kinds[kind].add(other_id)
        return Relations(**{kind: frozenset(others) for kind, others in kinds.items()})

    async def put_hidden(self, hides: Sequence[Hide]) -> None:
        """See `ReaderStore`."""
        rows = (
            self._hide.mutation(
                each.reader_id, each.post_id, each.author_id, each.hidden, each.version.write_time
            )
            for each in hides
        )
        await self._db.write(rows, self._hide.table)

    async def hidden(self, reader_id: int, since: int, most: int) -> Hidden:
        """See `ReaderStore`."""
        rows = await self._db.fetch(self._hidden, reader_id, since, most)
        return Hidden(_hidden(rows), rows[-1][0] if len(rows) == most else since)

    async def hidden_among(self, reader_id: int, post_ids: Collection[int]) -> dict[int, int]:
        """See `ReaderStore`."""
        return _hidden(await self._db.fetch_in(self._hidden_among, post_ids, reader_id))

    async def set_suspended(self, author_id: int, suspended: bool, version: Version) -> None:
        """See `ReaderStore`."""
        row = (
            self._suspend.mutation(author_id, first_id(version.at), version.write_time)
            if suspended
            else self._reinstate.mutation(author_id, version.write_time)
        )
        await self._db.write([row], self._suspend.table)

    async def suspensions(self, author_ids: Sequence[int]) -> dict[int, Suspension]:
        """See `ReaderStore`."""
        rows = await self._db.fetch_in(self._suspensions, author_ids)
        return {
            author_id: Suspension(author_id, suspended, before or 0, time_of(written), bool(erased))
            for author_id, suspended, before, written, erased in rows
            if suspended is not None
        }

    async def suspended_as_of(self, author_id: int) -> int:
        """See `ReaderStore`."""
        rows = await self._db.fetch_in(self._suspensions, [author_id])
        return next((written for _, _, _, written, _ in rows if written is not None), 0)

    async def suspended(self, author_ids: Sequence[int]) -> set[int]:
        """See `ReaderStore`."""
        return {a for a, known in (await self.suspensions(author_ids)).items() if known.suspended}

    async def hide_erased(self, account_id: int) -> Suspension:
        """See `ReaderStore`."""
        await self._db.write(
            [self._hide_erased.mutation(account_id, MAX_ID, FOREVER)], self._hide_erased.table
        )
        return Suspension(account_id, True, MAX_ID, time_of(FOREVER), erased=True)

    async def related_after(self, account_id: int, after: int, limit: int) -> list[int]:
        """See `ReaderStore`. One row a kind, at most three of an account."""
        rows = await self._db.fetch(self._related, account_id, after, 3 * limit)
        return list(dict.fromkeys(other for (other,) in rows))[:limit]

    async def mentions_after(self, place: int, limit: int) -> list[tuple[int, int]]:
        """See `ReaderStore`."""
        found = await asyncio.gather(*(self._db.fetch(each, place, limit) for each in self._mentioning))
        return sorted({(token, reader) for rows in found for reader, token in rows})[:limit]

    async def forget_mentions(self, account_id: int, reader_ids: Sequence[int]) -> set[int]:
        """See `ReaderStore`. Looks first, so that a reader who says nothing of it gets no tombstone."""
        related, hidden, engaged = await asyncio.gather(
            *(
                self._db.fetch_in(each, reader_ids, account_id)
                for each in (self._related_to, self._hidden_of, self._engaged_with)
            )
        )
        gone = [
            *(self._unrelate.mutation(FOREVER, *row) for row in related),
            *(self._unhide.mutation(FOREVER, *row) for row in hidden),
            *(self._disengage.mutation(FOREVER, *row) for row in engaged),
        ]
        await self._db.write(gone, self._unrelate.table)
        return {row[0] for row in (*related, *hidden, *engaged)}

    async def forget_account(self, account_id: int) -> None:
        """See `ReaderStore`."""
        gone = (each.mutation(FOREVER, account_id) for each in self._forget)
        await self._db.write(gone, self._put_account.table)


def _hidden(rows: Iterable[tuple[int, int, bool | None]]) -> dict[int, int]:
    """A row of an older release has no `hidden`, and is."""
    return {post_id: author_id for post_id, author_id, hidden in rows if hidden is not False}


def _state(
    reader_id: int,
    region: str | None,
    protected: bool | None,
    registered_at: int | None,
    last_seen: int | None,
    active: bool | None,
    covered_from: int | None,
    cohort_at: int | None,
    caught_up: int | None,
) -> ReaderState:
    return ReaderState(
        reader_id,
        region or "",
        bool(protected),
        registered_at,
        last_seen,
        active,
        NOT_COVERED if covered_from is None else covered_from,
        cohort_at or 0,
        caught_up or 0,
    )

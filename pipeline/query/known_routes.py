"""What a query must know of authors before it can plan: route records, suspensions, rows that may be gone.

All of it is held whole from compacted topics. A view older than half the margin is not trusted: the tables
behind the topics, which are written first, are read instead, so a page stays exact when the broker is away.
What is read then is shared by the pages of a second at most.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pipeline.domain.coverage import EdgeCover, Range, pull_ranges
from pipeline.query.cache import Cache
from pipeline.store.ports import ReaderStore, RouteStore
from pipeline.wire.records import RouteRecord, Suspension

Record = TypeVar("Record")

MAX_RANGES = 1_000
"""Kinds of edges to one author whose ranges are remembered; nearly all edges are of one kind."""


@dataclass(frozen=True, slots=True)
class Route:
    """An author as a query must know them; `record` None: plain push. Rows below the bound may be gone.
    `erased`: as a reader they are served nothing any more.
    """

    record: RouteRecord | None = None
    retracted_before: int = 0
    suspended: bool = False
    erased: bool = False
    _ranges: dict[tuple[int, int | None, int], list[Range]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def pull_ranges(self, covered_from: int, warm_since: int | None, margin_ms: int) -> list[Range]:
        """What of all time is not pushed to such an edge; remembered, as windows alone move."""
        key = covered_from, warm_since, margin_ms
        found = self._ranges.get(key)
        if found is None:
            entries = () if self.record is None else self.record.entries
            found = pull_ranges(entries, EdgeCover(covered_from, warm_since), 0, margin_ms=margin_ms)
            if len(self._ranges) >= MAX_RANGES:
                self._ranges.clear()
            self._ranges[key] = found
        return found


_PLAIN = Route()
"""Of an author of whom there is nothing to know."""


@dataclass(slots=True)
class ByAuthor(Generic[Record]):
    """What a view of a topic keyed by author fills. `version`: grows after each change. `heard`: told of the
    record before, and of the new one.
    """

    records: dict[int, Record] = field(default_factory=dict)
    version: int = 0
    heard: Callable[[Record | None, Record], None] = lambda before, record: None

    def put(self, key: bytes, record: Record | None) -> None:
        """The newest record of this author; None: it was taken out."""
        before = self.records.get(int(key))
        if record is None:
            self.records.pop(int(key), None)
        else:
            self.records[int(key)] = record
        self.version += 1  # last: whoever saw it sees the record
        if record is not None:
            self.heard(before, record)


@dataclass(frozen=True, slots=True)
class KnownRoutes:
    """`records`, `suspensions`: the views, by author; `age_s`: of the older one; `version`: while it is the
    same, so is what both hold; None where nobody can tell. `made`: the routes of what the views hold, so that
    what is remembered of an author is there until the views hold something else. `brief`: what pages share
    that have to read the tables.
    """

    records: Mapping[int, RouteRecord]
    suspensions: Mapping[int, Suspension]
    age_s: Callable[[], float]
    max_age_s: float
    routes: RouteStore
    readers: ReaderStore
    version: Callable[[], object] = lambda: None
    made: dict[int, tuple[RouteRecord | None, Suspension | None, Route]] = field(default_factory=dict)
    brief: Cache[int, Route] = field(default_factory=lambda: Cache("routes", 0, lambda: False))

    def fresh(self) -> bool:
        """Whether the views may be asked."""
        return self.age_s() <= self.max_age_s

    def known(self, authors: Collection[int]) -> dict[int, Route] | None:
        """Those of these authors who are not plain push, or were suspended; None: the views are too old."""
        if not self.fresh():
            return None
        return {author: self._made(author) for author in _there(authors, self.records, self.suspensions)}

    async def among(self, authors: Collection[int]) -> dict[int, Route]:
        """The same, from the tables if need be."""
        known = self.known(authors)
        if known is not None:
            return known
        found = await self.brief.all(list(authors), self._from_tables)
        return {author: route for author, route in found.items() if route is not _PLAIN}

    async def _from_tables(self, authors: Collection[int]) -> dict[int, Route]:
        records, suspensions = await asyncio.gather(
            self.routes.routes(authors), self.readers.suspensions(list(authors))
        )
        there = _there(authors, records, suspensions)
        return {
            author: _route(records.get(author), suspensions.get(author)) if author in there else _PLAIN
            for author in authors
        }

    def _made(self, author: int) -> Route:
        record, suspension = self.records.get(author), self.suspensions.get(author)
        made = self.made.get(author)
        if made is None or made[0] is not record or made[1] is not suspension:
            made = self.made[author] = record, suspension, _route(record, suspension)
        return made[2]


def _there(
    authors: Collection[int], records: Mapping[int, RouteRecord], suspensions: Mapping[int, Suspension]
) -> set[int]:
    # goes through the authors, never through a view's dictionary, which another thread fills meanwhile
    return (records.keys() & authors) | (suspensions.keys() & authors)


def _route(record: RouteRecord | None, suspension: Suspension | None) -> Route:
    if suspension is None:
        return Route(record)
    return Route(record, suspension.retracted_before, suspension.suspended, suspension.erased)

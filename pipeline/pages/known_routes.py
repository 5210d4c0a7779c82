"""What a query must know of authors before it can plan: route records, suspensions, rows that may be gone.

All of it is held whole from compacted topics. A view older than half the margin is not trusted: the tables
behind the topics, which are written first, are read instead, so a page stays exact when the broker is away.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pipeline.records import RouteRecord, Suspension
from pipeline.store.ports import ReaderStore, RouteStore

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Route:
    """An author as a query must know them; `record` None: plain push. Rows below the bound may be gone."""

    record: RouteRecord | None = None
    retracted_before: int = 0
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class ByAuthor(Generic[Record]):
    """What a view of a topic keyed by author fills."""

    records: dict[int, Record] = field(default_factory=dict)

    def put(self, key: bytes, record: Record | None) -> None:
        """The newest record of this author; None: it was taken out."""
        if record is None:
            self.records.pop(int(key), None)
        else:
            self.records[int(key)] = record


@dataclass(frozen=True, slots=True)
class KnownRoutes:
    """`records`, `suspensions`: the views, by author; `age_s`: of the older one."""

    records: Mapping[int, RouteRecord]
    suspensions: Mapping[int, Suspension]
    age_s: Callable[[], float]
    max_age_s: float
    routes: RouteStore
    readers: ReaderStore

    def known(self, authors: Collection[int]) -> dict[int, Route] | None:
        """Those of these authors who are not plain push, or were suspended; None: the views are too old."""
        if self.age_s() > self.max_age_s:
            return None
        return _among(authors, self.records, self.suspensions)

    async def among(self, authors: Collection[int]) -> dict[int, Route]:
        """The same, from the tables if need be."""
        known = self.known(authors)
        if known is not None:
            return known
        records, suspensions = await asyncio.gather(
            self.routes.routes(authors), self.readers.suspensions(list(authors))
        )
        return _among(authors, records, suspensions)


def _among(
    authors: Collection[int], records: Mapping[int, RouteRecord], suspensions: Mapping[int, Suspension]
) -> dict[int, Route]:
    # goes through the authors, never through a view's dictionary, which another thread fills meanwhile
    there = (records.keys() & authors) | (suspensions.keys() & authors)
    return {author: _route(records.get(author), suspensions.get(author)) for author in there}


def _route(record: RouteRecord | None, suspension: Suspension | None) -> Route:
    if suspension is None:
        return Route(record)
    return Route(record, suspension.retracted_before, suspension.suspended)

"""What a query must know of authors before it can plan: their route records, and rows that may be gone.

Both are held whole from compacted topics. A view older than half the margin is not trusted: the tables behind
the topics, which are written first, are read instead, so a page stays exact when the broker is away.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pipeline.records import RouteRecord, Suspension
from pipeline.store.ports import ReaderStore, RouteStore


@dataclass(frozen=True, slots=True)
class Route:
    """An author as a query must know them; `record` None: plain push. Rows below the bound may be gone."""

    record: RouteRecord | None = None
    retracted_before: int = 0


@dataclass(frozen=True, slots=True)
class KnownRoutes:
    """`record_of`, `suspension_of`: the views; `age_s`: of the older one."""

    record_of: Callable[[int], RouteRecord | None]
    suspension_of: Callable[[int], Suspension | None]
    age_s: Callable[[], float]
    max_age_s: float
    routes: RouteStore
    readers: ReaderStore

    async def of(self, author_ids: Iterable[int]) -> dict[int, Route]:
        """The routes of these authors as of at most `max_age_s` ago."""
        authors = list(author_ids)
        if self.age_s() <= self.max_age_s:
            return {a: _route(self.record_of(a), self.suspension_of(a)) for a in authors}
        records, suspensions = await asyncio.gather(
            self.routes.routes(authors), self.readers.suspensions(authors)
        )
        return {a: _route(records.get(a), suspensions.get(a)) for a in authors}


def _route(record: RouteRecord | None, suspension: Suspension | None) -> Route:
    return Route(record, 0 if suspension is None else suspension.retracted_before)

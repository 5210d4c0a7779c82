"""Warmth: what readers engage with decides which edges of partial authors are pushed. Part of readers.

An engagement is kept as a row of its own, so that hearing of it twice counts once. An edge is weighed when
its reader engages with the author, and once a day all warm edges of a reader who opens: who only stops to
engage would otherwise stay warm for ever. What comes of it is an event on `edge.marks`, whose reader is the
one writer of an edge.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.domain import snowflake, warmth
from pipeline.domain.cost import Costs, measured
from pipeline.domain.routing import class_of
from pipeline.kafka.emit import Emit
from pipeline.kafka.messages import Delivery
from pipeline.kafka.ports import KeyedView, Outgoing
from pipeline.store.ports import Stores
from pipeline.store.values import ReaderState
from pipeline.wire.enums import EventType
from pipeline.wire.records import ActivityEvent, AuthorClass, CostSample, FollowEvent, RouteRecord

Activity = Delivery[ActivityEvent]
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Warmth:
    """`routes`: the records of authors who are not plain push."""

    stores: Stores
    emit: Emit
    routes: KeyedView[RouteRecord]
    costs: KeyedView[CostSample]
    hysteresis: float

    async def heard(self, batch: Sequence[Activity], states: Mapping[int, ReaderState]) -> None:
        """Keep the engagements of a batch, and weigh the edges it is about. `states`: as before the batch."""
        engaged = [each for each in batch if each.record.type == EventType.ENGAGED and each.record.author_id]
        await self.stores.readers.put_engagements(
            [(one.reader_id, one.author_id or 0, one.at) for one in (each.record for each in engaged)]
        )
        costs = measured(self.costs.values())
        if costs is None:
            return
        newest = {(each.record.reader_id, each.record.author_id or 0): each for each in engaged}
        due = [(each, author) for (_, author), each in newest.items() if self._is_partial(author)]
        found = await asyncio.gather(
            *(self._one(each, author, costs) for each, author in due),
            *(self._all_warm(each, costs) for each in _first_of_day(batch, states)),
        )
        await self.emit.all(message for messages in found for message in messages)

    def _is_partial(self, author: int) -> bool:
        route = self.routes.get(author)
        return route is not None and class_of(snowflake.MAX_ID, route.entries) is AuthorClass.PARTIAL

    async def _one(self, cause: Activity, author: int, costs: Costs) -> list[Outgoing]:
        reader = cause.record.reader_id
        edge = (await self.stores.graph.edges(author, [reader])).get(reader)
        if edge is None or not edge.follows:
            return []
        return await self._weighed(cause, author, edge.warm_since is not None, costs)

    async def _all_warm(self, cause: Activity, costs: Costs) -> list[Outgoing]:
        edges = await self.stores.graph.following(cause.record.reader_id)
        warm = [edge.author_id for edge in edges if edge.warm_since is not None]
        found = await asyncio.gather(*(self._weighed(cause, author, True, costs) for author in warm))
        return [message for messages in found for message in messages]

    async def _weighed(self, cause: Activity, author: int, warm: bool, costs: Costs) -> list[Outgoing]:
        reader, at = cause.record.reader_id, cause.record.at
        begin = at - warmth.SPAN_MS
        reads, posts = await asyncio.gather(
            self.stores.readers.engagements(reader, author, begin, at, warmth.MAX_COUNT),
            self.stores.posts.recent(
                author, snowflake.first_id(begin), snowflake.first_id(at + 1), warmth.MAX_COUNT
            ),
        )
        wanted = warmth.is_warm(warmth.weigh(reads, len(posts), costs), self.hysteresis, warm=warm)
        if wanted == warm:
            return []
        event = FollowEvent(EventType.WARMED if wanted else EventType.COOLED, author, (reader,), at)
        return [self.emit.message("edge.marks", str(author), event, source=cause, part=reader)]


def _first_of_day(batch: Iterable[Activity], states: Mapping[int, ReaderState]) -> list[Activity]:
    """The first sign of each reader on a day."""
    found: dict[int, Activity] = {}
    for each in batch:
        seen = states[each.record.reader_id].last_seen or 0
        if (
            each.record.type in (EventType.OPENED, EventType.ENGAGED)
            and each.record.at // _DAY_MS > seen // _DAY_MS
        ):
            found.setdefault(each.record.reader_id, each)
    return list(found.values())

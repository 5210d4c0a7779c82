"""Graph: follow events become segments of followers and their mirror on the reader's side.

Reads      follows, edge.marks (key: the followed author; both partitions of an author come to one process,
           the only writer of its edges)
Writes     followers_by_author, following_by_reader, author_stats.{followers, segments}; fanout.backfill for
           new edges of authors that have posted, fanout.retract for removed ones; page.changes
Guarantee  an edge and its segment's count change together; a reader is pulled for until the push side
           holds the edge: the mirror is written first as not covered, then the segment, then the count,
           then the task to write what was posted before, and only then the bound from which pushes can be
           relied on, one margin ahead of now; who comes back has left the old segment before. First
           followers of an author are not seen before their segments are durable, and have their bound then
           (decision 27)
Replay     changes nothing: an edge is a register in the order of events (`docs/ordering.md`); a half-done
           one is found by its missing bound and finished in the segment it was given; first followers
           that were cut off leave their segments and come again
Budget     none of its own: a lagging graph delays new edges, never posts
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from pipeline.clock import Clock
from pipeline.domain import repair, segments, snowflake
from pipeline.domain.admission import EDGE_MARKS
from pipeline.domain.edges import EdgeNow, EdgePlan, SegmentPlan, plan
from pipeline.domain.order import Version
from pipeline.kafka.emit import Emit
from pipeline.kafka.messages import Delivery, Refused, version_of
from pipeline.kafka.ports import Outgoing
from pipeline.stages import changes, edge_state, repairs
from pipeline.stages.in_hand import InHand
from pipeline.stages.segment_changes import change_segment, together
from pipeline.store.ports import GraphStore, RouteStore
from pipeline.store.values import NOT_COVERED, AuthorGraph, Edge, FirstFollowers
from pipeline.wire.enums import EventType
from pipeline.wire.records import FollowEvent

Event = Delivery[FollowEvent]

EVER = 0
"""The bound of an edge to an author who has not posted. Whatever they post is stored after the segments are
durable, its tasks name the segments there are by then, and no writer can remember older ones.
"""


@dataclass(slots=True)
class _Author:
    """The work on one author in one batch: counts as read, then as changed."""

    graph: AuthorGraph
    lives: list[int | None]
    edges: Mapping[int, Edge]
    plan: EdgePlan

    @property
    def segments(self) -> int:
        """At least one after any event, also a lone unfollow: none means that no edge is stored."""
        return max(self.graph.segments, 1, *(segment + 1 for segment in self.plan.changes))

    def edge(self, reader: int, follows: bool, version: Version, segment: int) -> Edge:
        """A new version of a reader's edge, not covered yet."""
        stored = self.edges.get(reader)
        seen = 0 if stored is None else stored.seen
        place = version.place
        return Edge(reader, self.graph.author_id, follows, version.at, segment, place=place, seen=seen)

    def bound_of(self, reader: int, bound: int) -> int:
        """The bound of a reader who joins: above any that an earlier backfill has fulfilled."""
        stored = self.edges.get(reader)
        return bound if stored is None or bound == EVER else max(bound, stored.caught_up + 1)

    def counted(self) -> AuthorGraph:
        return AuthorGraph(self.graph.author_id, sum(live or 0 for live in self.lives), self.segments)

    def grown(self) -> AuthorGraph:
        return replace(self.graph, segments=self.segments)


@dataclass(frozen=True, slots=True)
class Graph:
    """The graph stage. The clock is read once the segments are durable."""

    store: GraphStore
    routes: RouteStore
    emit: Emit
    clock: Clock
    segment_size: int
    margin_ms: int
    in_hand: InHand = field(default_factory=InHand)

    async def handle(self, batch: Sequence[Delivery[FollowEvent]]) -> list[Refused]:
        """Apply a batch: all authors in each step together, in the order the guarantee needs."""
        async with self.in_hand.alone({delivery.record.author_id for delivery in batch}):
            await self._apply(batch)
        return []

    async def _apply(self, batch: Sequence[Delivery[FollowEvent]]) -> None:
        events: dict[int, list[Event]] = defaultdict(list)
        marked: list[Event] = []
        for delivery in batch:
            if delivery.record.type in EDGE_MARKS:
                marked.append(delivery)
            else:
                events[delivery.record.author_id].append(delivery)
        await self._follow(events)
        await edge_state.EdgeState(self.store, self.emit, self._bound).handle(marked)
        heard = chain(*events.values(), marked)
        await changes.tell(
            self.emit, batch, readers={reader for event in heard for reader in event.record.follower_ids}
        )

    async def _follow(self, events: Mapping[int, Sequence[Event]]) -> None:
        graphs = await self.store.author_graphs(events)
        first = {
            author: some[0]
            for author, some in events.items()
            if not graphs[author].segments and some[0].record.type == EventType.FOLLOWED
        }
        graphs |= await self._begin(first)
        await self._change_edges(
            {a: left for a, some in events.items() if (left := some[1:] if a in first else some)}, graphs
        )

    async def _begin(self, events: Mapping[int, Event]) -> dict[int, AuthorGraph]:
        """The first event about each of these authors; returns their graphs then.

        No fence, and each edge is written once: what such an event leads to follows from it alone, so it may
        be begun any number of times. Where it was cut off the graph is not whole, and `_planned` takes out
        who has no edge.
        """
        if not events:
            return {}
        seats = {
            a: segments.fill(tuple(dict.fromkeys(event.record.follower_ids)), self.segment_size)
            for a, event in events.items()
        }
        await self.store.put_author_graphs([AuthorGraph(a, 0, len(s), whole=False) for a, s in seats.items()])
        await self.store.put_first_followers([FirstFollowers(a, s) for a, s in seats.items()])
        posted = await self.routes.routes(events)
        bound = self._bound()
        await self.emit.all(
            message
            for a in posted
            for event in [events[a]]
            for message in repairs.messages(
                self.emit,
                repairs.BACKFILL,
                str(a),
                repair.for_readers(
                    a,
                    list(chain.from_iterable(seats[a])),
                    hi=bound,
                    at=event.record.at + 1,
                    covered_from=bound,
                ),
                event,
            )
        )
        await self.store.put_edges(
            [
                Edge(
                    r, a, True, event.record.at, n, bound if a in posted else EVER, place=event.message.offset
                )
                for a, event in events.items()
                for n, readers in enumerate(seats[a])
                for r in readers
            ]
        )
        graphs = {a: AuthorGraph(a, sum(map(len, s)), len(s)) for a, s in seats.items()}
        await self.store.put_author_graphs(list(graphs.values()))
        return graphs

    async def _change_edges(
        self, events: Mapping[int, Sequence[Event]], graphs: Mapping[int, AuthorGraph]
    ) -> None:
        if not events:
            return
        authors = await asyncio.gather(*(self._planned(graphs[a], events[a]) for a in events))
        await self.store.put_author_graphs([a.grown() for a in authors if a.segments > a.graph.segments])
        await together(
            self._change(a, n, SegmentPlan(remove=readers, check=True))
            for a in authors
            for n, readers in a.plan.vacated.items()
        )
        await self.store.put_edges([e for a in authors for e in _intents(a)])
        await self.store.put_edges([e for a in authors for e in _removals(a)])
        await together(self._change(a, n, p) for a in authors for n, p in a.plan.changes.items())
        await self.store.put_author_graphs(
            [a.counted() for a in authors if a.plan.changes or not a.graph.whole]
        )
        posted = await self.routes.routes([a.graph.author_id for a in authors])
        bound = self._bound()
        bounds = {a.graph.author_id: bound if a.graph.author_id in posted else EVER for a in authors}
        await self.emit.all(
            message
            for a in authors
            if a.graph.author_id in posted
            for message in self._repairs(a, bound, events[a.graph.author_id][-1])
        )
        await self.store.put_edges([e for a in authors for e in _settled(a, bounds[a.graph.author_id])])

    def _bound(self) -> int:
        """From here on all writers will know what is durable now."""
        return snowflake.first_id(self.clock.now_ms() + self.margin_ms)

    def _repairs(self, author: _Author, bound: int, cause: Event) -> Iterator[Outgoing]:
        """What was posted before those who join came, and what those who leave have still got. The backfill
        finds in the edges as of when each of its rows is.
        """
        author_id = author.graph.author_id
        joins: dict[int, list[int]] = defaultdict(list)
        leaves: dict[int, list[int]] = defaultdict(list)
        for reader in author.plan.joins:
            joins[author.bound_of(reader, bound)].append(reader)
        for reader, (version, segment) in author.plan.gone.items():
            if segment >= 0:
                leaves[version.at].append(reader)
        newest = max((version.at for version, _ in author.plan.joins.values()), default=0)
        missed = (
            repair.for_readers(author_id, readers, hi=hi, at=newest + 1, covered_from=hi)
            for hi, readers in joins.items()
        )
        kept = (
            repair.for_readers(author_id, readers, hi=snowflake.MAX_ID, at=at)
            for at, readers in leaves.items()
        )
        for topic, tasks in ((repairs.BACKFILL, missed), (repairs.RETRACT, kept)):
            yield from repairs.messages(self.emit, topic, str(author_id), chain.from_iterable(tasks), cause)

    async def _planned(self, graph: AuthorGraph, deliveries: Sequence[Event]) -> _Author:
        events = [(delivery.record, version_of(delivery)) for delivery in deliveries]
        readers = list({reader for event, _ in events for reader in event.follower_ids})
        edges: dict[int, Edge] = {}
        lives: list[int | None] = []
        if graph.segments:
            edges, lives = await asyncio.gather(
                self.store.edges(graph.author_id, readers),
                self.store.segment_lives(graph.author_id, graph.segments),
            )
        stored = {
            reader: EdgeNow(edge.follows, edge.version, edge.segment, edge.covered_from != NOT_COVERED)
            for reader, edge in edges.items()
        }
        planned = plan(events, stored, [live or 0 for live in lives], self.segment_size)
        if not graph.whole:
            for segment, readers in (await self._without_edge(graph)).items():
                planned.vacated.setdefault(segment, []).extend(readers)
        author = _Author(graph, lives, edges, planned)
        author.lives += [None] * (author.segments - len(lives))
        return author

    async def _without_edge(self, graph: AuthorGraph) -> dict[int, list[int]]:
        """By segment, first followers whose edge was not written any more: their event comes again."""
        found: dict[int, list[int]] = {}
        for segment in range(graph.segments):
            members = (await self.store.followers(graph.author_id, segment)).ids
            edges = await self.store.edges(graph.author_id, members)
            found[segment] = [reader for reader in members if reader not in edges]
        return found

    async def _change(self, author: _Author, segment: int, wanted: SegmentPlan) -> None:
        author.lives[segment] = await change_segment(
            self.store, author.graph.author_id, segment, wanted, author.lives[segment]
        )


def _intents(author: _Author) -> list[Edge]:
    """Joining edges before their segments: seen by the reader, everything pulled."""
    return [author.edge(reader, True, *joined) for reader, joined in author.plan.joins.items()]


def _removals(author: _Author) -> list[Edge]:
    return [author.edge(reader, False, *gone) for reader, gone in author.plan.gone.items()]


def _settled(author: _Author, bound: int) -> list[Edge]:
    """Joined edges with the bound from which pushes can be relied on, and edges that only moved in time."""
    joined = [
        replace(author.edge(reader, True, *joined), covered_from=author.bound_of(reader, bound))
        for reader, joined in author.plan.joins.items()
    ]
    refreshed = [
        replace(author.edges[reader], at=version.at, place=version.place)
        for reader, version in author.plan.refreshed.items()
    ]
    return joined + refreshed

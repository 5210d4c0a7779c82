"""Graph: follow events become segments of followers and their mirror on the reader's side.

Reads      follows (key: the followed author, so this process is the only writer for its authors)
Writes     followers_by_author, following_by_reader, author_stats.{followers, segments}
Guarantee  an edge and its segment's count change together; a reader is pulled for until the push side
           holds the edge: the mirror is written first as not covered, then the segment, then the count,
           and only then the bound from which pushes can be relied on, one margin ahead of now; who comes
           back has left the old segment before
Replay     changes nothing: an edge is a last-writer-wins register of its event time; a half-done one is
           found by its missing bound and finished in the segment it was given
Budget     none of its own: a lagging graph delays new edges, never posts
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.domain import fields, snowflake
from pipeline.domain.edges import EdgeNow, Plan, SegmentPlan, plan
from pipeline.kafka.messages import Delivery, Refused
from pipeline.records import FollowEvent
from pipeline.store.ports import NOT_COVERED, AuthorGraph, Edge, GraphStore, SegmentChange

TYPES = ("followed", "unfollowed")


@dataclass(slots=True)
class _Author:
    """The work on one author in one batch: counts as read, then as changed."""

    graph: AuthorGraph
    lives: list[int | None]
    edges: Mapping[int, Edge]
    plan: Plan

    @property
    def segments(self) -> int:
        """At least one after any event, also a lone unfollow: none means that no edge is stored."""
        return max(self.graph.segments, 1, *(segment + 1 for segment in self.plan.changes))

    def counted(self) -> AuthorGraph:
        return AuthorGraph(self.graph.author_id, sum(live or 0 for live in self.lives), self.segments)


@dataclass(frozen=True, slots=True)
class Graph:
    """The graph stage. `now_ms`: the wall clock, read once the segments are durable."""

    store: GraphStore
    now_ms: Callable[[], int]
    segment_size: int
    margin_ms: int
    window_s: int

    async def handle(self, batch: Sequence[Delivery[FollowEvent]]) -> list[Refused]:
        """Apply a batch: all authors in each step together, in the order the guarantee needs."""
        events: dict[int, list[FollowEvent]] = defaultdict(list)
        refused: list[Refused] = []
        for delivery in batch:
            reason = _refusal(delivery.record)
            if reason is None:
                events[delivery.record.author_id].append(delivery.record)
            else:
                refused.append(Refused(delivery.message, *reason))

        graphs = await self.store.author_graphs(events)
        authors = await asyncio.gather(*(self._planned(graphs[a], events[a]) for a in events))

        grown = [
            AuthorGraph(a.graph.author_id, a.graph.followers, a.segments)
            for a in authors
            if a.segments > a.graph.segments
        ]
        await self.store.put_author_graphs(grown)
        await _all(
            self._change(a, n, SegmentPlan(remove=readers, check=True))
            for a in authors
            for n, readers in a.plan.vacated.items()
        )
        await self.store.put_edges([e for a in authors for e in _intents(a)])
        await self.store.put_edges([e for a in authors for e in _removals(a)], ttl_s=self.window_s)
        await _all(self._change(a, n, p) for a in authors for n, p in a.plan.changes.items())
        await self.store.put_author_graphs([a.counted() for a in authors if a.plan.changes])
        bound = snowflake.first_id(self.now_ms() + self.margin_ms)
        await self.store.put_edges([e for a in authors for e in _settled(a, bound)])
        return refused

    async def _planned(self, graph: AuthorGraph, events: Sequence[FollowEvent]) -> _Author:
        readers = list({reader for event in events for reader in event.follower_ids})
        edges: dict[int, Edge] = {}
        lives: list[int | None] = []
        if graph.segments:
            edges, lives = await asyncio.gather(
                self.store.edges(graph.author_id, readers),
                self.store.segment_lives(graph.author_id, graph.segments),
            )
        stored = {
            reader: EdgeNow(edge.follows, edge.at, edge.segment, edge.covered_from != NOT_COVERED)
            for reader, edge in edges.items()
        }
        planned = plan(events, stored, [live or 0 for live in lives], self.segment_size)
        author = _Author(graph, lives, edges, planned)
        author.lives += [None] * (author.segments - len(lives))
        return author

    async def _change(self, author: _Author, segment: int, wanted: SegmentPlan) -> None:
        """Make the segment as wanted. A lost race or a doubt means: look who is there, and try again."""
        check = wanted.check
        while True:
            add, remove = wanted.add, wanted.remove
            if check:
                present = await self.store.members(author.graph.author_id, segment, [*add, *remove])
                add = [reader for reader in add if reader not in present]
                remove = [reader for reader in remove if reader in present]
            if not add and not remove:
                return
            change = SegmentChange(
                author.graph.author_id, segment, author.lives[segment], tuple(add), tuple(remove)
            )
            if await self.store.change_segment(change):
                author.lives[segment] = change.live
                return
            fresh = await self.store.segment_lives(author.graph.author_id, author.segments)
            author.lives[segment] = fresh[segment]
            check = True


def _refusal(event: FollowEvent) -> tuple[str, str] | None:
    """Why an event is not applied: reason and detail."""
    if event.type not in TYPES:
        return "type", f"{event.type}: not one of {', '.join(TYPES)}"
    if len(event.follower_ids) > fields.FOLLOWERS:
        return "follower_ids", f"{len(event.follower_ids)} in one event, at most {fields.FOLLOWERS}"
    return None


async def _all(changes: Iterable[Coroutine[Any, Any, None]]) -> None:
    """All at once; when one fails none goes on, so that none of them meets the next attempt."""
    try:
        async with asyncio.TaskGroup() as group:
            for change in changes:
                group.create_task(change)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


def _intents(author: _Author) -> list[Edge]:
    """Joining edges before their segments: seen by the reader, everything pulled."""
    author_id = author.graph.author_id
    return [Edge(reader, author_id, True, at, segment) for reader, (at, segment) in author.plan.joins.items()]


def _removals(author: _Author) -> list[Edge]:
    author_id = author.graph.author_id
    return [Edge(reader, author_id, False, at, segment) for reader, (at, segment) in author.plan.gone.items()]


def _settled(author: _Author, bound: int) -> list[Edge]:
    """Joined edges with the bound from which pushes can be relied on, and edges that only moved in time."""
    author_id = author.graph.author_id
    joined = [
        Edge(reader, author_id, True, at, segment, covered_from=bound)
        for reader, (at, segment) in author.plan.joins.items()
    ]
    refreshed = [
        Edge(reader, author_id, True, at, old.segment, old.covered_from, old.warm_since)
        for reader, at in author.plan.refreshed.items()
        for old in [author.edges[reader]]
    ]
    return joined + refreshed

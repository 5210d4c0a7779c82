"""The graph in memory: edges in cells; segments as sets, changed under their count."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pipeline.store.memory.cells import Clock, MemoryTable
from pipeline.store.values import AuthorGraph, Edge, FirstFollowers, Followers, SegmentChange


class _Segment(NamedTuple):
    live: int | None
    members: dict[int, int | None]
    changed: bool


_NONE = _Segment(None, {}, changed=False)


class MemoryGraph:
    """A `GraphStore`."""

    def __init__(self, clock: Clock) -> None:
        self._graphs: dict[int, AuthorGraph] = {}
        self._segments: dict[tuple[int, int], _Segment] = {}
        self._edges = MemoryTable(clock)
        self._forgotten: set[int] = set()

    async def author_graphs(self, author_ids: Iterable[int]) -> dict[int, AuthorGraph]:
        """See `GraphStore`."""
        return {author: self._graphs.get(author, AuthorGraph(author)) for author in author_ids}

    async def put_author_graphs(self, graphs: Sequence[AuthorGraph]) -> None:
        """See `GraphStore`."""
        for graph in graphs:
            if graph.author_id in self._forgotten:
                continue
            known = self._graphs.get(graph.author_id, graph)
            segments, kept = max(known.segments, graph.segments), graph
            if not graph.whole and graph.author_id in self._graphs:
                kept = known
            self._graphs[graph.author_id] = replace(kept, segments=segments)

    async def put_first_followers(self, firsts: Sequence[FirstFollowers]) -> None:
        """See `GraphStore`."""
        for author, segments in firsts:
            for segment, readers in enumerate(segments):
                known = self._segments.get((author, segment), _Segment(0, {}, changed=False))
                if not known.changed:
                    members = known.members | dict.fromkeys(readers)
                    live = max(known.live or 0, len(readers))
                    self._segments[author, segment] = _Segment(live, members, changed=False)

    async def segment_lives(self, author_id: int, segments: int) -> list[int | None]:
        """See `GraphStore`."""
        return [self._segments.get((author_id, segment), _NONE).live for segment in range(segments)]

    async def edges(self, author_id: int, reader_ids: Sequence[int]) -> dict[int, Edge]:
        """See `GraphStore`."""
        found = {reader: self._edges.row(reader, author_id) for reader in reader_ids}
        return {
            reader: self._edge(reader, author_id, cells)
            for reader, cells in found.items()
            if "follows" in cells
        }

    async def put_edges(self, edges: Sequence[Edge]) -> None:
        """See `GraphStore`."""
        for edge in edges:
            values = {
                "follows": edge.follows,
                "at": edge.at,
                "segment": edge.segment,
                "covered_from": edge.covered_from,
                "warm_since": edge.warm_since or 0,
                "place": edge.place,
                **({"warm_at": edge.warm_at} if edge.warm_at else {}),
                **({"retracted_at": edge.retracted_at} if edge.retracted_at else {}),
            }
            self._edges.write(edge.reader_id, edge.author_id, edge.write_time, values)

    async def put_caught_up(self, author_id: int, reader_ids: Sequence[int], bound: int) -> None:
        """See `GraphStore`."""
        for reader in reader_ids:
            self._edges.write(reader, author_id, bound, {"caught_up": bound})

    async def members(self, author_id: int, segment: int, reader_ids: Sequence[int]) -> set[int]:
        """See `GraphStore`."""
        return set(self._members(author_id, segment)).intersection(reader_ids)

    async def change_segment(self, change: SegmentChange) -> bool:
        """See `GraphStore`."""
        place = change.author_id, change.segment
        live, members, _ = self._segments.get(place, _NONE)
        if live != change.seen:
            return False
        changed = dict.fromkeys(change.add) | members | dict(change.warm)
        left = {m: s for m, s in changed.items() if m not in change.remove}
        self._segments[place] = _Segment(change.live, left, changed=True)
        return True

    async def followers(self, author_id: int, segment: int, *, warm: bool = False) -> Followers:
        """See `GraphStore`."""
        members = self._members(author_id, segment)
        since = {member: bound for member, bound in members.items() if bound} if warm else {}
        return Followers(tuple(sorted(members)), since)

    async def following(self, reader_id: int) -> list[Edge]:
        """See `GraphStore`."""
        rows = self._edges.rows(reader_id).items()
        return [self._edge(reader_id, author, cells) for author, cells in rows if cells.get("follows")]

    async def followees(self, reader_ids: Sequence[int], after: int, most: int) -> dict[int, list[Edge]]:
        """See `GraphStore`."""
        rows = {reader: self._edges.rows(reader).items() for reader in reader_ids}
        found = {
            reader: [self._edge(reader, a, cells) for a, cells in edges if a > after and "follows" in cells][
                :most
            ]
            for reader, edges in rows.items()
        }
        return {reader: edges for reader, edges in found.items() if edges}

    async def ever_followed(self, reader_ids: Sequence[int]) -> set[int]:
        """See `GraphStore`."""
        return {reader for reader in reader_ids if self._edges.rows(reader)}

    async def readers_after(self, place: int, limit: int) -> list[tuple[int, int]]:
        """See `GraphStore`."""
        return self._edges.after(place, limit)

    async def forget_edges(self, author_id: int, reader_ids: Sequence[int]) -> set[int]:
        """See `GraphStore`."""
        found = set(await self.edges(author_id, reader_ids))
        for reader in found:
            self._edges.forget(reader, author_id)
        return found

    async def forget_segment(self, author_id: int, segment: int) -> None:
        """See `GraphStore`."""
        self._segments.pop((author_id, segment), None)

    async def forget_graph(self, account_id: int) -> None:
        """See `GraphStore`."""
        self._edges.forget(account_id)
        self._graphs.pop(account_id, None)
        self._forgotten.add(account_id)

    def _members(self, author_id: int, segment: int) -> dict[int, int | None]:
        return self._segments.get((author_id, segment), _NONE).members

    def _edge(self, reader_id: int, author_id: int, cells: Mapping[str, Any]) -> Edge:
        seen = self._edges.written_us(reader_id, author_id, "follows")
        values = {**cells, "warm_since": cells["warm_since"] or None}
        return Edge(reader_id, author_id, **values, seen=seen)

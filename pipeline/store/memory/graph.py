"""The graph in memory: edges in cells; segments as sets, changed under their count."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.store.memory.cells import Clock, Table
from pipeline.store.ports import AuthorGraph, Edge, Followers, SegmentChange


class MemoryGraph:
    """A `GraphStore`."""

    def __init__(self, clock: Clock) -> None:
        self._graphs: dict[int, AuthorGraph] = {}
        self._segments: dict[tuple[int, int], tuple[int, set[int]]] = {}
        self._edges = Table(clock)

    async def author_graphs(self, author_ids: Iterable[int]) -> dict[int, AuthorGraph]:
        """See `GraphStore`."""
        return {author: self._graphs.get(author, AuthorGraph(author)) for author in author_ids}

    async def put_author_graphs(self, graphs: Sequence[AuthorGraph]) -> None:
        """See `GraphStore`."""
        for graph in graphs:
            known = self._graphs.get(graph.author_id, graph)
            segments = max(known.segments, graph.segments)
            self._graphs[graph.author_id] = AuthorGraph(graph.author_id, graph.followers, segments)

    async def segment_lives(self, author_id: int, segments: int) -> list[int | None]:
        """See `GraphStore`."""
        return [self._segments.get((author_id, segment), (None,))[0] for segment in range(segments)]

    async def edges(self, author_id: int, reader_ids: Sequence[int]) -> dict[int, Edge]:
        """See `GraphStore`."""
        found = {reader: self._edges.row(reader, author_id) for reader in reader_ids}
        return {reader: _edge(reader, author_id, cells) for reader, cells in found.items() if cells}

    async def put_edges(self, edges: Sequence[Edge], *, ttl_s: int | None = None) -> None:
        """See `GraphStore`."""
        for edge in edges:
            values = {
                "follows": edge.follows,
                "at": edge.at,
                "segment": edge.segment,
                "covered_from": edge.covered_from,
                "warm_since": edge.warm_since or 0,
            }
            life = 0 if edge.follows else ttl_s or 0
            self._edges.write(edge.reader_id, edge.author_id, edge.write_time_us, values, ttl_s=life)

    async def members(self, author_id: int, segment: int, reader_ids: Sequence[int]) -> set[int]:
        """See `GraphStore`."""
        return self._segments.get((author_id, segment), (0, set()))[1].intersection(reader_ids)

    async def change_segment(self, change: SegmentChange) -> bool:
        """See `GraphStore`."""
        place = change.author_id, change.segment
        live, members = self._segments.get(place, (None, set()))
        if live != change.seen:
            return False
        self._segments[place] = change.live, (members | set(change.add)) - set(change.remove)
        return True

    async def followers(self, author_id: int, segment: int, *, warm: bool = False) -> Followers:
        """See `GraphStore`."""
        members = self._segments.get((author_id, segment), (0, set()))[1]
        return Followers(tuple(sorted(members)), {})

    async def following(self, reader_id: int) -> list[Edge]:
        """See `GraphStore`."""
        edges = [_edge(reader_id, author, cells) for author, cells in self._edges.rows(reader_id).items()]
        return [edge for edge in edges if edge.follows]


def _edge(reader_id: int, author_id: int, cells: Mapping[str, Any]) -> Edge:
    return Edge(reader_id, author_id, **{**cells, "warm_since": cells["warm_since"] or None})

"""`followers_by_author`, `following_by_reader`, and the graph's half of `author_stats`."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

from pipeline.domain.erasure import FOREVER
from pipeline.store.cassandra.session import Database
from pipeline.store.cassandra.wire import UNSET, Mutation, write_time_of
from pipeline.store.values import AuthorGraph, Edge, FirstFollowers, Followers, SegmentChange

_COLD = 0
"""`warm_since` of a cold edge: a value, where a null would be a tombstone in every row."""

_SELECT_EDGE = (
    "SELECT reader_id, author_id, follows, at, segment, covered_from, warm_since, warm_at, retracted_at,"
    " caught_up, place, WRITETIME(follows) FROM following_by_reader"
)


class CassandraGraph:
    """A `GraphStore`. Segments are changed under their fence alone, edges by the last writer."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._graphs = db.prepare(
            "SELECT author_id, followers, segments FROM author_stats WHERE author_id IN ?"
        )
        self._put_followers = db.prepare("INSERT INTO author_stats (author_id, followers) VALUES (?, ?)")
        self._put_segments = db.prepare(
            "INSERT INTO author_stats (author_id, segments) VALUES (?, ?) USING TIMESTAMP ?"
        )
        self._lives = db.prepare(
            "SELECT DISTINCT author_id, segment, live FROM followers_by_author"
            " WHERE segment IN ? AND author_id = ?"
        )
        self._edges = db.prepare(f"{_SELECT_EDGE} WHERE reader_id IN ? AND author_id = ?")
        self._following = db.prepare(f"{_SELECT_EDGE} WHERE reader_id = ?")
        self._followees = db.prepare(
            f"{_SELECT_EDGE} WHERE reader_id IN ? AND author_id > ? PER PARTITION LIMIT ?"
        )
        self._ever_followed = db.prepare(
            "SELECT reader_id FROM following_by_reader WHERE reader_id IN ? PER PARTITION LIMIT 1"
        )
        self._readers = db.prepare(
            "SELECT DISTINCT reader_id, token(reader_id) FROM following_by_reader"
            " WHERE token(reader_id) > ? LIMIT ?"
        )
        self._put_unmarked = db.prepare(
            "INSERT INTO following_by_reader (reader_id, author_id, follows, at, segment,"
            " covered_from, warm_since, place) VALUES (?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
        )
        self._put_edge = db.prepare(
            "INSERT INTO following_by_reader (reader_id, author_id, follows, at, segment,"
            " covered_from, warm_since, warm_at, retracted_at, place)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
        )
        self._caught_up = db.prepare(
            "INSERT INTO following_by_reader (reader_id, author_id, caught_up) VALUES (?, ?, ?)"
            " USING TIMESTAMP ?"
        )
        self._followers = db.prepare(
            "SELECT follower_id FROM followers_by_author WHERE author_id = ? AND segment = ?"
        )
        self._warm_followers = db.prepare(
            "SELECT follower_id, warm_since FROM followers_by_author WHERE author_id = ? AND segment = ?"
        )
        self._members = db.prepare(
            "SELECT follower_id FROM followers_by_author"
            " WHERE follower_id IN ? AND author_id = ? AND segment = ?"
        )
        self._set_live = db.prepare(
            "UPDATE followers_by_author SET live = ? WHERE author_id = ? AND segment = ? IF live = ?"
        )
        self._first_live = db.prepare(
            "UPDATE followers_by_author USING TIMESTAMP 1 SET live = ? WHERE author_id = ? AND segment = ?"
        )
        self._first = db.prepare(
            "INSERT INTO followers_by_author (author_id, segment, follower_id) VALUES (?, ?, ?)"
            " USING TIMESTAMP 1"
        )
        self._add = db.prepare(
            "INSERT INTO followers_by_author (author_id, segment, follower_id) VALUES (?, ?, ?)"
        )
        self._warm = db.prepare(
            "INSERT INTO followers_by_author (author_id, segment, follower_id, warm_since)"
            " VALUES (?, ?, ?, ?)"
        )
        self._remove = db.prepare(
            "DELETE FROM followers_by_author WHERE author_id = ? AND segment = ? AND follower_id = ?"
        )
        self._forget_edge = db.prepare(
            "DELETE FROM following_by_reader USING TIMESTAMP ? WHERE reader_id = ? AND author_id = ?"
        )
        self._forget_segment = db.prepare(
            "DELETE FROM followers_by_author USING TIMESTAMP ? WHERE author_id = ? AND segment = ?"
        )
        self._forget_following = db.prepare(
            "DELETE FROM following_by_reader USING TIMESTAMP ? WHERE reader_id = ?"
        )
        self._forget_counts = db.prepare(
            "DELETE followers, segments FROM author_stats USING TIMESTAMP ? WHERE author_id = ?"
        )

    async def author_graphs(self, author_ids: Iterable[int]) -> dict[int, AuthorGraph]:
        """See `GraphStore`."""
        authors = list(author_ids)
        graphs = {author: AuthorGraph(author) for author in authors}
        for author, followers, segments in await self._db.fetch_in(self._graphs, authors):
            whole = followers is not None or not segments
            graphs[author] = AuthorGraph(author, followers or 0, segments or 0, whole)
        return graphs

    async def put_author_graphs(self, graphs: Sequence[AuthorGraph]) -> None:
        """See `GraphStore`."""
        last = {graph.author_id: graph for graph in graphs if graph.whole}  # a batch has one write time
        followers = (self._put_followers.mutation(author, graph.followers) for author, graph in last.items())
        # the count itself as write time: the larger one wins, whatever a clock says
        segments = (self._put_segments.mutation(g.author_id, g.segments, g.segments) for g in graphs)
        await self._db.write(chain(followers, segments), self._put_followers.table)

    async def put_first_followers(self, firsts: Sequence[FirstFollowers]) -> None:
        """See `GraphStore`. Conditional changes have times of the clock, which are all later."""
        rows = (
            row
            for author, segments in firsts
            for segment, readers in enumerate(segments)
            for row in self._first_rows(author, segment, readers)
        )
        await self._db.write(rows, self._first.table)

    def _first_rows(self, author: int, segment: int, readers: Sequence[int]) -> Iterator[Mutation]:
        yield self._first_live.mutation(len(readers), author, segment)
        for reader in readers:
            yield self._first.mutation(author, segment, reader)

    async def segment_lives(self, author_id: int, segments: int) -> list[int | None]:
        """See `GraphStore`."""
        rows = await self._db.fetch_in(self._lives, range(segments), author_id)
        lives = {segment: live for _, segment, live in rows}
        return [lives.get(segment) for segment in range(segments)]

    async def edges(self, author_id: int, reader_ids: Sequence[int]) -> dict[int, Edge]:
        """See `GraphStore`."""
        rows = await self._db.fetch_in(self._edges, reader_ids, author_id)
        return {row[0]: _edge(row) for row in rows if row[2] is not None}

    async def put_edges(self, edges: Sequence[Edge]) -> None:
        """See `GraphStore`. The server merges the edges of a reader that come in one batch."""
        rows = map(self._edge_row, sorted(edges, key=attrgetter("reader_id")))
        await self._db.write(rows, self._put_edge.table)

    def _edge_row(self, edge: Edge) -> Mutation:
        place = edge.reader_id, edge.author_id
        said = edge.follows, edge.at, edge.segment, edge.covered_from, edge.warm_since or _COLD
        if not edge.warm_at and not edge.retracted_at:
            return self._put_unmarked.mutation(*place, *said, edge.place, edge.write_time)
        marks = edge.warm_at or UNSET, edge.retracted_at or UNSET
        return self._put_edge.mutation(*place, *said, *marks, edge.place, edge.write_time)

    async def put_caught_up(self, author_id: int, reader_ids: Sequence[int], bound: int) -> None:
        """See `GraphStore`. The bound itself is the write time, so the higher one wins."""
        rows = (
            self._caught_up.mutation(reader, author_id, bound, write_time_of(bound)) for reader in reader_ids
        )
        await self._db.write(rows, self._caught_up.table)

    async def members(self, author_id: int, segment: int, reader_ids: Sequence[int]) -> set[int]:
        """See `GraphStore`."""
        rows = await self._db.fetch_in(self._members, reader_ids, author_id, segment)
        return {follower for (follower,) in rows}

    async def change_segment(self, change: SegmentChange) -> bool:
        """See `GraphStore`. Raises StoreUnavailable when it cannot be known whether it was applied."""
        place = change.author_id, change.segment
        batch = [self._set_live.mutation(change.live, *place, change.seen)]
        batch += [self._add.mutation(*place, reader) for reader in change.add]
        batch += [self._warm.mutation(*place, reader, since or _COLD) for reader, since in change.warm]
        batch += [self._remove.mutation(*place, reader) for reader in change.remove]
        return await self._db.apply_if(batch, self._set_live.table)

    async def followers(self, author_id: int, segment: int, *, warm: bool = False) -> Followers:
        """See `GraphStore`."""
        asked = self._warm_followers if warm else self._followers
        rows = await self._db.fetch(asked, author_id, segment)
        if len(rows) == 1 and rows[0][0] is None:  # the segment is empty: only its count is left
            rows = []
        since = {follower: bound for follower, bound in rows if bound} if warm else {}
        return Followers(tuple([row[0] for row in rows]), since)

    async def following(self, reader_id: int) -> list[Edge]:
        """See `GraphStore`."""
        rows = await self._db.fetch(self._following, reader_id)
        return [_edge(row) for row in rows if row[2]]

    async def followees(self, reader_ids: Sequence[int], after: int, most: int) -> dict[int, list[Edge]]:
        """See `GraphStore`."""
        found: dict[int, list[Edge]] = defaultdict(list)
        for row in await self._db.fetch_in(self._followees, reader_ids, after, most):
            if row[2] is not None:
                found[row[0]].append(_edge(row))
        return dict(found)

    async def ever_followed(self, reader_ids: Sequence[int]) -> set[int]:
        """See `GraphStore`."""
        return {reader for (reader,) in await self._db.fetch_in(self._ever_followed, reader_ids)}

    async def readers_after(self, place: int, limit: int) -> list[tuple[int, int]]:
        """See `GraphStore`. A place is a token; of two readers with one token the second is left out."""
        rows = await self._db.fetch(self._readers, place, limit)
        return [(token, reader_id) for reader_id, token in rows]

    async def forget_edges(self, author_id: int, reader_ids: Sequence[int]) -> set[int]:
        """See `GraphStore`. Looks first, so that who has no edge gets no tombstone."""
        found = {row[0] for row in await self._db.fetch_in(self._edges, reader_ids, author_id)}
        rows = (self._forget_edge.mutation(FOREVER, reader, author_id) for reader in found)
        await self._db.write(rows, self._forget_edge.table)
        return found

    async def forget_segment(self, author_id: int, segment: int) -> None:
        """See `GraphStore`."""
        gone = self._forget_segment.mutation(FOREVER, author_id, segment)
        await self._db.write([gone], self._forget_segment.table)

    async def forget_graph(self, account_id: int) -> None:
        """See `GraphStore`."""
        gone = [each.mutation(FOREVER, account_id) for each in (self._forget_following, self._forget_counts)]
        await self._db.write(gone, self._forget_following.table)


def _edge(row: Sequence[Any]) -> Edge:
    reader_id, author_id, follows, at, segment, covered_from, warm_since, *marks, written = row
    warm_at, retracted_at, caught_up, place = (mark or 0 for mark in marks)
    return Edge(
        reader_id,
        author_id,
        follows,
        at,
        segment,
        covered_from,
        warm_since or None,
        warm_at,
        retracted_at,
        caught_up,
        place,
        written,
    )

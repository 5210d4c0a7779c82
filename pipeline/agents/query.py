"""Query: both paths become one page.

Reads      timeline.requests (the `ask` agent below); author.routes and author.suspensions as a whole; the
           tables of the path
Writes     a TimelineReply to the topic the request names
Guarantee  newest first, no post twice, nothing skipped that a shallower source still holds; policy wins
Replay     answers again; asking is free of side effects
Budget     a page is a handful of reads: one round for the reader, one for each 64 followees it must look at

A page is a chain: `frontier → fetch (timeline ∥ own ∥ pulled authors) → merge → filter → page → hydrate`.
The HTTP API (`web.api`) calls the same `page`.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeline import metrics
from pipeline.agents.known_routes import KnownRoutes
from pipeline.domain import coverage, cursor, snowflake
from pipeline.domain.merge import EXHAUSTED, Candidate, Source, frontier, merge, next_reads
from pipeline.domain.page_request import PageRequest
from pipeline.domain.visibility import hidden_because
from pipeline.store.ports import Stores
from pipeline.store.values import Edge, ReaderState, Relations, StoredPost

READS_A_ROUND = 64
MOST_CANDIDATES = 2_000
"""A page that had to look at more gives what it has, and a cursor to go on from there."""


@dataclass(frozen=True, slots=True)
class Item:
    """A post on the page and how it came there."""

    post: StoredPost
    path: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page, the cursor of the next one (None: the feed ends here), and the widths of the chain."""

    items: Sequence[Item]
    next_cursor: str | None
    degraded: Sequence[str] = ()
    widths: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Reader:
    """What one page needs to know of its reader."""

    state: ReaderState
    relations: Relations
    edges: Mapping[int, Edge]


@dataclass(frozen=True, slots=True)
class Query:
    """Assembles pages.

    `pulls_took`: told the seconds of a round of pulls, and how many sources; `saw`: told who reads. `cap`:
    posts that a session of pages may reach; None: as far as there are any.
    """

    stores: Stores
    routes: KnownRoutes
    cursor_key: bytes
    window_ms: int
    margin_ms: int
    pulls_took: Callable[[float, int], None] = lambda seconds, sources: None
    saw: Callable[[int], None] = lambda reader_id: None
    cap: int | None = None

    async def page(self, request: PageRequest) -> Page:
        """The page. Raises Unavailable when the store does not answer."""
        started = time.perf_counter()
        self.saw(request.reader_id)
        if self.cap is not None:
            request = replace(request, limit=min(request.limit, max(0, self.cap - request.seen)))
        window_start = snowflake.first_id(request.as_of - self.window_ms)
        timeline = Source("push", 0, window_start, request.below)
        own = Source("own", request.reader_id, window_start, request.below)
        reader = await self._reader(request.reader_id)
        await self._read(request, [timeline, own])  # not at once: a backfill may fulfil a bound in between
        sources = [timeline, own, *await self._pulled(reader, window_start, request.below)]
        items, boundary, widths = await self._fill(request, reader, sources)
        following, seen = None, request.seen + len(items)
        if boundary is not None and (self.cap is None or seen < self.cap):
            place = cursor.Cursor(request.mode, request.as_of, boundary, seen)
            following = cursor.seal(place, request.reader_id, self.cursor_key)
        metrics.PAGE_SECONDS.observe(time.perf_counter() - started)
        metrics.PAGE_SOURCES.observe(widths["sources_read"])
        return Page(items, following, (), widths | {"followees": len(reader.edges), "items": len(items)})

    async def _reader(self, reader_id: int) -> _Reader:
        edges, relations, state = await asyncio.gather(
            self.stores.graph.following(reader_id),
            self.stores.readers.relations(reader_id),
            self.stores.readers.reader(reader_id),
        )
        return _Reader(state, relations, {edge.author_id: edge for edge in edges})

    async def _pulled(self, reader: _Reader, window_start: int, below: int) -> list[Source]:
        """A source for each range that is not pushed. Its horizon starts at the newest id it can have."""
        edges = [edge for author, edge in reader.edges.items() if not reader.relations.hide(author)]
        routes = await self.routes.of(edge.author_id for edge in edges)
        found: list[Source] = []
        unknown: list[Source] = []
        for edge in edges:
            route = routes[edge.author_id]
            entries = () if route.record is None else route.record.entries
            bound = max(edge.bound, reader.state.bound, route.retracted_before)
            cover = coverage.EdgeCover(bound, edge.warm_since)
            ranges = coverage.pull_ranges(entries, cover, window_start, margin_ms=self.margin_ms)
            for lo, hi in coverage.clip(ranges, window_start, below):
                source = Source("pull", edge.author_id, lo, hi)
                if route.record is None:
                    unknown.append(source)
                else:
                    source.horizon = min(hi, route.record.latest_post_id + 1)
                    found.append(source)
        return [source for source in found + await self._dated(unknown) if source.horizon > source.lo]

    async def _dated(self, sources: list[Source]) -> list[Source]:
        """Plain push authors are in no view: their newest posts are asked for when that saves reads."""
        if len(sources) <= READS_A_ROUND:
            return sources
        records = await self.stores.routes.routes({source.author_id for source in sources})
        for source in sources:
            record = records.get(source.author_id)
            source.horizon = min(source.horizon, 0 if record is None else record.latest_post_id + 1)
        return sources

    async def _fill(
        self, request: PageRequest, reader: _Reader, sources: list[Source]
    ) -> tuple[list[Item], int | None, dict[str, int]]:
        """Read, merge and filter until the page is full, the sources are exhausted, or enough was seen.

        Returns the items, the boundary to go on below (None at the end), and the widths.
        """
        items: list[Item] = []
        below, seen = request.below, 0
        read = {id(source) for source in sources[:2]}
        while True:
            ready = merge(sources, below)
            while ready and len(items) < request.limit and seen < MOST_CANDIDATES:
                chunk, ready = ready[: request.limit], ready[request.limit :]
                shown, examined = await self._visible(request, reader, chunk, request.limit - len(items))
                items += shown
                below, seen = examined, seen + len(chunk)
            more = bool(ready) or frontier(sources) > EXHAUSTED or merge(sources, below)
            if len(items) == request.limit or seen >= MOST_CANDIDATES or not more:
                widths = {"sources": len(sources), "sources_read": len(read), "candidates": seen}
                return items, below if more else None, widths
            behind = next_reads(sources, below, request.limit - len(items), READS_A_ROUND)
            read.update(id(source) for source in behind)
            asked = time.perf_counter()
            await self._read(request, behind)
            self.pulls_took(time.perf_counter() - asked, sum(source.path == "pull" for source in behind))

    async def _read(self, request: PageRequest, sources: Sequence[Source]) -> None:
        """Read each source further down, all at once. One row more than a page, so its end is seen."""
        asked = request.limit + 1

        async def deepen(source: Source) -> None:
            if source.path == "push":
                rows = await self.stores.timelines.timeline(
                    request.reader_id, source.lo, source.horizon, asked
                )
            else:
                rows = await self.stores.posts.recent(source.author_id, source.lo, source.horizon, asked)
            source.extend([(row.post_id, row.author_id, row.hints) for row in rows], asked)

        await asyncio.gather(*(deepen(source) for source in sources))

    async def _visible(
        self, request: PageRequest, reader: _Reader, chunk: Sequence[Candidate], wanted: int
    ) -> tuple[list[Item], int]:
        """The first `wanted` visible posts of a chunk, and the id of the last candidate looked at."""
        posts, suspended = await asyncio.gather(
            self.stores.posts.posts([one.post_id for one in chunk]),
            self.stores.readers.suspended(sorted({one.author_id for one in chunk})),
        )
        shown: list[Item] = []
        for one in chunk:
            post = posts.get(one.post_id)
            if post is not None and self._hidden(request, reader, post, suspended) is None:
                shown.append(Item(post, _path(one)))
            if len(shown) == wanted:
                return shown, one.post_id
        return shown, chunk[-1].post_id

    def _hidden(
        self, request: PageRequest, reader: _Reader, post: StoredPost, suspended: set[int]
    ) -> str | None:
        author = post.author_id
        return hidden_because(
            reader_id=request.reader_id,
            reader_region=reader.state.region,
            author_id=author,
            visibility=post.visibility,
            deleted=post.deleted,
            taken_down=post.taken_down,
            suspended=author in suspended,
            blocked=reader.relations.blocked(author),
            muted=author in reader.relations.mutes,
            followed=author in reader.edges,
        )


def _path(candidate: Candidate) -> str:
    """`own`, `push`, `pull` or `push+pull`."""
    if "own" in candidate.paths:
        return "own"
    return "+".join(path for path in ("push", "pull") if path in candidate.paths)

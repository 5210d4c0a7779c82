"""Fetch: the one I/O step before the pure stages, and hydration, the one after; from caches if possible.

A source is read only as far down as the page may need. What does not come in time is given up, and named.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from pipeline.domain import engagement, snowflake
from pipeline.domain.containment import Kind
from pipeline.domain.cursor import VALID_MS
from pipeline.domain.merge import Candidate, Row, Source, merge, next_reads
from pipeline.domain.page_request import PageRequest
from pipeline.errors import Unavailable, Unprocessable
from pipeline.query.caches import Caches, RecentPosts
from pipeline.query.deadline import Deadline
from pipeline.query.frontier import SourcePlan, archive, plan
from pipeline.query.known_routes import KnownRoutes, Route
from pipeline.query.page import Session
from pipeline.query.reader_view import ReaderView, views
from pipeline.store.ports import Stores
from pipeline.store.values import StoredPost
from pipeline.wire.records import RouteRecord

READS_A_ROUND = 64

MOST_ROWS = 5_000
"""Rows of one read at most: one answer of Cassandra."""

KEPT = 100
"""Newest posts of an author that are kept: five pages of nothing else."""

ENGAGEMENTS = 5_000
"""Newest engagements of a reader that affinity is taken from."""

TICK_S = 10
"""Seconds for which live counters are remembered: they are a statistic."""

HELP_BY, PULLS_BY, READER_BY, ENRICH_BY, ROWS_BY, HYDRATE_BY = 0.3, 0.5, 0.7, 0.75, 0.85, 0.95
"""The share of a request's time by which a step has to be done: the shortest for what only helps the next
one, the longest for what a page cannot do without.
"""


@dataclass(frozen=True, slots=True)
class Fetch:
    """`now_ms`: the wall clock, for what is read of a reader. `pulls_took`: told the seconds of a round of
    pulls, and how many sources. `contained`: whether a thing is in force: `narrow` reads, the `path` pull
    turned off.
    """

    stores: Stores
    routes: KnownRoutes
    caches: Caches
    window_ms: int
    margin_ms: int
    now_ms: Callable[[], int]
    pulls_took: Callable[[float, int], None] = lambda seconds, sources: None
    contained: Callable[[Kind, str], bool] = lambda kind, target: False

    async def begin(self, request: PageRequest, deadline: Deadline) -> Session:
        """The reader and the frontier. Raises Unavailable when they do not come in time: no page without."""
        window_start = snowflake.first_id(request.place.as_of - self.window_ms)
        reader = await self.reader(request.reader_id, deadline)
        session = Session(request, deadline, await self._plan(reader, deadline), window_start)
        session.sources = _simple_sources(session, request.place.below)
        return session

    async def again(self, session: Session, below: int) -> None:
        """Begin anew below a post: none of the sources has been read."""
        session.sources, session.archived = _simple_sources(session, below), False
        await self.widen(session, below)

    async def widen(self, session: Session, below: int) -> None:
        """Beside the timeline and one's own, what is pulled; of the archive, if that is where the page is."""
        if below > session.window_start:
            pulled = session.plan.sources(session.window_start, below)
            session.sources += await self._dated(session, HELP_BY, pulled, session.plan.routes)
        else:
            await self.archive(session, below)

    async def _plan(self, reader: ReaderView, deadline: Deadline) -> SourcePlan:
        """The plan of this reader: the one that was made last, while the views hold the same."""
        version = self.routes.version()
        known: SourcePlan | None = reader.remembered.get(version)
        if known is not None and self.routes.fresh():
            return known
        routes = self.routes.known(reader.followees)
        if routes is not None:
            before: SourcePlan | None = next(iter(reader.remembered.values()), None)
            same = before is not None and _are(routes, before.routes)
            made = before if before is not None and same else plan(reader, routes, self.margin_ms)
            if version is not None:
                reader.remembered.clear()
                reader.remembered[version] = made
            return made
        routes = await deadline.within(READER_BY, self.routes.among(reader.followees))
        if routes is None:
            raise Unavailable(f"reader {reader.reader_id}: the routes of their authors did not come in time")
        return plan(reader, routes, self.margin_ms)

    async def erased(self, reader_id: int, deadline: Deadline) -> bool:
        """Whether the reader's account is being erased: they are served nothing, as once it is gone. Raises
        Unavailable when it is not known in time.
        """
        found = self.routes.known((reader_id,))
        if found is None:
            found = await deadline.within(READER_BY, self.routes.among((reader_id,)))
        if found is None:
            raise Unavailable(f"reader {reader_id}: the routes of their own account did not come in time")
        return reader_id in found and found[reader_id].erased

    async def reader(self, reader_id: int, deadline: Deadline) -> ReaderView:
        """The reader as the caches know them. Raises Unavailable when they are not known in time."""
        since = snowflake.first_id(self.now_ms() - self.window_ms)
        found = self.caches.readers.known((reader_id,)) or await deadline.within(
            READER_BY, self.caches.readers.all((reader_id,), lambda ids: views(self.stores, ids, since))
        )
        if found is None:
            raise Unavailable(f"reader {reader_id}: edges and relations did not come in time")
        return found[reader_id]

    async def archive(self, session: Session, below: int = snowflake.MAX_ID) -> None:
        """Go on with what is older than the window."""
        older = archive(session.plan, min(below, session.window_start))
        session.sources += await self._dated(session, PULLS_BY, older, {})
        session.archived = True

    async def _dated(
        self, session: Session, share: float, sources: list[Source], routes: Mapping[int, Route]
    ) -> list[Source]:
        """Plain push authors are in no view: their newest posts are asked for, where that may save reads."""
        if len(sources) <= READS_A_ROUND:
            return sources
        unknown = {
            source.author_id
            for source in sources
            if source.path == "pull" and _record(routes, source.author_id) is None
        }
        if len(unknown) <= READS_A_ROUND:
            return sources
        records = await session.deadline.within(share, self.stores.routes.routes(unknown))
        if records is None:
            return sources
        for source in sources:
            if source.author_id in unknown:
                record = records.get(source.author_id)
                source.horizon = min(source.horizon, 0 if record is None else record.latest_post_id + 1)
        return [source for source in sources if source.horizon > source.lo]

    async def newest(self, session: Session) -> None:
        """The first rows of the timeline: what is pulled comes after, as far as the page reaches down."""
        await self.read(session, [one for one in session.sources if one.path == "push"], session.limit + 1)

    async def collect(self, session: Session, below: int, wanted: int) -> list[Candidate]:
        """The newest candidates under `below`, as many as wanted: fewer only at the end of all sources."""
        while behind := next_reads(session.sources, below, wanted, READS_A_ROUND):
            await self.read(session, behind, max(wanted, session.limit) + 1)
            ready = merge(session.sources, below, wanted)
            if len(ready) == wanted:
                return ready
            if any(source.stride > 1 for source in behind):
                session.passed_over()
        return merge(session.sources, below, wanted)

    async def read(self, session: Session, sources: Sequence[Source], asked: int) -> None:
        """Read each source further down, all at once. One row more than a page, so its end is seen."""
        session.read.update(map(id, sources))
        waiting = self._worth_asking(session, self._remembered(session, sources, asked))
        if not waiting:
            return
        began, late = time.perf_counter(), session.deadline.left(PULLS_BY) == 0
        timeline = next((source for source in waiting if source.path == "push"), None)
        tasks = {
            asyncio.create_task(self._deepen(session, source, asked)): source
            for source in waiting
            if source is not timeline
        }
        try:
            if timeline is not None and not await session.deadline.within(
                ROWS_BY, self._deepen(session, timeline, asked)
            ):
                raise Unavailable(f"reader {session.reader.reader_id}: the timeline did not come in time")
        except (Unavailable, Unprocessable):
            for task in tasks:
                task.cancel()
            raise
        for task in await session.deadline.finish(PULLS_BY, tasks) if tasks else ():
            tasks[task].give_up()
            session.name("timeline only" if late else "pulled authors")
        self.pulls_took(time.perf_counter() - began, sum(source.path == "pull" for source in waiting))

    def _remembered(self, session: Session, sources: Sequence[Source], asked: int) -> list[Source]:
        """Read what the cache holds; returns the sources that are left."""
        known = self.caches.recent.known({one.author_id for one in sources if one.path != "push"})
        waiting = []
        for source in sources:
            recent = known.get(source.author_id)
            if recent is not None and recent.newest < _latest(session.plan.routes, source.author_id):
                self.caches.recent.drop((source.author_id,))
                recent = None
            rows = None if recent is None else recent.below(source.lo, source.horizon, min(asked, KEPT))
            if rows is None:
                waiting.append(source)
            elif recent is not None:
                session.recent.setdefault(source.author_id, recent)
                source.extend(rows, min(asked, KEPT))
        return waiting

    def _worth_asking(self, session: Session, sources: Sequence[Source]) -> list[Source]:
        """Without those that have let another page wait for as long as this one would: they are given up now,
        so that a slow partition costs the time of the pages that found out, and not of all that come after.
        And without all that are pulled, while nothing may be.
        """
        asked = []
        off = any(one.path == "pull" for one in sources) and self.contained(Kind.PATH, "pull")
        for source in sources:
            waits_s = 0.0 if source.path == "push" else self.caches.recent.waiting_s(source.author_id)
            hangs = waits_s > 0 and session.deadline.reaches(PULLS_BY, waits_s)
            if hangs or (off and source.path == "pull"):
                source.give_up()
                session.name("pulled authors")
            else:
                asked.append(source)
        return asked

    async def _deepen(self, session: Session, source: Source, asked: int) -> bool:
        """Read on below the source's horizon; True, once that is done."""
        lo, hi = source.lo, source.horizon
        asked = min(asked * source.stride, MOST_ROWS)
        if source.path == "push":
            source.extend(
                await self.stores.timelines.timeline(session.reader.reader_id, lo, hi, asked, gone=True),
                asked,
            )
            return True
        kept = min(asked, KEPT)
        rows = await self._recent(session, source, kept)
        if rows is not None:
            source.extend(rows, kept)
        else:
            source.extend(await self.stores.posts.recent(source.author_id, lo, hi, asked), asked)
        return True

    async def _recent(self, session: Session, source: Source, asked: int) -> list[Row] | None:
        """The author's newest posts, into the cache as well; None when that does not reach far enough."""
        author = (source.author_id,)
        if not self.caches.shares() or self.caches.recent.known(author):
            return None
        lo = snowflake.shift(session.window_start, -VALID_MS)
        found = await self.caches.recent.all(author, lambda ids: self._newest(ids, lo))
        recent = session.recent.setdefault(source.author_id, found[source.author_id])
        return recent.below(source.lo, source.horizon, asked)

    async def _newest(self, authors: Collection[int], lo: int) -> dict[int, RecentPosts]:
        """The newest posts of authors, for the cache."""
        found = await asyncio.gather(
            *(self.stores.posts.recent(author, lo, snowflake.MAX_ID, KEPT) for author in authors)
        )
        return {
            author: RecentPosts(tuple(rows), lo, len(rows) < KEPT)
            for author, rows in zip(authors, found, strict=True)
        }

    async def allowed(self, session: Session, candidates: Sequence[Candidate]) -> list[Candidate] | None:
        """Without those that are hidden by what is known before a post is fetched: of their authors, and of
        what the reader does not want to see. None when that is not known in time.
        """
        reader, authors = session.reader, session.hidden_among(candidates)
        some = [one for one in candidates if one.author_id not in authors] if authors else list(candidates)
        older = [one.post_id for one in some if one.post_id < reader.hidden_since]
        if older:
            found = await session.deadline.within(
                HYDRATE_BY, self.stores.readers.hidden_among(reader.reader_id, older)
            )
            if found is None:
                session.name("hydration")
                return None
            session.hidden.update(found)
        return [
            one
            for one in some
            if one.author_id == reader.reader_id
            or (one.post_id not in reader.hidden and one.post_id not in session.hidden)
        ]

    async def posts(self, session: Session, post_ids: Sequence[int]) -> tuple[dict[int, StoredPost], bool]:
        """Canonical posts, and whether all that exist were fetched in time."""
        found = self.caches.posts.known(post_ids)
        if len(found) == len(post_ids):
            session.looked_at |= found
            return found, True
        fetched = await session.deadline.within(
            HYDRATE_BY, self.caches.posts.all(post_ids, lambda ids: self.stores.posts.posts(list(ids)))
        )
        if fetched is None:
            session.name("hydration")
            return found, False
        session.looked_at |= fetched
        return fetched, True

    async def affinity(self, session: Session) -> Mapping[int, int]:
        """By author, how often the reader engaged with them lately."""
        reader = session.reader.reader_id

        async def load(ids: Collection[int]) -> dict[int, Mapping[int, int]]:
            return {one: await self.stores.readers.affinity(one, ENGAGEMENTS) for one in ids}

        found = await session.deadline.within(HELP_BY, self.caches.affinity.all((reader,), load))
        if found is None:
            session.name("enrichment")
            return {}
        return found[reader]

    async def engagement(self, session: Session, post_ids: Sequence[int], since_ms: int) -> Mapping[int, int]:
        """By post, how many readers engaged with it lately, some seconds ago."""
        tick = int(time.monotonic() / TICK_S)

        async def load(keys: Collection[tuple[int, int]]) -> dict[tuple[int, int], int]:
            counts = await self.stores.counters.engaged(
                [post for post, _ in keys], engagement.hour_of(since_ms)
            )
            return {key: counts.get(key[0], 0) for key in keys}

        keys = [(post, tick) for post in post_ids]
        found = await session.deadline.within(ENRICH_BY, self.caches.counters.all(keys, load))
        if found is None:
            session.name("enrichment")
            return {}
        return {post: count for (post, _), count in found.items()}


def _simple_sources(session: Session, below: int) -> list[Source]:
    """The timeline and one's own posts; in the archive one's own are a source as others' are."""
    if below <= session.window_start:
        return []
    return [
        Source("push", 0, session.window_start, below),
        Source("own", session.reader.reader_id, session.window_start, below),
    ]


def _are(routes: Mapping[int, Route], before: Mapping[int, Route]) -> bool:
    """Whether these are the very routes there were: views make a route anew whenever it changes."""
    return routes.keys() == before.keys() and all(before[author] is one for author, one in routes.items())


def _record(routes: Mapping[int, Route], author_id: int) -> RouteRecord | None:
    route = routes.get(author_id)
    return None if route is None else route.record


def _latest(routes: Mapping[int, Route], author_id: int) -> int:
    """The id that an author's newest post has at least."""
    record = _record(routes, author_id)
    return 0 if record is None else record.latest_post_id

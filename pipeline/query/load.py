"""Load: everything a page reads, from caches if possible, and each read in its share of the page's time.

What is read is a value, `Loaded`, of which every read returns the next. A source is read only as far down as
the page may need. What does not come in time is given up, and named.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.domain import engagement, snowflake
from pipeline.domain.containment import READS, Kind
from pipeline.domain.cursor import VALID_MS
from pipeline.domain.merge import Candidate, Source, merge, next_reads
from pipeline.domain.page_request import PageRequest
from pipeline.errors import Unavailable, Unprocessable
from pipeline.query.cache import Cache, Key, Value
from pipeline.query.cache import Load as LoadOf
from pipeline.query.caches import Caches, RecentPosts
from pipeline.query.deadline import Deadline
from pipeline.query.known_routes import KnownRoutes, Route
from pipeline.query.plan import Frontier, Plan, frontier
from pipeline.query.reader_view import ReaderView, views
from pipeline.store.ports import Stores
from pipeline.store.values import StoredPost
from pipeline.wire.records import RouteRecord

READS_A_ROUND = 64

MAX_ROWS = 5_000
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


class Loaded(NamedTuple):
    """What a page has read. `candidates`: those asked for last; `recent`, `posts`: by author and post, what
    it was given of them, shown or not; `hidden`: older posts that the reader has hidden, as far as they were
    asked for; `found`: posts for the page so far. `degraded`: the steps of the ladder that were taken; `cut`:
    why what was asked for last did not come.
    """

    deadline: Deadline
    sources: Sequence[Source] = ()
    archived: bool = False
    candidates: Sequence[Candidate] = ()
    recent: Mapping[int, RecentPosts] = {}
    posts: Mapping[int, StoredPost] = {}
    hidden: Mapping[int, int] = {}
    found: int = 0
    degraded: tuple[str, ...] = ()
    cut: Unavailable | Unprocessable | None = None

    def named(self, step: str) -> "Loaded":
        """A step of the ladder is taken."""
        return self if step in self.degraded else self._replace(degraded=(*self.degraded, step))

    def passed_over(self) -> "Loaded":
        """Much of what was read cannot be shown. A page that has nothing yet goes on past its deadline."""
        return self if self.found else self._replace(deadline=self.deadline.extended())


@dataclass(frozen=True, slots=True)
class Load:
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

    async def plan(self, request: PageRequest, deadline: Deadline) -> Plan | None:
        """What the page will read; None: its reader's account is being erased. Raises Unavailable when what
        is known of them does not come in time: no page without.
        """
        if await self.erased(request.reader_id, deadline):
            return None
        reader = await self.reader(request.reader_id, deadline)
        window_start = snowflake.first_id(request.place.as_of - self.window_ms)
        return Plan(request, reader, await self._frontier(reader, deadline), window_start)

    async def erased(self, reader_id: int, deadline: Deadline) -> bool:
        """Whether the reader's account is being erased: they are served nothing, as once it is gone. Raises
        Unavailable when it is not known in time.
        """
        found = await self._routes((reader_id,), deadline, f"reader {reader_id}: the routes of their account")
        return reader_id in found and found[reader_id].erased

    async def reader(self, reader_id: int, deadline: Deadline) -> ReaderView:
        """The reader as the caches know them. Raises Unavailable when they are not known in time."""
        since = snowflake.first_id(self.now_ms() - self.window_ms)
        cache, load = self.caches.readers, lambda ids: views(self.stores, ids, since)
        found, whole = await _cached(deadline, READER_BY, cache, (reader_id,), load)
        if not whole:
            raise Unavailable(f"reader {reader_id}: edges and relations did not come in time")
        return found[reader_id]

    async def _frontier(self, reader: ReaderView, deadline: Deadline) -> Frontier:
        """The frontier of this reader: the one that was found last, while the views hold the same."""
        version, fresh = self.routes.version(), self.routes.fresh()
        known: Frontier | None = reader.remembered.get(version)
        if known is not None and fresh:
            return known
        who = f"reader {reader.state.reader_id}: the routes of their authors"
        routes = await self._routes(reader.followees, deadline, who)
        before: Frontier | None = next(iter(reader.remembered.values()), None)
        same = before is not None and _are(routes, before.routes)
        made = before if before is not None and same else frontier(reader, routes, self.margin_ms)
        if fresh and version is not None:
            reader.remembered.clear()
            reader.remembered[version] = made
        return made

    async def _routes(self, authors: Collection[int], deadline: Deadline, what: str) -> dict[int, Route]:
        known = self.routes.known(authors)
        if known is None:
            known = await deadline.within(READER_BY, self.routes.among(authors))
        if known is None:
            raise Unavailable(f"{what} did not come in time")
        return known

    async def newest(self, plan: Plan, loaded: Loaded) -> Loaded:
        """The first rows of the timeline: what is pulled comes after, as far as the page reaches down."""
        rows = plan.rows(plan.request.place.below)
        pushed = [source for source in rows if source.path == "push"]
        return await self._further(plan, loaded._replace(sources=rows), pushed, plan.request.limit + 1)

    async def opened(self, plan: Plan, loaded: Loaded, below: int) -> Loaded:
        """The timeline, one's own, and what is pulled; of the archive, if that is where the page is."""
        if below <= plan.window_start:
            return await self.archive(plan, loaded, below)
        pulled = await self._dated(loaded.deadline, HELP_BY, plan.pulled(below), plan.frontier.routes)
        return loaded._replace(sources=(*(loaded.sources or plan.rows(below)), *pulled))

    async def archive(self, plan: Plan, loaded: Loaded, below: int = snowflake.MAX_ID) -> Loaded:
        """Go on with what is older than the window."""
        older = await self._dated(loaded.deadline, PULLS_BY, plan.archive(below), {})
        return loaded._replace(sources=(*loaded.sources, *older), archived=True)

    async def _dated(
        self, deadline: Deadline, share: float, sources: list[Source], routes: Mapping[int, Route]
    ) -> list[Source]:
        """Plain push authors are in no view: their newest posts are asked for, where that may save reads."""
        unknown = {
            source.author_id
            for source in sources
            if source.path == "pull" and _record(routes, source.author_id) is None
        }
        if len(unknown) <= READS_A_ROUND:
            return sources
        records = await deadline.within(share, self.stores.routes.routes(unknown))
        if records is None:
            return sources
        above = {one: records[one].latest_post_id + 1 if one in records else 0 for one in unknown}
        dated = (
            one._replace(horizon=min(one.horizon, above.get(one.author_id, one.horizon))) for one in sources
        )
        return [source for source in dated if source.horizon > source.lo]

    async def candidates(self, plan: Plan, loaded: Loaded, below: int, wanted: int) -> Loaded:
        """The newest candidates under `below`, as many as wanted: fewer only at the end of all sources, or
        when the timeline is cut.
        """
        loaded = loaded._replace(cut=None)
        asked = max(wanted, plan.request.limit) + 1  # one row more than a page, so its end is seen
        while behind := next_reads(loaded.sources, below, wanted, READS_A_ROUND):
            loaded = await self._further(plan, loaded, behind, asked)
            ready = merge(loaded.sources, below, wanted)
            if loaded.cut or len(ready) == wanted:
                return loaded._replace(candidates=ready)
            if any(source.stride > 1 for source in loaded.sources):
                loaded = loaded.passed_over()
        return loaded._replace(candidates=merge(loaded.sources, below, wanted))

    async def _further(self, plan: Plan, loaded: Loaded, behind: Sequence[Source], asked: int) -> Loaded:
        """With each of these sources read further down, all at once; cut, when the timeline does not come."""
        loaded, waiting = self._at_hand(plan, loaded, behind, asked)
        if not waiting:
            return loaded
        began, deadline = time.perf_counter(), loaded.deadline
        late = "timeline only" if deadline.left(PULLS_BY) == 0 else "pulled authors"
        timeline = next((source for source in waiting if source.path == "push"), None)
        tasks = {
            asyncio.create_task(self._deepened(plan, source, asked)): source
            for source in waiting
            if source is not timeline
        }
        read: dict[int, Source] = {}
        recent: dict[int, RecentPosts] = {}
        try:
            if timeline is not None:
                found = await deadline.within(ROWS_BY, self._deepened(plan, timeline, asked))
                if found is None:
                    raise Unavailable(f"reader {plan.request.reader_id}: the timeline did not come in time")
                read[id(timeline)] = found[0]
            lost = set(await deadline.finish(PULLS_BY, tasks)) if tasks else ()
        except (Unavailable, Unprocessable) as error:
            for task in tasks:
                task.cancel()
            if isinstance(error, Unprocessable):
                raise
            return loaded._replace(cut=error)
        for task, source in tasks.items():
            if task in lost:
                read[id(source)], loaded = source.given_up(), loaded.named(late)
            else:
                read[id(source)], given = task.result()
                if given is not None:
                    recent[source.author_id] = given
        self.pulls_took(time.perf_counter() - began, sum(source.path == "pull" for source in waiting))
        return _with(loaded, read, recent)

    def _at_hand(
        self, plan: Plan, loaded: Loaded, behind: Sequence[Source], asked: int
    ) -> tuple[Loaded, list[Source]]:
        """With what the caches hold of these sources, and those that are left to be read.

        Those that have let another page wait for as long as this one would are given up now, so that a slow
        partition costs the time of the pages that found out, and not of all that come after. And so are all
        that are pulled, while nothing may be.
        """
        cache, asked, routes = self.caches.recent, min(asked, KEPT), plan.frontier.routes
        known = cache.known({one.author_id for one in behind if one.path != "push"})
        read: dict[int, Source] = {}
        given: dict[int, RecentPosts] = {}
        waiting = []
        for source in behind:
            recent = known.get(source.author_id)
            if recent is not None and recent.newest < _latest(routes, source.author_id):
                cache.drop((source.author_id,))
                recent = None
            rows = None if recent is None else recent.below(source.lo, source.horizon, asked)
            if recent is None or rows is None:
                waiting.append(source)
            else:
                read[id(source)], given[source.author_id] = source.extended(rows, asked), recent
        off = any(one.path == "pull" for one in waiting) and self.contained(Kind.PATH, "pull")
        for source in waiting:
            waits_s = 0.0 if source.path == "push" else cache.waiting_s(source.author_id)
            hangs = waits_s > 0 and loaded.deadline.reaches(PULLS_BY, waits_s)
            if hangs or (off and source.path == "pull"):
                read[id(source)], loaded = source.given_up(), loaded.named("pulled authors")
        return _with(loaded, read, given), [source for source in waiting if id(source) not in read]

    async def _deepened(self, plan: Plan, source: Source, asked: int) -> tuple[Source, RecentPosts | None]:
        """The source read on below its horizon, and what was remembered of its author for that."""
        lo, hi = source.lo, source.horizon
        asked, kept = min(asked * source.stride, MAX_ROWS), min(asked * source.stride, KEPT)
        recent: RecentPosts | None = None
        if source.path == "push":
            rows = await self.stores.timelines.timeline(plan.request.reader_id, lo, hi, asked, gone=True)
            return source.extended(rows, asked), None
        author = (source.author_id,)
        if self.caches.shares() and not self.caches.recent.known(author):
            since = snowflake.shift(plan.window_start, -VALID_MS)
            found = await self.caches.recent.all(author, lambda ids: self._newest(ids, since))
            recent = found[source.author_id]
            below = recent.below(lo, hi, kept)
            if below is not None:
                return source.extended(below, kept), recent
        return source.extended(await self.stores.posts.recent(source.author_id, lo, hi, asked), asked), recent

    async def _newest(self, authors: Collection[int], lo: int) -> dict[int, RecentPosts]:
        """The newest posts of authors, for the cache."""
        found = await asyncio.gather(
            *(self.stores.posts.recent(author, lo, snowflake.MAX_ID, KEPT) for author in authors)
        )
        return {
            author: RecentPosts(tuple(rows), lo, len(rows) < KEPT)
            for author, rows in zip(authors, found, strict=True)
        }

    async def allowed(self, plan: Plan, loaded: Loaded) -> tuple[Loaded, list[Candidate]]:
        """The candidates without those that are hidden by what is known before a post is fetched: of their
        authors, and of what the reader does not want to see; none, when that is not known in time.
        """
        reader_id, since = plan.request.reader_id, plan.reader.hidden_since
        older = [one.post_id for one in loaded.candidates if one.post_id < since]
        loaded = loaded._replace(cut=None)
        if older:
            work = self.stores.readers.hidden_among(reader_id, older)
            found = await loaded.deadline.within(HYDRATE_BY, work)
            if found is None:
                return _late(loaded, plan, "what they have hidden"), []
            loaded = loaded._replace(hidden={**loaded.hidden, **found})
        return loaded, plan.allowed(loaded.candidates, loaded.hidden)

    async def posts(self, plan: Plan, loaded: Loaded, post_ids: Sequence[int]) -> Loaded:
        """Canonical posts; cut, when not all that exist were fetched in time."""
        cache, load = self.caches.posts, lambda ids: self.stores.posts.posts(list(ids))
        found, whole = await _cached(loaded.deadline, HYDRATE_BY, cache, post_ids, load)
        loaded = loaded._replace(posts={**loaded.posts, **found}, cut=None)
        return loaded if whole else _late(loaded, plan, "posts")

    async def affinity(self, plan: Plan, loaded: Loaded) -> tuple[Loaded, Mapping[int, int]]:
        """By author, how often the reader engaged with them lately."""
        reader = plan.request.reader_id

        async def load(ids: Collection[int]) -> dict[int, Mapping[int, int]]:
            return {one: await self.stores.readers.affinity(one, ENGAGEMENTS) for one in ids}

        found = await loaded.deadline.within(HELP_BY, self.caches.affinity.all((reader,), load))
        return (loaded.named("enrichment"), {}) if found is None else (loaded, found[reader])

    def narrow(self, loaded: Loaded) -> bool:
        """Whether fewer candidates are ranked: reads are contained, or the time is short."""
        return self.contained(Kind.NARROW, READS) or loaded.deadline.left(PULLS_BY) == 0

    async def engagement(
        self, loaded: Loaded, post_ids: Sequence[int], since_ms: int
    ) -> tuple[Loaded, Mapping[int, int]]:
        """By post, how many readers engaged with it lately, some seconds ago; nobody asks while reads are
        contained.
        """
        if self.contained(Kind.NARROW, READS):
            return loaded, {}
        tick = int(time.monotonic() / TICK_S)

        async def load(keys: Collection[tuple[int, int]]) -> dict[tuple[int, int], int]:
            counts = await self.stores.counters.engaged(
                [post for post, _ in keys], engagement.hour_of(since_ms)
            )
            return {key: counts.get(key[0], 0) for key in keys}

        keys = [(post, tick) for post in post_ids]
        found = await loaded.deadline.within(ENRICH_BY, self.caches.counters.all(keys, load))
        if found is None:
            return loaded.named("enrichment"), {}
        return loaded, {post: count for (post, _), count in found.items()}

    async def ready(self) -> None:
        """Ask the store for next to nothing."""
        await self.stores.readers.reader(1)

    async def followers(self, author_ids: Collection[int], deadline: Deadline) -> dict[int, int] | None:
        """By author, how many follow them; None when that is not known in time."""
        graphs = await deadline.within(1, self.stores.graph.author_graphs(author_ids))
        return None if graphs is None else {author: graph.followers for author, graph in graphs.items()}


async def _cached(
    deadline: Deadline,
    share: float,
    cache: Cache[Key, Value],
    keys: Collection[Key],
    load: LoadOf[Key, Value],
) -> tuple[dict[Key, Value], bool]:
    """What is remembered under these keys, or comes in time; and whether that is all there is."""
    found = cache.known(keys)
    if len(found) == len(keys):
        return found, True
    loaded = await deadline.within(share, cache.all(keys, load))
    return (found, False) if loaded is None else (loaded, True)


def _with(loaded: Loaded, read: Mapping[int, Source], recent: Mapping[int, RecentPosts]) -> Loaded:
    """With these sources in the place of those they were, by identity."""
    sources = tuple(read.get(id(source), source) for source in loaded.sources)
    return loaded._replace(sources=sources, recent={**recent, **loaded.recent})


def _late(loaded: Loaded, plan: Plan, what: str) -> Loaded:
    """Without something that a post is not shown without."""
    error = Unavailable(f"reader {plan.request.reader_id}: {what} did not come in time")
    return loaded.named("hydration")._replace(cut=error)


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

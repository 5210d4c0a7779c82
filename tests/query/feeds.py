"""A reader's world for the query tests: authors, edges, posts and rows, as the write path may have left them.

`World.shown` is the oracle: the reader's own posts and the followed authors' that nothing hides. Which rows are
there follows the guarantee of the write path alone: a post of the push class is in the timeline from
`covered_from` on, that of the edge, the reader and the author; within a margin of any change it may be missing;
and any other row may be there as well. A bound that a backfill has fulfilled is none.
"""

from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from pipeline.domain.order import Version
from pipeline.domain.page_request import PageRequest, parse
from pipeline.domain.snowflake import first_id
from pipeline.runtime.memory import broker
from pipeline.store.memory import memory_stores
from pipeline.store.values import NOT_COVERED, Edge, Placed, Push, ReaderState, TimelineEntry
from pipeline.wire.records import AccountEvent, AuthorClass, PostEvent, RouteEntry, RouteRecord, Suspension
from tests.query.cores import KEYS, Told, core
from tests.twin import LOADED, Clock

READER, T0, WINDOW, MARGIN, AS_OF = 1, 1_700_000_000_000, 200, 10, 250
"""Time is in ms from T0: the window of a session that begins at 250 reaches back to 50."""

SHAPE = {"window_ms": WINDOW, "margin_seconds": MARGIN / 1000}


def at(ms, sequence=0):
    """The id of a post of this time."""
    return first_id(T0 + ms) + sequence


@dataclass
class Author:
    """An author, the reader's edge to it, and its posts: by ms what is to be known of each."""

    author_id: int = 10
    posts: dict[int, str] = field(default_factory=dict)
    classes: list[tuple[int, AuthorClass]] = field(default_factory=list)
    covered_ms: int | None = -1_000
    warm_ms: int | None = None
    fact: str = ""
    rows_kept: bool = True
    caught_up: bool = False
    retracted_ms: int = -1_000

    def class_of(self, ms):
        """Plain push, until an entry says otherwise."""
        return max([(-1, AuthorClass.PUSH), *(one for one in self.classes if one[0] <= ms)])[1]

    def pushed(self, ms):
        """Whether a post of this time is pushed to the reader."""
        warm = self.warm_ms is not None and self.warm_ms <= ms
        return {"push": True, "pull": False, "partial": warm}[self.class_of(ms)]

    def owed(self, ms):
        """Whether the row must be there: covered, and pushed, and that for a margin before and after."""
        covered = -1_000 if self.caught_up and self.covered_ms is not None else self.covered_ms
        since = [covered, self.retracted_ms, *[self.warm_ms] * (self.class_of(ms) == "partial")]
        settled = all(one is not None and one <= ms - MARGIN for one in since)
        return settled and all(self.pushed(near) for near in range(ms - MARGIN, ms + MARGIN + 1))

    def id_of(self, ms):
        """Each author has its own sequence number, so ids are distinct."""
        return at(ms, self.author_id)


class World:
    """The stores with all of it, and the query stage on them."""

    def __init__(self, authors=(), own=(), region="eu", cohort=(True, -1_000, False)):
        """`cohort`: whether the reader is active, since when, and whether a backfill has made up for before."""
        self.active, self.since_ms, self.caught_up = cohort
        self.stores, self.authors, self.own, self.region = (
            memory_stores(lambda: 0.0),
            list(authors),
            list(own),
            region,
        )
        self.kafka = broker(LOADED, Clock(T0 + AS_OF))
        self.routes = Told(self.kafka, "author.routes")
        self.suspensions = Told(self.kafka, "author.suspensions")
        self.query = self.query_on(self.stores)

    def query_on(self, stores):
        """The query stage on these stores."""
        return core(stores, kafka=self.kafka, **SHAPE)

    async def settle(self):
        """Write everything."""
        await self.stores.readers.put_accounts(
            [Placed(AccountEvent("registered", READER, self.region, False, T0), 0)]
        )
        if self.active is not None:
            bound = at(self.since_ms)
            state = ReaderState(READER, active=self.active, covered_from=bound, cohort_at=T0)
            await self.stores.readers.put_cohorts([state])
        if self.caught_up:
            await self.stores.readers.put_readers_caught_up([READER], at(self.since_ms), ttl_s=1_000)
        await self.publish(READER, dict.fromkeys(self.own, ""))
        for author in self.authors:
            await self._edge(author)
            await self.add(author, author.posts)

    async def add(self, author, posts):
        """Publish posts of an author, with the rows that are owed, and those that just happen to be there."""
        author.posts = author.posts | posts
        if author not in self.authors:
            self.authors.append(author)
        await self.publish(author.author_id, posts)
        for ms in posts:
            if (author.owed(ms) and self.owed(ms)) or author.rows_kept:
                await self.row(author, ms)
        if author.classes:
            entries = tuple(RouteEntry(author.id_of(since), kind, "") for since, kind in author.classes)
            newest = max((author.id_of(ms) for ms in author.posts), default=0)
            self.routes[author.author_id] = RouteRecord(author.author_id, entries, newest)

    def owed(self, ms):
        """Whether a row of this time must be there for this reader at all."""
        return bool(self.active) and (self.caught_up or self.since_ms <= ms - MARGIN)

    async def publish(self, author_id, posts):
        """Posts and what is to be known of them, without any row."""
        for ms, state in posts.items():
            post, visibility = at(ms, author_id), state if state in ("private", "followers") else "public"
            event = PostEvent("published", post, author_id, T0 + ms, visibility=visibility, body=f"{ms}")
            deleted = [replace(event, type="deleted")] * (state == "deleted")
            await self.stores.posts.put_posts([Placed(one, n) for n, one in enumerate((event, *deleted))], {})
            if state.startswith("down"):
                await self.stores.posts.take_down(post, [state.removeprefix("down ")], Version(T0, 0))

    async def row(self, author, ms):
        """A row in the reader's timeline."""
        entry = TimelineEntry(author.id_of(ms), author.author_id, 0, (T0 + ms) * 1000, 1_000)
        await self.stores.timelines.push([Push([READER], [entry])])

    async def _edge(self, author):
        covered = NOT_COVERED if author.covered_ms is None else author.id_of(author.covered_ms)
        warm = None if author.warm_ms is None else author.id_of(author.warm_ms)
        edge = Edge(READER, author.author_id, author.fact != "left", T0, 0, covered, warm)
        await self.stores.graph.put_edges([edge])
        if author.caught_up:
            fulfilled = edge.covered_from if author.covered_ms is not None else at(AS_OF)
            await self.stores.graph.put_caught_up(author.author_id, [READER], fulfilled)
        bound = at(author.retracted_ms)
        self.suspensions[author.author_id] = Suspension(
            author.author_id, author.fact == "suspended", bound, T0
        )
        match author.fact:
            case "suspended":
                await self.stores.readers.set_suspended(author.author_id, True, Version(T0, 0))
            case "muted" | "blocked":
                await self.stores.readers.relate(
                    READER,
                    author.author_id,
                    author.fact.removesuffix("d").removesuffix("e"),
                    True,
                    Version(T0, 0),
                )
            case "blocks":
                await self.stores.readers.relate(author.author_id, READER, "block", True, Version(T0, 0))

    def shown(self, since_ms=0):
        """The oracle: every post of this time or later that the reader must see, newest first.

        A session goes on below the window, a first page does not.
        """
        own = [at(ms, READER) for ms in self.own if ms >= since_ms]
        hidden = (
            {"deleted", "private", "down *", "down eu"}
            if self.region == "eu"
            else {"deleted", "private", "down *"}
        )
        followed = [
            author.id_of(ms)
            for author in self.authors
            for ms, state in author.posts.items()
            if not author.fact and state not in hidden and ms >= since_ms
        ]
        return sorted(own + followed, reverse=True)

    async def page(self, limit, token=None):
        """One page, asked for as a client does."""
        request = parse(
            reader_id=str(READER),
            limit=str(limit),
            cursor=token,
            mode=None,
            explain="1",
            now_ms=T0 + AS_OF,
            cursor_keys=KEYS,
        )
        assert isinstance(request, PageRequest)
        return await self.query.page(request)

    async def session(self, limit, between=None):
        """Page after page to the end; `between` happens before each but the first."""
        pages = [await self.page(limit)]
        while pages[-1].next_cursor is not None:
            assert len(pages) < 500, "a session without an end"
            if between is not None:
                await between(len(pages))
            pages.append(await self.page(limit, pages[-1].next_cursor))
        return pages


def ids(pages):
    """The posts of these pages in order."""
    return [item.post.post_id for page in pages for item in page.items]


states = st.sampled_from([""] * 6 + ["followers", "private", "deleted", "down *", "down eu", "down us"])
facts = st.sampled_from([""] * 8 + ["left", "suspended", "muted", "blocked", "blocks"])
times = st.integers(30, AS_OF)
author_list = st.lists(
    st.builds(
        Author,
        posts=st.dictionaries(times, states, max_size=14),
        classes=st.dictionaries(times, st.sampled_from(AuthorClass), max_size=3).map(
            lambda found: sorted(found.items())
        ),
        covered_ms=st.sampled_from([-1_000, -1_000, None]) | times,
        warm_ms=st.none() | times,
        fact=facts,
        rows_kept=st.booleans(),
    ),
    max_size=5,
).map(lambda found: [replace(author, author_id=10 + n) for n, author in enumerate(found)])
worlds = st.builds(World, author_list, st.sets(times, max_size=5), st.sampled_from(["eu", ""]))

marks = st.tuples(st.booleans(), st.just(-1_000) | times)
marked = st.tuples(author_list, st.lists(marks, min_size=5, max_size=5)).map(
    lambda found: [
        replace(author, caught_up=caught_up, retracted_ms=retracted)
        for author, (caught_up, retracted) in zip(*found, strict=False)
    ]
)
cohorts = st.tuples(st.sampled_from([True, True, True, False, None]), st.just(-1_000) | times, st.booleans())
bounded_worlds = st.builds(World, marked, st.sets(times, max_size=5), st.sampled_from(["eu", ""]), cohorts)
"""Worlds with bounds of all three kinds, in force or fulfilled."""

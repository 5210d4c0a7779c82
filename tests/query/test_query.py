"""Query: the pages of a session are what the definition of a feed says, whatever path a post came on."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.order import Version
from pipeline.query import latest
from pipeline.query.known_routes import KnownRoutes, Route
from pipeline.store.memory import memory_stores
from pipeline.store.ports import StoreUnavailable
from pipeline.store.values import NOT_COVERED, Edge
from pipeline.wire.records import AuthorClass, RouteEntry, RouteRecord
from tests.domain.examples import at_least
from tests.query.feeds import AS_OF, READER, T0, WINDOW, Author, World, at, bounded_worlds, ids, times, worlds
from tests.stages.fakes import Fault

PULL, PARTIAL, PUSH = AuthorClass.PULL, AuthorClass.PARTIAL, AuthorClass.PUSH
limits = st.integers(1, 9)


@at_least(300)
@given(bounded_worlds, limits)
def test_pages_are_the_feed_of_the_definition(world, limit):
    """Newest first, nothing twice, nothing missing, nothing hidden; every page is full, but for the last, and
    the first, which ends with the window.
    """

    async def run():
        await world.settle()
        return await world.session(limit)

    pages = asyncio.run(run())

    assert ids(pages) == world.shown()
    assert all(len(page.items) == limit for page in pages[1:-1])
    followees = any(author.fact in ("", "suspended") for author in world.authors)
    assert len(pages[0].items) == min(limit, len(world.shown(since_ms=AS_OF - WINDOW if followees else 0)))


@at_least(150)
@given(worlds, limits, st.integers(1, 6))
def test_a_page_that_looked_at_enough_goes_on_without_a_skip(world, limit, most):
    """Cut off after few candidates, a page may be short or empty; its cursor continues at the next one."""

    async def run():
        await world.settle()
        latest.MAX_CANDIDATES = most
        try:
            return await world.session(limit)
        finally:
            latest.MAX_CANDIDATES = 50_000

    assert ids(asyncio.run(run())) == world.shown()


arrivals = st.lists(
    st.tuples(st.integers(0, 4), st.integers(AS_OF + 1, AS_OF + 50) | times, st.sampled_from(AuthorClass))
)


@at_least(200)
@given(worlds, limits, arrivals)
def test_what_arrives_during_a_session_neither_repeats_nor_skips(world, limit, arriving):
    """Posts of now and late ones, and authors who change class: all that was there before is shown once."""
    waiting = list(arriving)

    async def between(_):
        for _ in range(min(2, len(waiting))):
            which, ms, kind = waiting.pop()
            if which < len(world.authors):
                author = world.authors[which]
                if ms > AS_OF and ms > max([0, *author.posts, *(since for since, _ in author.classes)]):
                    author.classes.append((ms, kind))
                await world.add(author, {ms: ""})

    async def run():
        await world.settle()
        before = world.shown()
        return before, await world.session(limit, between)

    before, pages = asyncio.run(run())

    found = ids(pages)
    assert found == sorted(set(found), reverse=True)
    assert [post for post in found if post in before] == [post for post in before if post in world.shown()]
    assert set(found) <= set(world.shown())


@at_least(150)
@given(worlds)
def test_the_path_of_an_item_is_where_it_was_found(world):
    """`own` for one's own; with a row in the window of the timeline `push`, in a pull range `pull`, or both."""

    async def run():
        await world.settle()
        rows = {
            row.post_id
            for row in await world.stores.timelines.timeline(READER, at(AS_OF - WINDOW), at(10**9), 1_000)
        }
        return rows, await world.session(7)

    rows, pages = asyncio.run(run())

    for item in (item for page in pages for item in page.items):
        if item.post.author_id == READER:
            assert item.path == "own"
        else:
            assert ("push" in item.path) == (item.post.post_id in rows)
            assert ("pull" in item.path) or item.post.post_id in rows


@pytest.mark.parametrize(
    ("author", "path"),
    [
        (Author(), "push"),
        (Author(covered_ms=None, rows_kept=False), "pull"),
        (Author(covered_ms=None), "push+pull"),
        (Author(classes=[(60, PULL)], rows_kept=False), "pull"),
        (Author(classes=[(60, PARTIAL)], rows_kept=False), "pull"),
        (Author(classes=[(60, PARTIAL)], warm_ms=60), "push"),
        (Author(classes=[(60, PULL), (110, PUSH)], rows_kept=False), "pull"),
        (Author(classes=[(60, PULL), (90, PUSH)]), "push"),
    ],
)
async def test_a_post_says_how_it_came(author, path):
    """A post of 100 ms after T0, by the class of its author, the edge, and the margin of 10 ms."""
    author.posts = {100: ""}
    world = World([author])
    await world.settle()

    page = await world.page(5)

    assert [(item.post.body, item.path) for item in page.items] == [("100", path)]


@pytest.mark.parametrize(("ms", "shown"), [(49, []), (50, ["50"]), (51, ["51"])])
@pytest.mark.parametrize("author", [Author(), Author(classes=[(1, PULL)], rows_kept=False)])
async def test_the_feed_begins_with_the_window(ms, shown, author):
    """
    ::

        T0        50 ─────── window ─────── 250 now
        post   49 ▲ ▲ 51     on either path
    """
    world = World([author])
    author.posts = {ms: ""}
    await world.settle()

    assert [item.post.body for item in (await world.page(5)).items] == shown


@pytest.mark.parametrize(("limit", "sizes"), [(2, [2, 2, 1]), (3, [3, 2]), (4, [3, 2]), (1, [1] * 5)])
async def test_the_last_page_has_no_cursor(limit, sizes):
    """Three posts inside the window and two that are older, on the index alone: the last page knows it is."""
    world = World([Author(posts={48: "", 49: "", 100: "", 110: "", 120: ""}, rows_kept=False)])
    await world.settle()

    pages = await world.session(limit)

    assert [len(page.items) for page in pages] == sizes
    assert ids(pages) == world.shown()


async def test_nobody_followed_is_an_empty_feed():
    """Not an error."""
    page = await World().page(20)

    assert (page.items, page.next_cursor, page.degraded) == ([], None, ())


class Counting:
    """Five stores that note whose posts are read, and below which bound."""

    def __init__(self, stores):
        self.asked, self.below, real = [], [], stores.posts

        class Posts:
            def __getattr__(posts, name):
                return getattr(real, name)

            async def recent(posts, author_id, lo, hi, limit):
                self.asked.append(author_id)
                self.below.append(hi)
                return await real.recent(author_id, lo, hi, limit)

        self.stores = replace(stores, posts=Posts())


async def test_an_author_whose_newest_post_is_below_the_page_is_not_read():
    """
    ::

        timeline   200 199 … 180        a page of three ends above 180
        author 11  newest 190, pulled: may be on the page of twenty, not on the page of three
        author 12  newest 90,  pulled: read by the second page at the earliest
    """
    pushed = Author(10, dict.fromkeys(range(180, 201), ""))
    near = Author(11, {190: ""}, [(60, PULL)], rows_kept=False)
    far = Author(12, {90: ""}, [(60, PULL)], rows_kept=False)
    world = World([pushed, near, far])
    await world.settle()
    counting = Counting(world.stores)
    world.query = world.query_on(counting.stores)

    await world.page(3)
    assert counting.asked == [READER]

    counting.asked.clear()
    await world.page(15)
    assert counting.asked == [READER, 11]

    counting.asked.clear()
    assert ids([await world.page(50)]) == world.shown()
    assert sorted(counting.asked) == [READER, 11, 12]


async def test_a_page_reads_nothing_above_its_boundary():
    """What the pages before have shown is not fetched again, on any path."""
    world = World([Author(11, dict.fromkeys(range(180, 201), ""), [(60, PULL)], rows_kept=False)])
    await world.settle()
    first = await world.page(5)
    counting = Counting(world.stores)
    world.query = world.query_on(counting.stores)

    await world.page(5, first.next_cursor)

    assert set(counting.below) == {first.items[-1].post.post_id}


async def test_the_widths_of_the_chain_are_told():
    """Followees, sources there were and sources read, candidates looked at, items shown."""
    far = Author(12, {90: ""}, [(60, PULL)], rows_kept=False)
    world = World([Author(10, dict.fromkeys(range(180, 190), "deleted") | {200: "", 201: "", 202: ""}), far])
    await world.settle()

    page = await world.page(2)

    widths = {"sources": 3, "sources_read": 2, "candidates": 2, "followees": 2, "items": 2}
    assert page.widths == widths


async def test_an_unfollow_is_in_force_at_once_and_a_new_follow_pulls():
    """Whatever rows are there: between two pages, too."""
    author = Author(posts={100: "", 110: ""})
    world = World([author])
    await world.settle()

    await world.stores.graph.put_edges([Edge(READER, 10, False, T0 + 1, 0)])
    assert ids([await world.page(5)]) == []

    await world.stores.graph.put_edges([Edge(READER, 10, True, T0 + 2, 0, NOT_COVERED)])
    assert ids([await world.page(5)]) == [at(110, 10), at(100, 10)]


async def test_a_store_that_is_away_is_not_an_empty_page():
    """The caller hears of it."""

    class Away:
        async def following(self, reader_id):
            raise StoreUnavailable("away")

    world = World()
    world.query = world.query_on(replace(world.stores, graph=Away()))

    with pytest.raises(StoreUnavailable):
        await world.page(5)


async def test_what_pulls_took_is_measured_by_the_source_and_who_reads_is_counted():
    """Two pulled authors, one pushed; what is pushed or one's own is not a pull."""
    authors = [Author(10 + n, {100: ""}, [(60, PULL)] if n else [], rows_kept=not n) for n in range(3)]
    world, took, readers = World(authors), [], []
    await world.settle()
    world.query = replace(
        world.query,
        load=replace(world.query.load, pulls_took=lambda seconds, sources: took.append(sources)),
        saw=readers.append,
    )

    await world.page(5)

    assert (sum(took), readers) == (2, [READER])


@pytest.mark.parametrize(("authors", "lookups"), [(64, 0), (65, 1)])
async def test_many_uncovered_authors_cost_one_look_at_their_newest_posts(authors, lookups):
    """Of those nobody knows a route of; the page is the same, and authors who never posted are not read."""
    followees = [
        Author(10 + n, posts={} if n % 2 else {100 + n % 50: ""}, covered_ms=None, rows_kept=False)
        for n in range(authors)
    ]
    world = World(followees)
    await world.settle()
    newest = [RouteRecord(a.author_id, (), a.id_of(max(a.posts))) for a in followees if a.posts]
    await world.stores.routes.put_routes(newest)
    fault = Fault()
    world.query = world.query_on(fault.stores(world.stores))

    assert ids([await world.page(100)]) == world.shown()

    assert fault.calls.count("routes") == lookups
    reads = fault.calls.count("recent") - 1  # one's own
    assert reads == (authors if not lookups else len(newest))


async def test_a_view_that_is_too_old_is_not_asked():
    """The tables behind the topics are: the class and the bound of an author are those of now."""
    entries = (RouteEntry(at(60), AuthorClass.PULL, ""),)
    stores = memory_stores(lambda: 0.0)
    await stores.routes.put_routes([RouteRecord(7, entries, at(90))])
    await stores.readers.set_suspended(7, True, Version(T0 + 80, 0))
    await stores.readers.set_suspended(7, False, Version(T0 + 81, 0))
    seen = RouteRecord(7, (), at(50))

    for age_s, record, bound in ((1.0, seen, 0), (1.1, RouteRecord(7, entries, at(90)), at(80))):
        known = KnownRoutes({7: seen}, {}, lambda age_s=age_s: age_s, 1.0, stores.routes, stores.readers)
        assert await known.among([7, 8]) == {7: Route(record, bound)}

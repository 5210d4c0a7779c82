"""The ladder: a store that does not answer costs what it holds, not the page; and never a look past moderation."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from pipeline.domain.containment import OPERATOR, READS, Kind
from pipeline.domain.order import Version
from pipeline.domain.page_request import parse
from pipeline.errors import Unavailable
from pipeline.kafka.ports import Outgoing
from pipeline.query.caches import Sizes
from pipeline.store.ports import Stores
from pipeline.wire.codec import encode
from pipeline.wire.records import AuthorClass, Containment, PageChange
from tests.query.cores import KEYS, core
from tests.query.feeds import AS_OF, READER, SHAPE, T0, Author, World, at, ids
from tests.twin import Clock
from tests.waiting import eventually_async

PULL, TIMEOUT_MS = AuthorClass.PULL, 300
PUSHED, SLOW, FAST = 10, 11, 12


class Hanging:
    """Stores of which some calls wait until they are let go. `stuck`: by port, method and first argument."""

    def __init__(self, stores):
        self.stuck, self.waiting, self.go = lambda port, name, first: False, [], asyncio.Event()
        self.stores = Stores(*(_Port(self, port, getattr(stores, port)) for port in Stores.__slots__))

    def on(self, port, name, *firsts):
        """Calls of this method wait: all of them, or those about one of these."""
        self.stuck = lambda *call: call[:2] == (port, name) and (not firsts or call[2] in firsts)


class _Port:
    def __init__(self, hanging, name, port):
        self._hanging, self._name, self._port = hanging, name, port

    def __getattr__(self, method):
        async def call(*args, **named):
            if self._hanging.stuck(self._name, method, args[0]):
                self._hanging.waiting.append(method)
                await self._hanging.go.wait()
            return await getattr(self._port, method)(*args, **named)

        return call


class Ticking(Clock):
    """The time of day stands still; how long things take does not."""

    def monotonic_s(self):
        return time.monotonic()


class Reader:
    """A world, and a reader of it whose pages have a deadline and, if it is asked for, caches."""

    def __init__(self, world, *, cached=False):
        self.world, self.hanging = world, Hanging(world.stores)
        world.kafka.clock = Ticking(T0 + AS_OF)
        self.query = core(self.hanging.stores, kafka=world.kafka, sizes=Sizes() if cached else None, **SHAPE)
        self.caches = self.query.load.caches

    def contain(self, kind, target, *, on=True):
        """As `tideline contain` does."""
        record = Containment(kind, target, PULL, 0, "by hand", OPERATOR, T0, 0)
        key = f"{OPERATOR}/{kind}/{target}".encode()
        self.world.kafka.append(Outgoing("containment", encode(record) if on else None, key))

    async def page(self, token=None, *, limit=5, mode=None, explain="0", timeout_ms=TIMEOUT_MS):
        """One page, asked for as a client does."""
        request = parse(
            reader_id=str(READER),
            limit=str(limit),
            cursor=token,
            mode=mode,
            explain=explain,
            now_ms=T0 + AS_OF,
            cursor_keys=KEYS,
            timeout_ms=timeout_ms,
        )
        async with asyncio.timeout(10):  # a page that waits for the store fails here, not the run
            return await self.query.page(request)


@asynccontextmanager
async def reader_of(*authors, own=(), cached=False):
    world = World(authors, own=own)
    await world.settle()
    reader = Reader(world, cached=cached)
    try:
        yield reader
    finally:
        reader.hanging.go.set()
        await asyncio.sleep(0)


def three():
    """One author who is pushed, and two who are pulled."""
    return (
        Author(PUSHED, dict.fromkeys(range(200, 205), "")),
        Author(SLOW, dict.fromkeys(range(205, 208), ""), [(60, PULL)], rows_kept=False),
        Author(FAST, dict.fromkeys(range(208, 210), ""), [(60, PULL)], rows_kept=False),
    )


def of(author, *times):
    return [at(ms, author) for ms in times]


@pytest.mark.parametrize("cached", [False, True])
async def test_an_author_who_does_not_answer_is_missing_and_named(cached):
    """Everything else is there, in time."""
    async with reader_of(*three(), cached=cached) as reader:
        reader.hanging.on("posts", "recent", SLOW)

        page = await reader.page(limit=20)

        assert ids([page]) == of(FAST, 209, 208) + of(PUSHED, 204, 203, 202, 201, 200)
        assert (list(page.degraded), list(page.lacks)) == (["pulled authors"], [SLOW])


async def test_nobody_waits_again_for_an_author_who_let_a_page_wait():
    """Until the answer is there: one slow partition must not cost every page half its time."""
    async with reader_of(*three(), cached=True) as reader:
        reader.hanging.on("posts", "recent", SLOW)
        await reader.page(limit=20)
        await eventually_async(lambda: reader.caches.recent.waiting_s(SLOW) >= TIMEOUT_MS / 1000)
        reader.caches.recent.drop((SLOW,))  # a change does not make the store any faster
        page = await reader.page(limit=20)

        assert reader.hanging.waiting == ["recent"]
        assert (list(page.degraded), list(page.lacks)) == (["pulled authors"], [SLOW])

        reader.hanging.go.set()
        await eventually_async(lambda: not reader.caches.recent.waiting_s(SLOW))
        assert list((await reader.page(limit=20)).lacks) == []


async def test_the_session_goes_on_without_a_repeat_when_the_author_answers_again():
    """What was missed is above the cursor, and stays missing: a session never goes back."""
    async with reader_of(*three()) as reader:
        reader.hanging.on("posts", "recent", SLOW)
        first = await reader.page(limit=3)
        reader.hanging.on("", "")
        rest = await reader.page(first.next_cursor, limit=20)

        assert ids([first]) == of(FAST, 209, 208) + of(PUSHED, 204)
        assert ids([rest]) == of(PUSHED, 203, 202, 201, 200)
        assert (list(rest.degraded), list(rest.lacks)) == ([], [])


async def test_a_load_goes_on_after_the_page_and_fills_the_cache():
    """Whoever asks next has it without a read."""
    async with reader_of(*three(), cached=True) as reader:
        reader.hanging.on("posts", "recent", SLOW)
        assert list((await reader.page()).lacks) == [SLOW]

        reader.hanging.go.set()
        await eventually_async(lambda: reader.caches.recent.known([SLOW]))
        reader.hanging.go.clear()
        page = await reader.page()

        assert ids([page]) == of(FAST, 209, 208) + of(SLOW, 207, 206, 205)
        assert (list(page.degraded), reader.hanging.waiting) == ([], ["recent"])


async def test_when_the_timeline_hangs_the_last_first_page_is_filtered_anew():
    """
    ::

        served     209 208 207 206 205
        meanwhile  208 is deleted, the author of 207 206 205 is muted
        again      209
    """
    async with reader_of(*three(), cached=True) as reader:
        served = await reader.page()
        assert ids([served]) == of(FAST, 209, 208) + of(SLOW, 207, 206, 205)
        await reader.world.publish(FAST, {208: "deleted"})
        await reader.world.stores.readers.relate(READER, SLOW, "mute", True, Version(T0, 0))
        for change in (PageChange("post", tuple(of(FAST, 208)), T0), PageChange("reader", (READER,), T0)):
            reader.caches.put(b"", change)
        reader.hanging.on("timelines", "timeline")

        page = await reader.page()

        assert ids([page]) == of(FAST, 209)
        assert list(page.degraded) == ["cached first page"]
        with pytest.raises(Unavailable, match="timeline"):
            await reader.page(served.next_cursor)
        with pytest.raises(Unavailable, match="timeline"):
            await reader.page(mode="ranked")


async def test_when_the_timeline_hangs_and_nothing_was_served_there_is_no_page():
    async with reader_of(*three(), cached=True) as reader:
        reader.hanging.on("timelines", "timeline")

        with pytest.raises(Unavailable, match="timeline"):
            await reader.page()


@pytest.mark.parametrize("call", [("counters", "engaged"), ("readers", "affinity")])
@pytest.mark.parametrize("cached", [False, True])
async def test_a_ranked_page_does_without_what_it_is_enriched_with(call, cached):
    """All posts are there, in the order of what is known."""
    async with reader_of(*three(), cached=cached) as reader:
        reader.hanging.on(*call)

        page = await reader.page(limit=20, mode="ranked")

        assert len(ids([page])) == 10
        assert list(page.degraded) == ["enrichment"]


async def test_a_page_ends_before_the_first_post_that_was_not_fetched():
    """
    ::

        remembered  209 208 .   206 205       207 was edited, and the table hangs
        page        209 208
        next                207 206 205 …     nothing is skipped
    """
    async with reader_of(*three(), cached=True) as reader:
        await reader.page()
        reader.caches.pages.clear()
        reader.caches.put(b"", PageChange("post", tuple(of(SLOW, 207)), T0))
        reader.hanging.on("posts", "posts")
        page = await reader.page()
        reader.hanging.go.set()
        rest = await reader.page(page.next_cursor, limit=20)

        assert (ids([page]), list(page.degraded)) == (of(FAST, 209, 208), ["hydration"])
        assert ids([rest]) == of(SLOW, 207, 206, 205) + of(PUSHED, 204, 203, 202, 201, 200)


@pytest.mark.parametrize("mode", ["latest", "ranked"])
async def test_a_page_without_a_single_post_in_time_is_none(mode):
    """An empty page would read as the end of the feed."""
    async with reader_of(*three()) as reader:
        reader.hanging.on("posts", "posts")

        with pytest.raises(Unavailable, match="post"):
            await reader.page(mode=mode)


@pytest.mark.parametrize("mode", ["latest", "ranked"])
@pytest.mark.parametrize(
    "call",
    [
        ("graph", "following"),
        ("readers", "relations"),
        ("readers", "reader"),
        ("readers", "hidden"),
    ],
)
async def test_what_is_not_known_to_be_allowed_is_not_shown(call, mode):
    """Neither from the tables nor from the page that was served before."""
    async with reader_of(*three(), cached=True) as reader:
        await reader.page()
        reader.caches.put(b"", PageChange("reader", (READER,), T0))
        reader.hanging.on(*call)

        with pytest.raises(Unavailable, match="relations"):
            await reader.page(mode=mode)


@pytest.mark.parametrize("table", [("readers", "suspensions"), ("routes", "routes")])
async def test_without_the_routes_of_authors_there_is_no_page(table):
    """The views are too old, and the tables behind them hang: somebody may be suspended."""
    async with reader_of(*three()) as reader:
        reader.world.kafka.away = True
        reader.query = core(reader.hanging.stores, kafka=reader.world.kafka, **SHAPE)
        reader.hanging.on(*table)

        with pytest.raises(Unavailable, match="routes"):
            await reader.page()


async def test_a_page_does_not_wait_for_the_newest_posts_of_many_authors():
    """They only save reads: 65 authors whom no view knows are read without."""
    authors = [Author(10 + n, {100 + n: ""}, covered_ms=None, rows_kept=False) for n in range(65)]
    async with reader_of(*authors) as reader:
        reader.hanging.on("routes", "routes")

        page = await reader.page(limit=100, timeout_ms=1_000)

        assert ids([page]) == reader.world.shown()


async def test_an_explained_page_does_not_wait_for_the_tiers_of_its_authors():
    async with reader_of(*three()) as reader:
        reader.hanging.on("graph", "author_graphs")

        page = await reader.page(explain="1")

        assert len(ids([page])) == 5


@pytest.mark.parametrize("cached", [False, True])
async def test_with_the_path_turned_off_nothing_is_pulled_and_the_page_says_so(cached):
    """One's own posts are no pull; nothing of that page is kept for later."""
    async with reader_of(*three(), own=(300,), cached=cached) as reader:
        reader.contain(Kind.PATH, "pull")
        page = await reader.page(limit=20)

        assert ids([page]) == of(READER, 300) + of(PUSHED, 204, 203, 202, 201, 200)
        assert (list(page.degraded), sorted(page.lacks)) == (["pulled authors"], [SLOW, FAST])

        reader.contain(Kind.PATH, "pull", on=False)
        assert len((await reader.page(limit=20)).items) == 11


async def test_narrow_reads_rank_fewer_posts_without_counters():
    """Counters are not even asked."""
    async with reader_of(*three()) as reader:
        wide = await reader.page(mode="ranked", limit=20, timeout_ms=None)
        reader.contain(Kind.NARROW, READS)
        reader.hanging.on("counters", "engaged")
        narrow = await reader.page(mode="ranked", limit=20, timeout_ms=None)

        assert list(wide.degraded) == []
        assert "narrow prune" in narrow.degraded
        assert reader.hanging.waiting == []
        assert sorted(ids([narrow])) == sorted(ids([wide]))

"""First pages that are kept: a refresh is served from memory only while all that the page was made of holds."""

import asyncio

from pipeline.domain.order import Version
from pipeline.wire.records import PageChange
from tests.query.feeds import T0, Author, at, ids
from tests.query.test_ladder import reader_of
from tests.waiting import eventually_async

AUTHOR = 10


async def page_of(reader, limit=5):
    return await reader.page(limit=limit, timeout_ms=None)


async def test_an_unchanged_refresh_is_the_page_itself():
    async with reader_of(Author(AUTHOR, {200: "", 201: ""}), cached=True) as reader:
        assert await page_of(reader) is await page_of(reader)


async def test_what_arrived_while_a_page_was_made_is_on_the_next():
    """
    ::

        page     reads the author: 200 ─────────────── hydrates ─▶ 200, and is kept
        meanwhile               201 ▲ ── somebody else reads: 201 200
        refresh                                                    201 200
    """
    author = Author(AUTHOR, {200: ""}, covered_ms=None, rows_kept=False)
    async with reader_of(author, cached=True) as reader:
        reader.hanging.on("posts", "posts")
        early = asyncio.create_task(page_of(reader))
        await eventually_async(lambda: reader.hanging.waiting)
        await reader.world.add(author, {201: ""})
        reader.caches.put(b"", PageChange("author", (AUTHOR,), T0))
        other = asyncio.create_task(page_of(reader, limit=4))
        await eventually_async(lambda: reader.caches.recent.known([AUTHOR]))
        reader.hanging.go.set()

        assert ids([await early]) == [at(200, AUTHOR)]
        assert ids([await other]) == ids([await page_of(reader)]) == [at(201, AUTHOR), at(200, AUTHOR)]


async def test_a_post_that_was_left_out_comes_back():
    """It was taken down when the page was made."""
    author = Author(AUTHOR, {200: "", 201: "down *"})
    async with reader_of(author, cached=True) as reader:
        assert ids([await page_of(reader)]) == [at(200, AUTHOR)]
        await reader.world.stores.posts.restore(at(201, AUTHOR), ["*"], Version(T0 + 1, 0))
        reader.caches.put(b"", PageChange("post", (at(201, AUTHOR),), T0))

        assert ids([await page_of(reader)]) == [at(201, AUTHOR), at(200, AUTHOR)]


async def test_a_late_row_below_the_first_ones_is_seen():
    """The page reached past three rows that may not be shown; a row that comes below them is above its end."""
    author = Author(AUTHOR, {200: ""} | dict.fromkeys((204, 205, 206), "deleted"))
    async with reader_of(author, cached=True) as reader:
        assert ids([await page_of(reader, 1)]) == [at(200, AUTHOR)]
        await reader.world.add(author, {201: ""})
        reader.caches.put(b"", PageChange("author", (AUTHOR,), T0))

        assert ids([await page_of(reader, 1)]) == [at(201, AUTHOR)]

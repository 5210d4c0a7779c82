"""Who takes turns in `bench reads`: ways to read the same twenty posts.

bare        the driver, one timeline partition: the rows, and nothing made of them
page        both paths to one page, as the API has it: from warm caches, where an unchanged first page is kept
assembled   the same, every page put together anew
push only   the pushed posts alone, put together as above
pull only   all posts pulled: the reader is dormant, and has no rows
cold        a page that finds nothing in any cache
ranked      the page of the best
http        the page from the running API, over kept connections
"""

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp

from pipeline.bench.reads_bare import bare
from pipeline.bench.reads_load import Ask
from pipeline.bench.reads_world import World
from pipeline.clock import now_ms
from pipeline.domain import snowflake
from pipeline.domain.cursor import Cursor
from pipeline.domain.page_request import DEFAULT_LIMIT, PageRequest
from pipeline.errors import Unavailable
from pipeline.local.instance import Instance
from pipeline.query.cache import Cache
from pipeline.query.caches import Caches
from pipeline.query.page import Page
from pipeline.query.timeline import Query
from pipeline.wire.enums import FeedMode

NO_PAGE = "no page"
"""What counts as degraded as well: the reader is told to come again."""


def paging(core: Query, deadline_ms: int | None, *, mode: str = FeedMode.LATEST) -> Ask:
    """First pages of this core, as the API asks for them."""

    async def ask(reader: int) -> Page:
        place = Cursor(mode, now_ms(), snowflake.MAX_ID)
        try:
            return await core.page(PageRequest(reader, DEFAULT_LIMIT, False, place, deadline_ms))
        except Unavailable:
            return Page((), None, (NO_PAGE,))

    return ask


def assembling(core: Query) -> Query:
    """The core on the same caches, but that first pages are not remembered."""
    caches = copy.copy(core.load.caches)
    caches.pages = Cache("pages", 0, caches.trusted)
    return replace(core, load=replace(core.load, caches=caches))


def cold(core: Query) -> Query:
    """The core without caches."""
    return replace(core, load=replace(core.load, caches=Caches.none()))


@asynccontextmanager
async def contenders(
    core: Query, world: World, running: Instance, deadline_ms: int
) -> AsyncIterator[dict[str, Ask]]:
    """All of them by name, in the order of their turns."""
    anew = paging(assembling(core), deadline_ms)
    lo = snowflake.first_id(now_ms() - core.load.window_ms)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def http(reader: int) -> Page | None:
            async with session.get(f"{running.api}/v1/readers/{reader}/timeline") as answer:
                await answer.read()
                return None if answer.status == 200 else Page((), None, (NO_PAGE,))

        with bare(running.cassandra, running.keyspace, lo) as baseline:
            yield {
                "bare": baseline,
                "page": paging(core, deadline_ms),
                "assembled": anew,
                "push only": lambda reader: anew(world.pusher(reader)),
                "pull only": lambda reader: anew(world.puller(reader)),
                "cold": paging(cold(core), None),
                "ranked": paging(core, deadline_ms, mode=FeedMode.RANKED),
                "http": http,
            }

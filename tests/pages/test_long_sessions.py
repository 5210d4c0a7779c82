"""Sessions that go on while time does: what their first page could reach, their last one still does.

A session looks back from its beginning and may last a day, so it relies on what the window has passed since.
"""

import asyncio

import pytest

from pipeline.domain.snowflake import time_ms
from tests.agents.whole import T0, WINDOW
from tests.pages.test_caches_coherent import World

READER, AUTHOR = 1, 2

both_modes = pytest.mark.parametrize("mode", ["latest", "ranked"])
both_queries = pytest.mark.parametrize("query", ["slow_query", "cached_query"])


class Slow:
    """One reader, who turns one page of one post at a time; between two pages things happen."""

    def __init__(self, query):
        self.world = World(0, crashes=0, again=0)
        self.whole, self.token, self.shown = self.world.whole, None, []
        self.query = getattr(self.whole, query)

    async def at(self, ms, *kinds):
        """At this time these things happen, all stages work them off, and every process hears of it."""
        self.whole.advance(T0 + ms - self.whole.now)
        for kind in kinds:
            await self.world.do(kind, READER, AUTHOR, 1)
        await self.whole.drain(list(self.whole.handlers))
        for view in self.whole.views:
            view.follow()

    async def by_class(self, n):
        """The author's next post is pulled (3), or pushed (0)."""
        await self.world.do("thresholds", READER, AUTHOR, n)

    async def page(self, mode):
        """Turn the page; False at the end of the feed."""
        request = self.whole.request(READER, 1, self.token, None if self.token else mode)
        page = await self.whole.meanwhile(self.query.page(request))
        self.shown += [item.post.post_id for item in page.items]
        self.token = page.next_cursor
        return self.token is not None

    def posted(self):
        """Every post there is, in the order of time."""
        return [post for post, _ in self.world.posts]


@both_queries
@both_modes
def test_a_post_that_was_pulled_is_shown_however_late_its_page_is_turned(mode, query):
    """
    ::

        author    pull ●   push ●                          ● the window has passed the pull: is it forgotten?
        session                       ▲ page 1                ▲ page 2, of the window as of page 1
    """

    async def run():
        slow = Slow(query)
        await slow.at(0, "opened", "followed")
        await slow.by_class(3)
        await slow.at(10_000, "post")
        await slow.by_class(0)
        await slow.at(15_000, "post")
        await slow.at(30_000)
        await slow.page(mode)

        await slow.at(15_000 + WINDOW + 10_000, "post")
        while await slow.page(mode):
            pass

        pulled, pushed, late = slow.posted()
        assert time_ms(late) - time_ms(pushed) > WINDOW
        assert sorted(slow.shown) == [pulled, pushed]

    asyncio.run(run())

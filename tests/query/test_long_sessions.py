"""Sessions that go on while the world does: what their first page could reach, their last one still does, once.

A session looks back from its beginning and may last a day, so it relies on what the window has passed since.
"""

import asyncio
from dataclasses import replace

import pytest

from pipeline.domain.snowflake import time_ms
from tests.query.cores import RANKING
from tests.query.test_caches_coherent import World
from tests.stages.whole import T0, WINDOW

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
        await self.whole.drain(self.whole.topics)
        self.whole.follow()

    async def post_at(self, ms, author, kind="post", n=0):
        """A post of this author; one that is imported is of n seconds ago."""
        await self.at(ms)
        await self.world.do(kind, READER, author, n)
        await self.at(ms + 1)

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


@both_queries
@both_modes
@pytest.mark.parametrize("before", [False, True], ids=["follows between pages", "unfollows between pages"])
def test_nothing_of_ones_own_comes_twice_when_one_stops_or_starts_to_follow(before, mode, query):
    """Who follows nobody reads their own old posts on the first page already: with nothing else there is no feed.

    ::

        own       ● ●                                    older than the window
        followee                   ● ●                   in it: comes, or goes, between page 1 and page 2
        session                         ▲ page 1   ▲ ▲ …
    """

    async def run():
        slow = Slow(query)
        await slow.at(0, "opened")
        for ms in (1_000, 2_000):
            await slow.post_at(ms, READER)
        for ms in (3_000, 4_000):
            await slow.post_at(ms + WINDOW, AUTHOR)
        followed, now = ["followed", "unfollowed"], WINDOW + 10_000
        if before:
            await slow.at(now - 1_000, followed.pop(0))

        await slow.at(now)
        await slow.page(mode)
        await slow.at(now + 1_000, followed.pop(0))
        while await slow.page(mode):
            pass

        assert len(slow.shown) == len(set(slow.shown))
        assert set(slow.posted()[:2]) <= set(slow.shown)

    asyncio.run(run())


@both_queries
def test_nothing_comes_twice_when_older_posts_fill_the_last_round(query):
    """The last round has no floor while it is not full; what is imported may give it one, above what was shown.

    ::

        before    ● ○          candidates of the round, of which there may be two; ○ was shown
        then      ● ○ | ● ●    two are imported: the round ends at the floor, and ○ is in the next one
    """

    async def run():
        slow = Slow(query)
        slow.query = replace(slow.query, ranking=replace(RANKING, candidates=2))
        for ms in (1_000, 2_000):
            await slow.post_at(ms, READER)
        now = WINDOW + 10_000
        await slow.at(now)
        await slow.page("ranked")

        for n in (45, 44):
            await slow.post_at(now, READER, "imported", n)
        while await slow.page("ranked"):
            pass

        assert sorted(slow.shown) == slow.posted()

    asyncio.run(run())

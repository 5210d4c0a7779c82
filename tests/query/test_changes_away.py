"""While page.changes cannot be followed: no storm on the store, and moderation wins a second later at most."""

import asyncio
from collections import Counter

from pipeline.domain.cursor import Cursor
from pipeline.domain.order import Version
from pipeline.domain.page_request import PageRequest
from pipeline.domain.snowflake import MAX_ID, first_id
from pipeline.query.caches import Sizes
from pipeline.runtime.memory import broker
from pipeline.store.memory import memory_stores
from pipeline.store.ports import Stores
from pipeline.store.values import Edge, Placed
from pipeline.wire.records import PostEvent
from tests.query.cores import core
from tests.twin import LOADED, Clock

NOW = 1_700_000_000_000
AUTHORS, READERS = range(1, 6), range(101, 121)
LIFE_S = 1.0


class Counted:
    """A port that counts what is read of it, by method and key."""

    def __init__(self, port, reads):
        self._port, self._reads = port, reads

    def __getattr__(self, name):
        method = getattr(self._port, name)

        def counted(*given, **named):
            self._reads[name] += 1
            return method(*given, **named)

        return counted


class Api:
    """Readers who follow the same authors, whose posts are pulled; a process whose views stand still."""

    def __init__(self):
        self.stores, self.reads, self.clock = memory_stores(), Counter(), Clock(NOW)
        self.kafka = broker(LOADED, self.clock)
        counted = Stores(*(Counted(getattr(self.stores, port), self.reads) for port in Stores.__slots__))
        self.query = core(counted, kafka=self.kafka, sizes=Sizes())
        self.kafka.away, self.clock.now = True, NOW + 100_000

    async def settle(self):
        """Every reader follows every author, and no edge is covered: all posts are pulled."""
        edges = [Edge(reader, author, True, NOW, 0) for reader in READERS for author in AUTHORS]
        await self.stores.graph.put_edges(edges)
        for author in AUTHORS:
            event = PostEvent("published", first_id(NOW - author), author, NOW - author, "public", "", "x")
            await self.stores.posts.put_posts([Placed(event, author)], {})

    async def pages(self):
        """A first page for each reader, all at once."""
        asked = [PageRequest(reader, 20, False, Cursor("latest", NOW, MAX_ID)) for reader in READERS]
        return await asyncio.gather(*(self.query.page(one) for one in asked))


async def test_a_minute_without_changes_is_no_storm():
    """Ten pages a second for each of twenty readers: what they share is read once a second."""
    api, seconds = Api(), 5
    await api.settle()

    for _ in range(10 * seconds):
        for page in await api.pages():
            assert len(page.items) == len(AUTHORS)
        api.clock.now += 100

    most = seconds + 1
    assert api.reads["recent"] <= (len(AUTHORS) + len(READERS)) * most  # their own posts, too
    assert api.reads["posts"] <= len(AUTHORS) * most
    for port in ("following", "routes", "suspensions"):
        assert api.reads[port] <= len(READERS) * most


async def test_what_is_taken_down_meanwhile_is_gone_within_the_life():
    """A post, and all posts of an author: from the tables, though nobody can say that they changed."""
    api = Api()
    await api.settle()
    await api.pages()

    await api.stores.posts.take_down(first_id(NOW - 1), ["*"], Version(NOW + 1, 0))
    await api.stores.readers.set_suspended(2, True, Version(NOW + 1, 0))
    api.clock.now += round(1000 * LIFE_S)

    for page in await api.pages():
        assert {item.post.author_id for item in page.items} == {3, 4, 5}


async def test_pages_are_coherent_again_as_soon_as_changes_are_heard():
    """What was shared meanwhile is not served as if somebody watched over it."""
    api = Api()
    await api.settle()
    await api.pages()

    await api.stores.posts.take_down(first_id(NOW - 1), ["*"], Version(NOW + 1, 0))
    api.kafka.away = False

    for page in await api.pages():
        assert {item.post.author_id for item in page.items} == {2, 3, 4, 5}

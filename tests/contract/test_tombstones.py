"""Cassandra refuses a read that meets 100,000 tombstones: no partition that a page reads gets there by one user.

On the real engine alone, with its own limit; written through the stores, as the stages do it.
"""

import asyncio
import time

import pytest

from pipeline.domain.order import Version
from pipeline.domain.snowflake import MAX_ID, first_id
from pipeline.query.reader_view import views
from pipeline.store.values import Edge, Hide, Push, Retraction, TimelineEntry

pytestmark = [pytest.mark.engines, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

MANY, T0 = 100_500, 1_700_000_000_000
"""More than the limit."""


async def test_who_hides_and_shows_without_end_has_a_feed(cassandra_stores, fresh):
    stores, reader, author = cassandra_stores, fresh(), fresh()
    for hidden, place in ((True, 0), (False, 1)):
        for first in range(1, MANY, 20_000):
            posts = range(first, min(first + 20_000, MANY + 1))
            await stores.readers.put_hidden(
                [Hide(reader, author, p, hidden, Version(T0, place)) for p in posts]
            )

    began = time.perf_counter()
    view = (await views(stores, [reader], 0))[reader]

    assert (dict(view.hidden), time.perf_counter() - began < 5) == ({}, True)
    assert await stores.readers.hidden_among(reader, range(1, 400)) == {}


async def test_who_follows_and_leaves_without_end_has_a_feed(cassandra_stores, fresh):
    stores, reader = cassandra_stores, fresh()
    for first in range(1, MANY, 20_000):
        authors = range(first, min(first + 20_000, MANY + 1))
        for follows, place in ((True, 0), (False, 1)):
            await stores.graph.put_edges([Edge(reader, a, follows, T0, 0, place=place) for a in authors])
    await stores.graph.put_edges([Edge(reader, MANY + 1, True, T0, 0)])

    assert [edge.author_id for edge in await stores.graph.following(reader)] == [MANY + 1]


async def test_an_author_who_deletes_all_their_posts_leaves_timelines_that_can_be_read(
    cassandra_stores, fresh
):
    stores, reader = cassandra_stores, fresh()
    lo = first_id(T0)
    posts = range(lo + 1, lo + 1 + MANY)
    await stores.timelines.push([Push([reader], [TimelineEntry(lo, 7, 0, T0 * 1000, 100_000)])])
    for first in range(0, MANY, 20_000):
        await stores.timelines.retract([Retraction([reader], posts[first : first + 20_000], T0 * 1000)])

    assert [row.post_id for row in await stores.timelines.timeline(reader, lo, MAX_ID, 5_000)] == [lo]


async def test_whom_thousands_block_and_unblock_has_a_feed(cassandra_stores, fresh):
    """Others write into this partition; of them one is followed."""
    stores, reader = cassandra_stores, fresh()
    await stores.graph.put_edges([Edge(reader, 7, True, T0, 0)])
    slots = asyncio.Semaphore(500)

    async def relate(other, place):
        async with slots:
            await stores.readers.relate(other, reader, "block", place == 0, Version(T0, place))

    for place in (0, 1):
        await asyncio.gather(*(relate(other, place) for other in range(1, 3_000)))

    relations = (await views(stores, [reader], 0))[reader].relations

    assert not relations.blocked(7)
    assert (await stores.readers.relations(reader, range(1, 3_000))).blocked_by == frozenset()

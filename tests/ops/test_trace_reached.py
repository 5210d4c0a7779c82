"""Whom a post has reached: rows, pulls by the rule of the pages, and samples that say they are samples."""

import io

from fastavro import schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.snowflake import first_id
from pipeline.ops.trace_reached import MAX_READERS, reached
from pipeline.ops.trace_topics import zigzag
from pipeline.store.memory import memory_stores
from pipeline.store.values import (
    AuthorGraph,
    Edge,
    Push,
    ReaderState,
    SegmentChange,
    TimelineEntry,
)
from pipeline.wire.records import AuthorClass, RouteEntry

AUTHOR, NOW, MARGIN = 7, 1_700_000_000_000, 2_000
POST = first_id(NOW)


class World:
    """An author whose followers are in segments of `size`."""

    def __init__(self, followers, size=1_000):
        self.stores, self.readers = memory_stores(lambda: NOW / 1000), list(range(1, followers + 1))
        self.cut = [self.readers[at : at + size] for at in range(0, followers, size)]
        self.graph = AuthorGraph(AUTHOR, followers, len(self.cut))

    async def follow(self, *, active=True, covered_from=1, warm_since=None):
        for number, members in enumerate(self.cut):
            await self.stores.graph.change_segment(SegmentChange(AUTHOR, number, None, tuple(members)))
            await self.stores.graph.put_edges(
                [Edge(reader, AUTHOR, True, 5, number, covered_from, warm_since) for reader in members]
            )
        await self.stores.readers.put_cohorts(
            [ReaderState(one, active=active, covered_from=0, cohort_at=5) for one in self.readers]
        )

    async def push(self, readers):
        entry = TimelineEntry(POST, AUTHOR, 0, NOW * 1000, 1_000)
        await self.stores.timelines.push([Push(readers, [entry])])

    async def reached(self, entries=(), floor=0):
        found = await reached(self.stores, self.graph, POST, entries, floor, MARGIN)
        return found.asked, found.rows, found.pull, found.neither


async def test_few_followers_are_all_asked_about():
    world = World(10, size=4)
    await world.follow()
    await world.push([1, 2, 3])

    assert await world.reached() == (10, 3, 0, 7)


async def test_dormant_readers_pull():
    world = World(10)
    await world.follow(active=False)
    await world.push([1, 2, 3])

    assert await world.reached() == (10, 3, 7, 0)


async def test_who_followed_after_the_post_pulls_it():
    world = World(4)
    await world.follow(covered_from=POST + 1)
    assert await world.reached() == (4, 0, 4, 0)

    await world.stores.graph.put_caught_up(AUTHOR, [1, 2], POST + 1)  # a backfill stands for it now
    assert await world.reached() == (4, 0, 2, 2)


async def test_cold_readers_of_a_partial_author_pull():
    partial = (RouteEntry(1, AuthorClass.PARTIAL, "many"),)
    cold, warm = World(4), World(4)
    await cold.follow()
    await warm.follow(warm_since=2)

    assert await cold.reached(partial) == (4, 0, 4, 0)
    assert await warm.reached(partial) == (4, 0, 0, 4)


async def test_rows_of_a_suspension_may_be_gone_and_are_pulled():
    world = World(4)
    await world.follow()

    assert await world.reached(floor=POST + 1) == (4, 0, 4, 0)


async def test_many_followers_are_sampled_evenly_over_their_segments():
    """Half of the segments are written: the sample says half."""
    world = World(40_000)
    await world.follow()
    await world.push(world.readers[:20_000])

    asked, rows, pull, neither = await world.reached()

    assert (asked, pull) == (MAX_READERS, 0)
    assert (rows, neither) == (MAX_READERS // 2, MAX_READERS // 2)


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_number_looks_as_avro_writes_it(value):
    written = io.BytesIO()
    schemaless_writer(written, "long", value)

    assert zigzag(value) == written.getvalue()

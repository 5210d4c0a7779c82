"""What a store does when its server is away or an answer is lost. Only Cassandra can be away."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pipeline.errors import EngineError
from pipeline.store.cassandra import connect, open_stores
from pipeline.store.ports import Stores, StoreUnavailable
from pipeline.store.values import NOT_COVERED, Push, SegmentChange, TimelineEntry
from tests.contract.proxy import Proxy

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.engines]

ENTRY = TimelineEntry(1, 7, 1, 1000, 1000)


@pytest_asyncio.fixture(loop_scope="session")
async def proxy(engines) -> AsyncIterator[Proxy]:
    proxy = Proxy(engines.cassandra)
    await proxy.start()
    yield proxy
    await proxy.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def behind(proxy: Proxy, keyspace: str) -> AsyncIterator[Stores]:
    """Stores that reach the server through the proxy and try for 20 s."""
    async with open_stores(proxy.address, keyspace, deadline_s=20) as stores:
        yield stores


async def test_a_closed_port_is_unavailable():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{port}"):
            await connect(f"127.0.0.1:{port}", deadline_s=0.2)


async def test_a_missing_keyspace_says_what_to_do(engines):
    with pytest.raises(EngineError, match="nowhere") as raised:
        await connect(engines.cassandra, "nowhere")

    assert "topology apply" in raised.value.hint


async def test_a_missing_table_says_what_to_do(engines, definitions, keyspace):
    empty = f"{keyspace}_empty"
    await definitions.query(
        f"CREATE KEYSPACE {empty} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"
    )

    with pytest.raises(EngineError, match=empty) as raised:
        async with open_stores(engines.cassandra, empty):
            pass

    assert "topology apply" in raised.value.hint
    await definitions.query(f"DROP KEYSPACE IF EXISTS {empty}")


async def test_a_server_that_is_gone_is_unavailable_by_the_name_of_the_table(proxy, keyspace, fresh):
    async with open_stores(proxy.address, keyspace, deadline_s=0.5) as stores:
        await stores.timelines.push([Push([fresh()], [ENTRY])])
        await proxy.stop()

        with pytest.raises(StoreUnavailable, match="timeline_by_reader"):
            await stores.timelines.push([Push([fresh()], [ENTRY])])
        with pytest.raises(StoreUnavailable, match="following_by_reader"):
            await stores.graph.following(fresh())
        with pytest.raises(StoreUnavailable, match="followers_by_author"):
            await stores.graph.change_segment(SegmentChange(fresh(), 0, None, add=(1,)))
        with pytest.raises(StoreUnavailable, match="timeline_by_reader"):
            await stores.timelines.push([Push(range(100_000), [ENTRY])])


async def test_writes_and_reads_outlast_an_outage(proxy, behind, fresh):
    reader = fresh()
    await proxy.stop()

    push = asyncio.create_task(behind.timelines.push([Push(range(reader, reader + 300), [ENTRY])]))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(push), 0.3)
    read = asyncio.create_task(behind.graph.following(reader))
    change = asyncio.create_task(behind.graph.change_segment(SegmentChange(reader, 0, None, add=(1,))))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(change), 0.1)
    await proxy.start()

    assert await push == 300
    assert await read == []
    assert await change  # it was never sent, so trying again is safe
    assert len(await behind.timelines.timeline(reader + 299, 0, NOT_COVERED, 10)) == 1


async def test_a_push_whose_answer_is_lost_is_written_again(proxy, behind, fresh):
    reader = fresh()
    proxy.cut_answers = True

    assert await behind.timelines.push([Push([reader], [ENTRY])]) == 1

    assert not proxy.cut_answers
    assert len(await behind.timelines.timeline(reader, 0, NOT_COVERED, 10)) == 1


async def test_a_segment_change_whose_answer_is_lost_is_not_sent_again(proxy, behind, stores_direct, fresh):
    """A second try would meet its own count, be refused, and look like another writer's victory."""
    change = SegmentChange(fresh(), 0, None, add=(1, 2))
    proxy.cut_answers = True

    with pytest.raises(StoreUnavailable, match="followers_by_author"):
        await behind.graph.change_segment(change)

    assert not proxy.cut_answers
    assert await stores_direct.graph.segment_lives(change.author_id, 1) == [2]


@pytest.fixture
def stores_direct(cassandra_stores: Stores) -> Stores:
    return cassandra_stores


async def test_a_cancelled_push_leaves_the_window_as_it_was(cassandra_stores, fresh):
    first = fresh()
    for _ in range(50):
        many = Push(range(first, first + 20_000), [ENTRY])
        push = asyncio.create_task(cassandra_stores.timelines.push([many]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        push.cancel()
        with pytest.raises(asyncio.CancelledError):
            await push

    assert await asyncio.wait_for(cassandra_stores.timelines.push([Push([first], [ENTRY])]), 10) == 1

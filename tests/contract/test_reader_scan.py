"""readers_after, of GraphStore and ReaderStore: every reader once, in an order that both share."""

import pytest

from pipeline.store.values import FIRST, Edge, Placed
from pipeline.wire.records import AccountEvent

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def scan(port, limit):
    """All readers, so many at a time."""
    found, place = [], FIRST
    while some := await port.readers_after(place, limit):
        assert len(some) <= limit
        found += some
        place = some[-1][0]
    return found


async def registered(stores, readers):
    await stores.readers.put_accounts(
        Placed(AccountEvent("registered", r, "eu", False, 1), 0) for r in readers
    )


async def test_every_reader_with_an_edge_is_listed_once(stores, fresh):
    first = fresh()
    mine = list(range(first, first + 50))
    await stores.graph.put_edges([Edge(r, author, True, 1, 0) for r in mine for author in (1, 2, 3)])

    found = await scan(stores.graph, 7)

    assert sorted(reader for _, reader in found if reader in mine) == mine
    assert [place for place, _ in found] == sorted({place for place, _ in found})


async def test_every_reader_with_an_account_is_listed_once(stores, fresh):
    first = fresh()
    mine = list(range(first, first + 50))
    await registered(stores, mine)
    await stores.readers.put_seen(dict.fromkeys(mine, 5))

    found = await scan(stores.readers, 7)

    assert sorted(reader for _, reader in found if reader in mine) == mine
    assert [place for place, _ in found] == sorted({place for place, _ in found})


async def test_a_reader_stands_at_the_same_place_in_both(stores, fresh):
    first = fresh()
    mine = list(range(first, first + 20))
    await stores.graph.put_edges([Edge(r, 1, True, 1, 0) for r in mine])
    await registered(stores, mine)

    places = [
        {(p, r) for p, r in await scan(port, 100) if r in mine} for port in (stores.graph, stores.readers)
    ]

    assert places[0] == places[1]
    assert len(places[0]) == 20


async def test_a_reader_who_left_everybody_is_listed_too(stores, fresh):
    reader = fresh()
    await stores.graph.put_edges([Edge(reader, 1, False, 1, -1)])

    assert reader in {each for _, each in await scan(stores.graph, 100)}

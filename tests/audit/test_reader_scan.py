"""The scan: every reader once, and samples that a seed repeats."""

import pytest

from pipeline.audit.reader_scan import every_reader, readers_after, sample
from pipeline.store.memory import memory_stores
from pipeline.store.values import FIRST, Edge, Placed
from pipeline.wire.records import AccountEvent

FOLLOWING, BOTH, REGISTERED = range(1, 40), range(40, 50), range(50, 71)


@pytest.fixture
async def stores():
    made = memory_stores()
    readers = [*FOLLOWING, *BOTH]
    await made.graph.put_edges([Edge(reader, 9_999, True, 1, 0) for reader in readers])
    await made.readers.put_accounts(
        Placed(AccountEvent("registered", reader, "eu", False, 1), 0) for reader in [*BOTH, *REGISTERED]
    )
    return made


async def test_everybody_is_on_it_once(stores):
    assert sorted([reader async for reader in every_reader(stores)]) == list(range(1, 71))


async def test_it_ends(stores):
    whole = await readers_after(stores, FIRST)

    assert await readers_after(stores, whole[-2][0]) == [whole[-1]]
    assert await readers_after(stores, whole[-1][0]) == []


async def test_nobody_is_on_the_roll_of_an_empty_store():
    assert await readers_after(memory_stores(), FIRST) == []
    assert await sample(memory_stores(), 10, 1) == []


@pytest.mark.parametrize("number", [1, 30, 69, 70, 71])
async def test_a_sample_has_so_many_readers_or_all(stores, number):
    drawn = await sample(stores, number, 1)

    assert len(set(drawn)) == len(drawn) == min(number, 70)
    assert set(drawn) <= set(range(1, 71))


async def test_a_seed_draws_the_same_readers_again(stores):
    assert await sample(stores, 30, 1) == await sample(stores, 30, 1)
    assert await sample(stores, 30, 1) != await sample(stores, 30, 2)

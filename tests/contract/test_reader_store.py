"""ReaderStore: accounts, relations and suspensions end as their newest event says, in any order."""

from itertools import permutations

import pytest

from pipeline.records import AccountEvent
from pipeline.store.ports import AuthorGraph, ReaderState, Relations

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_unknown_reader_has_the_defaults(stores, fresh):
    reader = fresh()

    assert await stores.readers.reader(reader) == ReaderState(reader, "", False, None, None)


async def test_the_newest_event_of_an_account_wins_in_any_order(stores, fresh):
    first = fresh()
    for n, order in enumerate(permutations(range(3))):
        events = [
            AccountEvent("registered", first + n, "eu", protected=False, at=1000),
            AccountEvent("updated", first + n, "us", protected=True, at=2000),
            AccountEvent("updated", first + n, "br", protected=False, at=3000),
        ]
        for event in order * 2:
            await stores.readers.put_accounts([events[event]])

        assert await stores.readers.reader(first + n) == ReaderState(first + n, "br", False, 1000, None)


async def test_an_update_alone_does_not_say_when_the_account_was_registered(stores, fresh):
    reader = fresh()

    await stores.readers.put_accounts([AccountEvent("updated", reader, "eu", protected=True, at=1000)])

    assert await stores.readers.reader(reader) == ReaderState(reader, "eu", True, None, None)


async def test_an_older_visit_never_replaces_a_newer_one(stores, fresh):
    reader = fresh()

    for seen in (2000, 1000, 3000, 2000):
        await stores.readers.put_seen({reader: seen, reader + 1: 7})

    assert (await stores.readers.reader(reader)).last_seen == 3000
    assert (await stores.readers.reader(reader + 1)).last_seen == 7


async def test_a_block_is_seen_from_both_sides_and_a_mute_from_one(stores, fresh):
    reader, author = fresh(), fresh()

    await stores.readers.relate(reader, author, "block", True, 1000)
    await stores.readers.relate(reader, author, "mute", True, 1000)
    await stores.readers.relate(reader, author + 1, "mute", True, 1000)

    assert await stores.readers.relations(reader) == Relations(
        blocks=frozenset({author}), mutes=frozenset({author, author + 1})
    )
    assert await stores.readers.relations(author) == Relations(blocked_by=frozenset({reader}))
    assert await stores.readers.relations(author + 1) == Relations()


@pytest.mark.parametrize("kind", ["block", "mute"])
@pytest.mark.parametrize(
    ("events", "related"),
    [
        ([(True, 10), (False, 20)], False),
        ([(True, 10), (False, 20), (True, 30)], True),
        ([(True, 10), (False, 10)], False),
        ([(False, 10)], False),
        ([(True, 10), (False, 9)], True),
    ],
)
async def test_the_newest_event_of_a_relation_wins_in_any_order(stores, fresh, kind, events, related):
    reader, author = fresh(), fresh()
    for n, order in enumerate(permutations(events)):
        for present, at in order * 2:
            await stores.readers.relate(reader + n, author + n, kind, present, at)

        mine, theirs = [await stores.readers.relations(each + n) for each in (reader, author)]
        assert (mine.blocks | mine.mutes) == ({author + n} if related else set())
        assert theirs.blocked_by == ({reader + n} if related and kind == "block" else set())


async def test_the_newest_suspension_wins_in_any_order(stores, fresh):
    author = fresh()
    for n, order in enumerate(permutations([(True, 10), (False, 20), (True, 30)])):
        for suspended, at in order * 2:
            await stores.readers.set_suspended(author + n, suspended, at)
    await stores.readers.set_suspended(author + 10, True, 10)
    await stores.readers.set_suspended(author + 10, False, 20)

    assert await stores.readers.suspended(range(author, author + 250)) == set(range(author, author + 6))


async def test_counts_and_suspension_of_an_author_do_not_touch_each_other(stores, fresh):
    author = fresh()
    await stores.readers.set_suspended(author, True, 10)
    assert await stores.graph.author_graphs([author]) == {author: AuthorGraph(author, 0, 0)}

    await stores.graph.put_author_graphs([AuthorGraph(author, 3, 1)])

    assert await stores.readers.suspended([author]) == {author}

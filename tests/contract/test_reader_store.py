"""ReaderStore: accounts, relations and suspensions end as their newest event says, in any order."""

from dataclasses import replace
from itertools import permutations

import pytest

from pipeline.domain.order import Version
from pipeline.domain.snowflake import first_id
from pipeline.store.values import NOT_COVERED, AuthorGraph, Placed, ReaderState, Relations
from pipeline.wire.records import AccountEvent, Suspension

T0 = 1_700_000_000_000

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_unknown_reader_has_the_defaults(stores, fresh):
    reader = fresh()

    assert await stores.readers.reader(reader) == ReaderState(reader, "", False, None, None)


@pytest.mark.parametrize("apart_ms", [0, 1, 1000])
async def test_the_later_event_of_an_account_counts_in_any_order(stores, fresh, apart_ms):
    """Of the same time the one that is later on the partition."""
    first = fresh()
    for n, order in enumerate(permutations(range(3))):
        events = [
            AccountEvent("registered", first + n, "us", protected=False, at=T0),
            AccountEvent("updated", first + n, "eu", protected=True, at=T0 + apart_ms),
            AccountEvent("updated", first + n, "br", protected=False, at=T0 + 2 * apart_ms),
        ]
        for event in order * 2:
            await stores.readers.put_accounts([Placed(events[event], event)])

        assert await stores.readers.reader(first + n) == ReaderState(first + n, "br", False, T0, None)


async def test_an_update_changes_what_it_names_in_any_order(stores, fresh):
    """Each setting is that of the last event that sets it; of an older release all of them."""
    first = fresh()
    for n, order in enumerate(permutations(range(4))):
        events = [
            AccountEvent("registered", first + n, "de", protected=True, at=T0),
            AccountEvent("updated", first + n, "fr", protected=False, at=T0 + 1, changed=("region",)),
            AccountEvent("updated", first + n, "", protected=False, at=T0 + 2, changed=()),
            AccountEvent("updated", first + n + 500, "us", protected=True, at=T0 + 3),
        ]
        for event in order * 2:
            await stores.readers.put_accounts([Placed(events[event], event)])

        assert await stores.readers.reader(first + n) == ReaderState(first + n, "fr", True, T0, None)
        assert (await stores.readers.reader(first + n + 500)).protected


async def test_an_update_alone_does_not_say_when_the_account_was_registered(stores, fresh):
    reader = fresh()

    await stores.readers.put_accounts([Placed(AccountEvent("updated", reader, "eu", True, 1000), 0)])

    assert await stores.readers.reader(reader) == ReaderState(reader, "eu", True, None, None)


async def test_an_older_visit_never_replaces_a_newer_one(stores, fresh):
    reader = fresh()

    for seen in (2000, 1000, 3000, 2000):
        await stores.readers.put_seen({reader: seen, reader + 1: 7})

    assert (await stores.readers.reader(reader)).last_seen == 3000
    assert (await stores.readers.reader(reader + 1)).last_seen == 7


async def test_a_block_is_seen_from_both_sides_and_a_mute_from_one(stores, fresh):
    reader, author = fresh(), fresh()

    await stores.readers.relate(reader, author, "block", True, Version(T0, 0))
    await stores.readers.relate(reader, author, "mute", True, Version(T0, 0))
    await stores.readers.relate(reader, author + 1, "mute", True, Version(T0, 0))

    assert await stores.readers.relations(reader, [author, author + 1]) == Relations(
        blocks=frozenset({author}), mutes=frozenset({author, author + 1})
    )
    assert await stores.readers.relations(author, [reader]) == Relations(blocked_by=frozenset({reader}))
    assert await stores.readers.relations(author + 1, [reader]) == Relations()


@pytest.mark.parametrize("kind", ["block", "mute"])
@pytest.mark.parametrize(
    ("events", "related"),
    [
        ([(True, 10, 0), (False, 20, 1)], False),
        ([(True, 10, 0), (False, 20, 1), (True, 30, 2)], True),
        ([(True, 10, 0), (False, 10, 1)], False),
        ([(False, 10, 0), (True, 10, 1)], True),
        ([(False, 10, 0)], False),
        ([(True, 10, 0), (False, 9, 1)], True),
    ],
)
async def test_the_newest_event_of_a_relation_wins_in_any_order(stores, fresh, kind, events, related):
    reader, author = fresh(), fresh()
    for n, order in enumerate(permutations(events)):
        for present, at, place in order * 2:
            version = Version(T0 + at, place)
            await stores.readers.relate(reader + n, author + n, kind, present, version)

        mine = await stores.readers.relations(reader + n, [author + n])
        theirs = await stores.readers.relations(author + n, [reader + n])
        assert (mine.blocks | mine.mutes) == ({author + n} if related else set())
        assert theirs.blocked_by == ({reader + n} if related and kind == "block" else set())


async def test_the_newest_suspension_wins_in_any_order(stores, fresh):
    author = fresh()
    for n, order in enumerate(permutations([(True, 10), (False, 20), (True, 30)])):
        for suspended, at in order * 2:
            await stores.readers.set_suspended(author + n, suspended, Version(T0 + at, 0))
    await stores.readers.set_suspended(author + 10, True, Version(T0 + 10, 8))
    await stores.readers.set_suspended(author + 10, False, Version(T0 + 10, 9))
    assert await stores.readers.suspended_as_of(author + 10) == Version(T0 + 10, 9).write_time
    assert await stores.readers.suspended_as_of(author + 11) == 0

    assert await stores.readers.suspended(range(author, author + 250)) == set(range(author, author + 6))


async def test_counts_and_suspension_of_an_author_do_not_touch_each_other(stores, fresh):
    author = fresh()
    await stores.readers.set_suspended(author, True, Version(T0, 0))
    assert await stores.graph.author_graphs([author]) == {author: AuthorGraph(author, 0, 0)}

    await stores.graph.put_author_graphs([AuthorGraph(author, 3, 1)])

    assert await stores.readers.suspended([author]) == {author}


async def test_the_cohort_with_the_highest_version_stays_in_any_order(stores, fresh):
    """Its three columns together; the account beside them is left alone."""
    first = fresh()
    for n, order in enumerate(permutations(range(3))):
        versions = [
            ReaderState(first + n, active=True, covered_from=70, cohort_at=10),
            ReaderState(first + n, active=False, covered_from=NOT_COVERED, cohort_at=20),
            ReaderState(first + n, active=True, covered_from=60, cohort_at=30),
        ]
        for version in order * 2:
            await stores.readers.put_cohorts([versions[version]])
        await stores.readers.put_seen({first + n: 40})
        await stores.readers.put_accounts([Placed(AccountEvent("registered", first + n, "eu", True, 1), 0)])

        account = {"region": "eu", "protected": True, "registered_at": 1, "last_seen": 40}
        assert await stores.readers.reader(first + n) == replace(versions[2], **account)


async def test_a_fulfilled_bound_of_a_reader_is_kept_and_never_lowered(stores, fresh):
    """The effective bound: limit − 1, limit, limit + 1; a dormant reader has none that counts."""
    reader, bound = fresh(), first_id(T0)
    cohorts = [ReaderState(reader + n, active=n < 3, covered_from=bound, cohort_at=5) for n in range(4)]
    await stores.readers.put_cohorts(cohorts)

    for n, fulfilled in enumerate((bound - 1, bound, bound + 1, bound)):
        await stores.readers.put_readers_caught_up([reader + n], fulfilled, ttl_s=1000)
        await stores.readers.put_readers_caught_up([reader + n], bound - 5, ttl_s=1000)
    await stores.readers.put_cohorts([replace(cohorts[2], covered_from=bound + 2, cohort_at=6)])

    states = await stores.readers.readers(range(reader, reader + 5))
    assert [states[reader + n].bound for n in range(5)] == [bound, 0, bound + 2, NOT_COVERED, NOT_COVERED]
    assert [states[reader + n].caught_up for n in range(5)] == [bound - 1, bound, bound + 1, bound, 0]


async def test_many_readers_are_known_at_once(stores, fresh):
    first = fresh()
    await stores.readers.put_seen({first + n: n + 1 for n in range(0, 250, 2)})

    states = await stores.readers.readers(range(first, first + 250))

    assert [states[first + n].last_seen for n in range(250)] == [None if n % 2 else n + 1 for n in range(250)]
    assert await stores.readers.readers([]) == {}


async def test_who_is_active_and_not_seen_for_long_is_found(stores, fresh):
    """Seen or registered: the later of the two counts. Dormant and unknown readers are not asked about."""
    first = fresh()
    seen = {0: 999, 1: 1000, 2: 1001, 3: 1, 5: 1}
    await stores.readers.put_seen({first + n: at for n, at in seen.items()})
    await stores.readers.put_accounts(
        Placed(AccountEvent("registered", first + n, "", False, at), 0) for n, at in ((3, 1000), (4, 999))
    )
    active = [ReaderState(first + n, active=n != 5, covered_from=0, cohort_at=1) for n in range(7)]
    await stores.readers.put_cohorts(active)

    found = {reader - first async for reader in stores.readers.not_seen_since(1000)}

    assert found & set(range(7)) == {0, 4, 6}


async def test_a_suspension_leaves_its_bound_when_it_ends(stores, fresh):
    """The newest suspension's, in any order; `at` is that of whatever came last."""
    first = fresh()
    events = [(True, T0 + 10), (False, T0 + 20), (True, T0 + 30), (False, T0 + 40)]
    for n, order in enumerate(permutations(events)):
        for suspended, at in order * 2:
            await stores.readers.set_suspended(first + n, suspended, Version(at, 0))

    found = await stores.readers.suspensions(range(first, first + 250))

    assert found == {first + n: Suspension(first + n, False, first_id(T0 + 30), T0 + 40) for n in range(24)}


async def test_a_reinstated_author_who_never_was_suspended_has_no_bound(stores, fresh):
    author = fresh()
    await stores.readers.set_suspended(author, False, Version(T0, 0))
    await stores.graph.put_author_graphs([AuthorGraph(author + 1, 3, 1)])

    found = await stores.readers.suspensions([author, author + 1])

    assert found == {author: Suspension(author, False, 0, T0)}

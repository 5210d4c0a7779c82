"""ReaderStore: what readers engaged with and what they hid, in any order and any number of times."""

from itertools import permutations

import pytest

from pipeline.domain.order import Version
from pipeline.store.values import Hidden, Hide

T0 = 1_700_000_000_000

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(
    ("events", "hidden"),
    [
        ([(True, 10, 0), (False, 20, 1)], False),
        ([(True, 10, 0), (False, 20, 1), (True, 30, 2)], True),
        ([(True, 10, 0), (False, 10, 1)], False),
        ([(False, 10, 0), (True, 10, 1)], True),
        ([(False, 10, 0)], False),
        ([(True, 10, 0), (False, 9, 1)], True),
    ],
)
async def test_the_newest_event_about_a_hidden_post_wins_in_any_order(stores, fresh, events, hidden):
    """One by one, all at once, and again."""
    reader, author, post = fresh(), fresh(), fresh()
    for n, order in enumerate(permutations(events)):
        hides = [Hide(reader + n, author, post, here, Version(T0 + at, place)) for here, at, place in order]
        together = [
            Hide(reader + n, author, post + 1, here, Version(T0 + at, place)) for here, at, place in order
        ]
        for hide in hides * 2:
            await stores.readers.put_hidden([hide])
        await stores.readers.put_hidden(together)
        await stores.readers.put_hidden([])

        wanted = {post: author, post + 1: author} if hidden else {}
        assert (await stores.readers.hidden(reader + n, 0, 10)).posts == wanted
        assert await stores.readers.hidden_among(reader + n, [post, post + 1, post + 2]) == wanted


async def test_hides_are_the_readers_own(stores, fresh):
    reader, author = fresh(), fresh()
    hides = [Hide(reader + n % 2, author + n, 2**62 + n, True, Version(T0, 0)) for n in range(6)]

    await stores.readers.put_hidden(hides)

    found = await stores.readers.hidden(reader, 0, 10)
    assert found.posts == {2**62 + n: author + n for n in (0, 2, 4)}
    assert (await stores.readers.hidden(reader + 2, 0, 10)).posts == {}


async def test_of_many_hides_the_newest_are_read_and_the_others_asked_for(stores, fresh):
    """::

    post      1   2   3   4   5   6
    hidden    x   x   .   x   -   x        - shown again: it takes a place as well
    read              |···········|        3 of them, from 4 on
    """
    reader, author = fresh(), fresh()
    states = {1: True, 2: True, 4: True, 5: False, 6: True}
    await stores.readers.put_hidden(
        [Hide(reader, author, post, hidden, Version(T0, 0)) for post, hidden in states.items()]
    )

    assert await stores.readers.hidden(reader, 0, 3) == Hidden({6: author, 4: author}, 4)
    assert await stores.readers.hidden(reader, 2, 5) == Hidden(dict.fromkeys((6, 4, 2), author), 2)
    assert await stores.readers.hidden(reader, 3, 5) == Hidden(dict.fromkeys((6, 4), author), 3)
    assert await stores.readers.hidden_among(reader, [1, 3, 5]) == {1: author}
    assert await stores.readers.hidden_among(reader, []) == {}


async def test_an_engagement_counts_once_for_its_author(stores, fresh):
    """By reader and author; the same time again is the same engagement."""
    reader, author = fresh(), fresh()
    engaged = [(reader, author, 10), (reader, author, 20), (reader, author + 1, 10), (reader + 1, author, 10)]
    for each in engaged * 2:
        await stores.readers.put_engagements([each])
    await stores.readers.put_engagements(engaged * 2)

    assert await stores.readers.affinity(reader, 100) == {author: 2, author + 1: 1}
    assert await stores.readers.affinity(reader + 2, 100) == {}


@pytest.mark.parametrize(
    ("after", "until", "count"), [(9, 30, 3), (10, 30, 2), (9, 29, 2), (11, 30, 2), (30, 40, 0)]
)
async def test_engagements_of_a_span_are_counted_to_a_limit(stores, fresh, after, until, count):
    """After `after`, up to `until`, both at limit − 1, limit, limit + 1."""
    reader, author = fresh(), fresh()
    await stores.readers.put_engagements([(reader, author + n % 2, 10 + n * 5) for n in range(5)])

    assert await stores.readers.engagements(reader, author, after, until, 100) == count
    assert await stores.readers.engagements(reader, author, after, until, 1) == min(count, 1)


@pytest.mark.parametrize(("most", "found"), [(3, {0: 3}), (4, {0: 3, 1: 1}), (5, {0: 3, 1: 2})])
async def test_affinity_reads_so_many_engagements_at_most(stores, fresh, most, found):
    """Authors in the order of their ids."""
    reader, author = fresh(), fresh()
    await stores.readers.put_engagements([(reader, author + n // 3, n) for n in range(5)])

    affinity = await stores.readers.affinity(reader, most)

    assert affinity == {author + n: count for n, count in found.items()}

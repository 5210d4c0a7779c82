"""Hides: a reader does not want to see a post, until they do; the newest event about it wins."""

from itertools import permutations

from pipeline.store.memory import memory_stores
from pipeline.store.values import ReaderState
from pipeline.wire.records import ActivityEvent
from tests.stages.fakes import deliver
from tests.twin import stage

READER, AUTHOR, POST, T0 = 1, 7, 99, 1_700_000_000_000


def about(kind, at, post=POST, author=AUTHOR):
    return ActivityEvent(kind, READER, T0 + at, author, post)


def a_stage():
    """The stage and its store."""
    stores = memory_stores(lambda: 0.0)
    return stage("readers", stores), stores.readers


async def test_the_newest_event_about_a_post_wins_in_any_order_and_batch():
    """Late, repeated, and all of it replayed."""
    events = [about("hidden", 5), about("unhidden", 6), about("hidden", 7), about("hidden", 5, POST + 1)]

    for order in permutations(events):
        for taken in (1, 2, 4):
            handle, store = a_stage()
            log = [*order, order[0], *order]
            for offset in range(0, len(log), taken):
                assert await handle([deliver(one) for one in log[offset : offset + taken]]) == []
            assert await store.hidden_among(READER, [POST, POST + 1]) == {POST: AUTHOR, POST + 1: AUTHOR}


async def test_a_post_is_shown_again():
    handle, store = a_stage()

    await handle([deliver(about("hidden", 5)), deliver(about("unhidden", 6))])

    assert await store.hidden_among(READER, [POST]) == {}


async def test_of_two_events_of_one_time_the_later_on_the_partition_counts():
    """Both ways, one by one, again and in reverse."""
    for first, second in (("hidden", "unhidden"), ("unhidden", "hidden")):
        handle, store = a_stage()
        log = [deliver(about(first, 5), offset=1), deliver(about(second, 5), offset=2)]
        for one in (*log, log[0], *reversed(log)):
            await handle([one])

        assert await store.hidden_among(READER, [POST]) == ({POST: AUTHOR} if second == "hidden" else {})


async def test_who_hides_a_post_is_neither_woken_nor_engaged_with_its_author():
    """It is no reason to push more to this reader, least of all of that author."""
    handle, store = a_stage()

    await handle([deliver(about("hidden", 5))])

    assert await store.reader(READER) == ReaderState(READER)
    assert await store.affinity(READER, 10) == {}

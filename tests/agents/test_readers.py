"""Readers: what is known of a reader is what the newest events say."""

from dataclasses import replace
from itertools import permutations

from pipeline.agents.readers import Readers
from pipeline.agents.warmth import Warmth
from pipeline.kafka.emit import Emit
from pipeline.records import AccountEvent, ActivityEvent
from pipeline.store.memory import memory_stores
from pipeline.store.ports import ReaderState
from tests.agents.fakes import RecordingOutbox, deliver

EVENTS = [
    AccountEvent("registered", 1, "eu", False, 5),
    AccountEvent("updated", 1, "us", True, 6),
    ActivityEvent("opened", 1, 9),
    ActivityEvent("engaged", 1, 7, author_id=3, post_id=4),
    ActivityEvent("opened", 2, 8),
]


def a_stage():
    """The stage and its store."""
    stores = memory_stores(lambda: 0.0)
    emit = Emit(RecordingOutbox(), "readers")
    warmth = Warmth(stores, emit, {}.get, lambda: None, 0.2)
    stage = Readers(stores.readers, stores.graph, warmth, emit, lambda: 1_700_000_000_000, 60_000)
    return stage, stores.readers


async def state_after(events, taken):
    """Readers 1, 2 and 3 after these events, in batches of so many."""
    stage, store = a_stage()
    for offset in range(0, len(events), taken):
        assert await stage.handle([deliver(event) for event in events[offset : offset + taken]]) == []
    return [await store.reader(reader) for reader in (1, 2, 3)]


async def test_a_reader_is_what_the_newest_events_say():
    """Region and protection of the last update, the first registration, the last time seen; unknown: defaults."""
    assert await state_after(EVENTS, 5) == [
        ReaderState(1, "us", True, registered_at=5, last_seen=9, active=True, covered_from=0, cohort_at=5),
        ReaderState(2, last_seen=8, active=True, covered_from=0, cohort_at=8),
        ReaderState(3),
    ]


async def test_order_repetition_and_batches_do_not_matter():
    """The last time a reader was seen never goes back, and an old account never comes back.

    Only the version of the cohort is that of whichever event woke the reader first.
    """
    wanted = [replace(state, cohort_at=0) for state in await state_after(EVENTS, 5)]

    for order in permutations(EVENTS):
        for taken in (1, 3):
            found = await state_after([*order, order[0]], taken)
            assert [replace(state, cohort_at=0) for state in found] == wanted


async def test_a_replay_of_everything_changes_nothing():
    """Not even the version of a cohort."""
    assert await state_after([*EVENTS, *EVENTS], 2) == await state_after(EVENTS, 5)


async def test_an_event_of_no_known_type_is_refused():
    """Its neighbours are not."""
    stage, store = a_stage()
    strange = [AccountEvent("closed", 1, "eu", False, 7), ActivityEvent("slept", 1, 9)]

    refused = await stage.handle([deliver(event) for event in [*strange, *EVENTS]])

    assert [one.reason for one in refused] == ["type", "type"]
    assert await store.reader(1) == (await state_after(EVENTS, 5))[0]

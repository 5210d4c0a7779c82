"""Policy: what must not be seen is in the tables when the event is done, whatever order the events come in."""

from itertools import permutations

import pytest

from pipeline.agents.policy import Policy
from pipeline.kafka.emit import Emit
from pipeline.records import PolicyEvent, PostEvent
from pipeline.store.memory import memory_stores
from pipeline.store.ports import Relations
from tests.agents.fakes import RecordingOutbox, deliver

READER, AUTHOR, POST = 1, 7, 99


class World:
    """The stores and the stage on them, with one post there is."""

    def __init__(self):
        self.stores = memory_stores(lambda: 0.0)
        self.outbox = RecordingOutbox()
        self.stage = Policy(self.stores, Emit(self.outbox, "policy"), tasks=4)

    async def handle(self, *events):
        refused = await self.stage.handle([deliver(event, offset=n) for n, event in enumerate(events)])
        return [(one.reason, one.message.offset) for one in refused]

    async def taken_down(self):
        await self.stores.posts.put_posts([PostEvent("published", POST, AUTHOR, 1)], {})
        return (await self.stores.posts.posts([POST]))[POST].taken_down


def about(kind, at, **whom):
    return PolicyEvent(kind, at, **(whom or {"reader_id": READER, "author_id": AUTHOR}))


@pytest.mark.parametrize(
    ("begins", "ends", "reader", "author"),
    [
        (
            "blocked",
            "unblocked",
            Relations(blocks=frozenset({AUTHOR})),
            Relations(blocked_by=frozenset({READER})),
        ),
        ("muted", "unmuted", Relations(mutes=frozenset({AUTHOR})), Relations()),
    ],
)
async def test_a_relation_holds_until_it_ends(begins, ends, reader, author):
    """A block is known on both sides, a mute to the reader alone."""
    world = World()

    assert await world.handle(about(begins, 5)) == []
    assert await world.stores.readers.relations(READER) == reader
    assert await world.stores.readers.relations(AUTHOR) == author

    assert await world.handle(about(ends, 6)) == []
    assert await world.stores.readers.relations(READER) == Relations()
    assert await world.stores.readers.relations(AUTHOR) == Relations()


async def test_a_suspension_holds_until_the_author_is_reinstated():
    """It is of the author, for every reader."""
    world = World()
    await world.handle(about("suspended", 5, author_id=AUTHOR))
    assert await world.stores.readers.suspended([AUTHOR, READER]) == {AUTHOR}

    await world.handle(about("reinstated", 6, author_id=AUTHOR))
    assert await world.stores.readers.suspended([AUTHOR, READER]) == set()


@pytest.mark.parametrize(
    ("events", "taken_down"),
    [
        ([("taken_down", 5, ())], {"*"}),
        ([("taken_down", 5, ("eu", "us"))], {"eu", "us"}),
        ([("taken_down", 5, ("eu", "us")), ("restored", 6, ("eu",))], {"us"}),
        ([("taken_down", 5, ("eu", "us")), ("restored", 6, ())], set()),
        ([("taken_down", 5, ()), ("restored", 4, ())], {"*"}),
        ([("taken_down", 5, ("eu",)), ("restored", 6, ()), ("taken_down", 7, ("us",))], {"us"}),
    ],
)
async def test_a_post_is_taken_down_where_the_events_say(events, taken_down):
    """No region means everywhere; in any order of arrival, and twice, the newest event wins."""
    given = [about(kind, at, post_id=POST, regions=regions) for kind, at, regions in events]

    for order in permutations(given):
        world = World()
        assert await world.handle(*order, *order) == []
        assert await world.taken_down() == taken_down


@pytest.mark.parametrize(
    ("begins", "ends"), [("blocked", "unblocked"), ("muted", "unmuted"), ("suspended", "reinstated")]
)
async def test_the_newest_event_wins_in_any_order_and_batch(begins, ends):
    """Late, repeated, or all at once."""
    events = [about(begins, 5), about(ends, 6), about(begins, 7)]

    for order in permutations(events):
        together, apart = World(), World()
        await together.handle(*order, *order)
        for event in [*order, *order]:
            await apart.handle(event)
        for world in (together, apart):
            found = await world.stores.readers.relations(READER)
            hidden = found.blocks | found.mutes | await world.stores.readers.suspended([AUTHOR])
            assert hidden == {AUTHOR}


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (PolicyEvent("blocked", 5, reader_id=READER), "incomplete"),
        (PolicyEvent("muted", 5, author_id=AUTHOR), "incomplete"),
        (PolicyEvent("suspended", 5, reader_id=READER), "incomplete"),
        (PolicyEvent("taken_down", 5, author_id=AUTHOR), "incomplete"),
        (PolicyEvent("invented", 5, reader_id=READER, author_id=AUTHOR, post_id=POST), "type"),
    ],
)
async def test_an_event_that_names_nobody_or_is_of_no_known_type_is_refused(event, reason):
    """Its neighbours are applied."""
    world = World()

    assert await world.handle(about("muted", 5), event, about("blocked", 5)) == [(reason, 1)]

    found = await world.stores.readers.relations(READER)
    assert (found.mutes, found.blocks) == ({AUTHOR}, {AUTHOR})

"""Moderation: what must not be seen is in the tables when the event is done, whatever order the events come in."""

from itertools import permutations

import pytest

from pipeline.domain.snowflake import first_id
from pipeline.errors import Unavailable
from pipeline.store.memory import memory_stores
from pipeline.store.values import AuthorGraph, Placed, Relations
from pipeline.wire.records import FollowEvent, ModerationEvent, PostEvent, RepairTask, Suspension
from tests.stages.fakes import Fault, RecordingOutbox, deliver
from tests.twin import shaped, stage

READER, AUTHOR, POST, T0 = 1, 7, 99, 1_700_000_000_000
FOUR = shaped(tasks_per_post=4)


class World:
    """The stores and the stage on them, with one post there is."""

    def __init__(self):
        self.stores = memory_stores(lambda: 0.0)
        self.outbox = RecordingOutbox()
        self.stage = stage("moderation", self.stores, self.outbox, topology=FOUR)

    async def handle(self, *events):
        refused = await self.stage([deliver(event, offset=n) for n, event in enumerate(events)])
        return [(one.reason, one.message.offset) for one in refused]

    async def taken_down(self):
        await self.stores.posts.put_posts([Placed(PostEvent("published", POST, AUTHOR, 1), 0)], {})
        return (await self.stores.posts.posts([POST]))[POST].taken_down


def about(kind, at, **whom):
    """An event some ms after T0."""
    return ModerationEvent(kind, T0 + at, **(whom or {"reader_id": READER, "author_id": AUTHOR}))


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
    assert await world.stores.readers.relations(READER, [AUTHOR]) == reader
    assert await world.stores.readers.relations(AUTHOR, [READER]) == author

    assert await world.handle(about(ends, 6)) == []
    assert await world.stores.readers.relations(READER, [AUTHOR]) == Relations()
    assert await world.stores.readers.relations(AUTHOR, [READER]) == Relations()


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
            found = await world.stores.readers.relations(READER, [AUTHOR])
            hidden = found.blocks | found.mutes | await world.stores.readers.suspended([AUTHOR])
            assert hidden == {AUTHOR}


@pytest.mark.parametrize(
    ("begins", "ends"), [("blocked", "unblocked"), ("muted", "unmuted"), ("suspended", "reinstated")]
)
@pytest.mark.parametrize("last", [0, 1])
async def test_of_two_events_of_one_time_the_later_on_the_partition_counts(begins, ends, last):
    """One by one, again from the beginning, and each alone once more, as a replay may cut it."""
    world = World()
    log = [about((begins, ends)[(n + last) % 2], 5) for n in (1, 0)]

    for offset in (0, 1, 0, 1, 0):
        assert await world.stage([deliver(log[offset], offset=offset)]) == []

    found = await world.stores.readers.relations(READER, [AUTHOR])
    hidden = found.blocks | found.mutes | await world.stores.readers.suspended([AUTHOR])
    assert hidden == ({AUTHOR} if last == 0 else set())
    told = world.outbox.of("author.suspensions")
    assert not told or told[-1].suspended == (last == 0)


async def test_a_block_and_its_end_mark_the_edges_of_both():
    """Keyed by the followed author, so that an edge keeps its one writer."""
    world = World()
    await world.handle(about("blocked", 5))
    await world.handle(about("unblocked", 6))

    assert world.outbox.of("edge.marks") == [
        FollowEvent(kind, author, (reader,), at)
        for kind, at in (("retracted", T0 + 5), ("refilled", T0 + 6))
        for author, reader in ((AUTHOR, READER), (READER, AUTHOR))
    ]
    keys = [message.key for message in world.outbox.caused()]
    assert keys == [b"7", b"1"] * 2
    assert len({dict(message.headers)["ce_id"] for message in world.outbox.caused()}) == 2


@pytest.mark.parametrize(
    ("events", "causes"),
    [
        (["blocked", "unblocked"], ["refilled"]),
        (["unblocked", "blocked"], ["retracted"]),
        (["muted", "unmuted"], []),
    ],
)
async def test_what_is_no_longer_in_force_causes_nothing(events, causes):
    """In one batch, and when the older one comes again."""
    world = World()
    older, newer = (about(kind, at) for at, kind in enumerate(events, 5))

    await world.handle(older, newer)
    await world.handle(older)

    assert [event.type for event in world.outbox.of("edge.marks")] == [
        cause for cause in causes for _ in "12"
    ]


async def test_the_end_of_one_of_two_blocks_is_the_end_of_none():
    world = World()
    theirs = {"reader_id": AUTHOR, "author_id": READER}
    await world.handle(about("blocked", 5), about("blocked", 6, **theirs))
    world.outbox.sent.clear()

    await world.handle(about("unblocked", 7))
    assert world.outbox.caused() == []

    await world.handle(about("unblocked", 8, **theirs))
    assert [event.type for event in world.outbox.of("edge.marks")] == ["refilled", "refilled"]


async def test_a_suspension_retracts_what_is_older_from_all_segments():
    """In at most so many tasks; one that has ended already causes none."""
    world = World()
    await world.stores.graph.put_author_graphs([AuthorGraph(AUTHOR, 9_000, 9)])

    await world.handle(about("suspended", 0, author_id=AUTHOR))
    tasks = world.outbox.of("fanout.retract")
    assert {(t.author_id, t.reader_ids, t.lo, t.hi, t.at) for t in tasks} == {
        (AUTHOR, (), 0, first_id(T0), T0)
    }
    assert [n for t in tasks for n in range(t.first_segment, t.last_segment + 1)] == list(range(9))
    assert len(tasks) == 4
    assert len({dict(message.headers)["ce_id"] for message in world.outbox.sent}) == len(world.outbox.sent)

    await world.handle(about("reinstated", 1, author_id=AUTHOR))
    world.outbox.sent.clear()
    await world.handle(about("suspended", 0, author_id=AUTHOR))
    assert world.outbox.of("fanout.retract") == []
    assert world.outbox.of("author.suspensions") == [Suspension(AUTHOR, False, first_id(T0), T0 + 1)]


@pytest.mark.parametrize("how", ["before", "half", "after"])
async def test_an_author_is_not_visible_again_before_queries_know_what_to_pull(how):
    """The record with the bound is in the topic first, also when the process dies at any call."""
    at = 0
    while True:
        at += 1
        world = World()
        await world.stores.graph.put_author_graphs([AuthorGraph(AUTHOR, 1, 1)])

        async def watch(world=world):
            if await world.stores.readers.suspended([AUTHOR]):
                return
            known = (await world.stores.readers.suspensions([AUTHOR])).get(AUTHOR)
            said = world.outbox.of("author.suspensions")
            if world.outbox.of("fanout.retract") or known is not None:
                assert said and said[-1].retracted_before == first_id(T0), (
                    "visible, and nobody knows of the bound"
                )

        fault = Fault(at, how, watch)
        handle = stage("moderation", world.stores, world.outbox, topology=FOUR, fault=fault)
        events = [about("suspended", 0, author_id=AUTHOR), about("reinstated", 1, author_id=AUTHOR)]
        survived = True
        for event in events:
            try:
                await handle([deliver(event)])
            except Unavailable:
                survived = False
                break
        await watch()
        for event in events:
            await world.handle(event)
            await watch()
        assert world.outbox.of("author.suspensions")[-1] == Suspension(AUTHOR, False, first_id(T0), T0 + 1)
        if survived:
            break


async def test_a_take_down_everywhere_and_its_end_are_about_one_post():
    """Nothing for a region, a post nobody knows, or what is no longer in force."""
    world = World()
    await world.stores.graph.put_author_graphs([AuthorGraph(AUTHOR, 2, 1)])
    await world.handle(about("taken_down", 5, post_id=POST))
    assert world.outbox.caused() == []

    await world.taken_down()
    await world.handle(
        about("taken_down", 5, post_id=POST), about("taken_down", 6, post_id=POST, regions=("eu",))
    )
    assert world.outbox.of("fanout.retract") == [RepairTask(AUTHOR, (), 0, 0, POST, POST + 1, at=T0 + 5)]

    await world.handle(about("restored", 7, post_id=POST))
    assert world.outbox.of("fanout.backfill") == [RepairTask(AUTHOR, (), 0, 0, POST, POST + 1, at=T0 + 8)]

    world.outbox.sent.clear()
    await world.handle(
        about("taken_down", 5, post_id=POST), about("restored", 4, post_id=POST, regions=("eu",))
    )
    assert world.outbox.caused() == []


async def test_a_suspension_and_its_end_in_one_batch_are_told_in_order():
    """Else the topic would go on to say what the table does not, and nobody would tell the end again.

    ::

        suspended    write True ── read ── tell True ─────────────────▶
        reinstated   read: nothing known, nothing to tell ── write False ▶
    """
    world, fault = World(), Fault()
    handle = stage("moderation", world.stores, world.outbox, topology=FOUR, fault=fault)
    events = [about("suspended", 0, author_id=AUTHOR), about("reinstated", 1, author_id=AUTHOR)]

    assert await handle([deliver(event, offset=n) for n, event in enumerate(events)]) == []

    assert world.outbox.of("author.suspensions")[-1] == Suspension(AUTHOR, False, first_id(T0), T0 + 1)

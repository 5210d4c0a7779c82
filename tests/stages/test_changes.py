"""Changes of pages: whoever an acknowledged event is about has been told of, after the tables, whatever dies."""

from dataclasses import dataclass, field

import pytest

from pipeline.domain.snowflake import first_id
from pipeline.errors import Unavailable
from pipeline.kafka.emit import Emit
from pipeline.stages import changes
from pipeline.store.memory import memory_stores
from pipeline.store.values import Edge, Placed
from pipeline.wire.records import (
    AccountEvent,
    ActivityEvent,
    FollowEvent,
    ModerationEvent,
    PageChange,
    PostEvent,
    RepairTask,
)
from tests.stages.fakes import Fault, RecordingOutbox, deliver
from tests.twin import shaped, stage

T0, AUTHOR, OTHER = 1_700_000_000_000, 70, 80
POST, OLD, BOUND = first_id(T0), first_id(T0 - 1000), first_id(T0 - 500)


SMALL = shaped(
    segment_size=2,
    margin_seconds=1.0,
    tasks_per_post=4,
    push_below=20,
    pull_above=50,
    cost_floor=0,
    tiers={"small": None},
    partitions={"fanout.small": 1},
)


def made(name, stores, outbox, fault=None):
    return stage(name, stores, outbox, topology=SMALL, fault=fault)


async def nothing(stores):
    """An empty world."""


async def a_post(stores):
    event = PostEvent("published", OLD, AUTHOR, T0 - 1000, body="words")
    await stores.posts.put_posts([Placed(event, 0)], {OLD: 0})


async def edges(stores):
    """Readers 1 and 2 follow, not caught up yet; 3 has left."""
    found = [Edge(n, AUTHOR, n < 3, 5, 0, covered_from=BOUND) for n in (1, 2, 3)]
    await stores.graph.put_edges(found)


async def awake(stores):
    """Reader 1 has been active for long, 2 is as well."""
    await made("readers", stores, RecordingOutbox())([deliver(ActivityEvent("opened", n, 3)) for n in (1, 2)])


async def followed(stores):
    """Readers 1 and 2 follow and hold seats."""
    await made("graph", stores, RecordingOutbox())([deliver(FollowEvent("followed", AUTHOR, (1, 2), 5))])


def block(kind, at=5):
    return ModerationEvent(kind, at, reader_id=1, author_id=AUTHOR)


def hide(kind, reader, at):
    return ActivityEvent(kind, reader, at, AUTHOR, OLD)


def caught_up(author, *who):
    return RepairTask(author, who, 0, -1, 0, BOUND, at=5, covered_from=BOUND)


@dataclass(frozen=True)
class Case:
    """A stage, what it finds, a batch, and whom it must tell of."""

    stage: str
    given: object
    batch: list
    reader: set = field(default_factory=set)
    author: set = field(default_factory=set)
    post: set = field(default_factory=set)


CASES = {
    "follow": Case("graph", nothing, [FollowEvent("followed", AUTHOR, (1, 2), 5)], reader={1, 2}),
    "unfollow": Case("graph", followed, [FollowEvent("unfollowed", AUTHOR, (2,), 6)], reader={2}),
    "marks": Case(
        "graph",
        followed,
        [FollowEvent("warmed", AUTHOR, (1,), 6), FollowEvent("retracted", AUTHOR, (2,), 6)],
        reader={1, 2},
    ),
    "account": Case("readers", awake, [AccountEvent("updated", 1, "eu", True, 9)], reader={1}),
    "hide": Case("readers", awake, [hide("hidden", 1, 4), hide("unhidden", 2, 4)], reader={1, 2}),
    "comes": Case(
        "readers", nothing, [ActivityEvent("opened", 1, 5), ActivityEvent("engaged", 2, 6)], {1, 2}
    ),
    "comes late": Case(
        "readers", nothing, [ActivityEvent("opened", 1, 5), ActivityEvent("lapsed", 1, 4)], {1}
    ),
    "lapses": Case("readers", awake, [ActivityEvent("lapsed", 1, 5)], reader={1}),
    "rebuild": Case("readers", awake, [ActivityEvent("rebuild", 2, 5)], reader={2}),
    "block": Case("moderation", nothing, [block("blocked")], reader={1, AUTHOR}),
    "unblock": Case("moderation", nothing, [block("unblocked")], reader={1, AUTHOR}),
    "mute": Case("moderation", nothing, [block("muted"), block("unmuted", 6)], reader={1}),
    "take-down": Case("moderation", a_post, [ModerationEvent("taken_down", 5, post_id=OLD)], post={OLD}),
    "restore": Case(
        "moderation", a_post, [ModerationEvent("restored", 5, post_id=OLD, regions=("eu",))], post={OLD}
    ),
    "post": Case("classify", nothing, [PostEvent("published", POST, AUTHOR, T0, body="b")], author={AUTHOR}),
    "edit": Case(
        "classify",
        a_post,
        [PostEvent("edited", OLD, AUTHOR, T0, body="b"), PostEvent("published", POST, OTHER, T0, body="b")],
        author={OTHER},
        post={OLD},
    ),
    "delete": Case("classify", a_post, [PostEvent("deleted", OLD, AUTHOR, T0)], author={AUTHOR}, post={OLD}),
    "edge caught up": Case("backfill", edges, [caught_up(AUTHOR, 1, 2, 3)], reader={1, 2}),
    "reader caught up": Case("backfill", nothing, [caught_up(0, 1)], reader={1}),
    "readers caught up": Case(
        "backfill", edges, [caught_up(0, 4, 5), caught_up(0, 1, 6)], reader={1, 4, 5, 6}
    ),
}


def told(outbox, since=0):
    """By kind, of whom."""
    found = {"reader": set(), "author": set(), "post": set()}
    for change in outbox.of("page.changes")[since:]:
        found[change.kind] |= set(change.ids)
    return found


async def run(case, stores, outbox, fault):
    handle = made(case.stage, stores, outbox, fault)
    batch = [deliver(event, offset=n, at_ms=T0, topic="source") for n, event in enumerate(case.batch)]
    try:
        assert await handle(batch) == []
    except Unavailable:
        return False
    return True


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("how", ["before", "half", "after"])
async def test_an_acknowledged_event_was_told_whatever_died_before(case, how):
    """The process dies at its first call, its second, …; the one that handles the batch again tells of all."""
    wanted, at = {"reader": case.reader, "author": case.author, "post": case.post}, 0
    while True:
        at += 1
        stores, outbox = memory_stores(lambda: 0.0), RecordingOutbox()
        await case.given(stores)
        survived = await run(case, stores, outbox, Fault(at, how))
        since = 0 if survived else len(outbox.of("page.changes"))
        assert survived or await run(case, stores, outbox, Fault())
        found = told(outbox, since)
        if not survived:
            found["post"] -= {POST}  # a publication that is stored already may be another version of the post
        assert found == wanted
        if survived:
            assert at > 2
            return


@pytest.mark.parametrize("case", [pytest.param(CASES[name], id=name) for name in CASES if name != "lapses"])
async def test_the_tables_hold_a_change_before_it_is_told(case):
    """Once it is told nothing follows that a page is made of; of a lapse see below."""
    stores, outbox, fault = memory_stores(lambda: 0.0), RecordingOutbox(), Fault()
    await case.given(stores)

    async def watch():
        if fault.calls[-1].startswith(("put_", "relate", "take_down", "restore", "change_")):
            assert fault.calls[-1] == "put_seen" or not outbox.of("page.changes")

    fault.watch = watch

    assert await run(case, stores, outbox, fault)


async def test_a_raised_bound_is_told_before_rows_go():
    """A page from memory that still counts on them would miss what is removed."""
    stores, outbox = memory_stores(lambda: 0.0), RecordingOutbox()
    await followed(stores)

    await run(Case("graph", followed, [FollowEvent("retracted", AUTHOR, (2,), 6)]), stores, outbox, Fault())

    assert outbox.journal[:2] == ["page.changes", "fanout.retract"]
    assert outbox.of("page.changes")[0] == PageChange("reader", (2,), T0)


async def test_a_lapse_is_told_before_writers_are():
    """A page that still counts on rows would miss what they stop to write. The table holds it by then."""
    stores, outbox = memory_stores(lambda: 0.0), RecordingOutbox()
    await awake(stores)

    async def watch():
        assert not outbox.sent or not (await stores.readers.reader(1)).active

    await run(CASES["lapses"], stores, outbox, Fault(watch=watch))

    assert outbox.journal == ["page.changes", "reader.cohorts"]


async def test_who_only_reads_on_is_not_told_of():
    """Else every visit would empty what is kept for it."""
    stores, outbox = memory_stores(lambda: 0.0), RecordingOutbox()
    await awake(stores)

    await run(Case("readers", awake, [ActivityEvent("opened", 1, 4)]), stores, outbox, Fault())

    assert outbox.sent == []


@pytest.mark.parametrize(
    ("count", "messages"), [(0, []), (1, [1]), (999, [999]), (1000, [1000]), (1001, [1000, 1])]
)
async def test_a_message_names_so_many_at_most(count, messages):
    """Limit − 1, limit, limit + 1; each message has an id of its own."""
    outbox = RecordingOutbox()

    await changes.tell(
        Emit(outbox, "graph"), [deliver(None, at_ms=T0)], readers=range(count), posts=range(count)
    )

    found = outbox.of("page.changes")
    assert [(change.kind, len(change.ids)) for change in found] == [
        (kind, size) for kind in ("reader", "post") for size in messages
    ]
    assert all(change == PageChange(change.kind, tuple(sorted(change.ids)), T0) for change in found)
    assert len({dict(message.headers)["ce_id"] for message in outbox.sent}) == len(found)

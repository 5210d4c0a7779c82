"""An account is erased: hidden at once, out of every table in steps, wherever a process dies in between."""

from collections import deque

import pytest

from pipeline.domain.engagement import hour_of
from pipeline.domain.erasure import FOREVER, ErasureStep, mark
from pipeline.domain.order import Version
from pipeline.domain.snowflake import MAX_ID, first_id
from pipeline.errors import TidelineError
from pipeline.stages.erase import TASKS
from pipeline.store.memory import memory_stores
from pipeline.store.values import (
    FIRST,
    AuthorGraph,
    CounterWindow,
    Edge,
    Engaged,
    Hide,
    Placed,
    Push,
    ReaderState,
    SegmentChange,
    TimelineEntry,
)
from pipeline.wire.records import (
    AccountEvent,
    ActivityEvent,
    AuthorClass,
    ErasureTask,
    PostEvent,
    RepairTask,
    RouteEntry,
    RouteRecord,
)
from tests.stages.fakes import Fault, RecordingOutbox, deliver
from tests.twin import Clock, shaped, stage

GONE, OTHER, FOLLOWERS = 7_777_777_777, 42, (101, 102, 103)
T0, MARGIN = 1_700_000_000_000, 2_000
TEXT = "words of somebody who wants to be forgotten"
ERASED = AccountEvent("erased", GONE, "", protected=False, at=T0)


def posts_of(author):
    return [first_id(T0 - 1000 * n) + author % 1000 for n in range(1, 6)]


class World:
    """Stores full of an account, the two stages, and what they send."""

    def __init__(self, fault=None):
        self.stores, self.outbox, self.clock = memory_stores(lambda: 0.0), RecordingOutbox(), Clock(T0)
        how = {
            "clock": self.clock,
            "topology": shaped(margin_seconds=MARGIN / 1000),
            "fault": fault or Fault(),
        }
        self.begin = stage("readers", self.stores, self.outbox, **how)
        self.work = stage("retract", self.stores, self.outbox, **how)

    async def fill(self):
        """The account and another one, with the same of everything."""
        for author in (GONE, OTHER):
            await self._author(author)
        for author in (GONE, OTHER):
            await self._reader(author)

    async def _author(self, author):
        stores, ids = self.stores, posts_of(author)
        posts = [PostEvent("published", one, author, T0 - 9000, body=f"{TEXT} {author}") for one in ids]
        await put(stores, posts)
        history = (RouteEntry(0, AuthorClass.PUSH, ""), RouteEntry(ids[0], AuthorClass.PULL, ""))
        await stores.routes.put_routes([RouteRecord(author, history, ids[0])])
        window = [Engaged(CounterWindow(one, hour_of(T0), 0), (1, 2), 1000) for one in ids]
        await stores.counters.put_sketches(window)
        for segment, readers in enumerate((FOLLOWERS[:2], FOLLOWERS[2:])):
            await stores.graph.change_segment(SegmentChange(author, segment, None, add=readers))
            edges = [Edge(reader, author, True, T0 - 9000, segment, 0) for reader in readers]
            await stores.graph.put_edges(edges)
        await stores.graph.put_edges([Edge(104, author, False, T0 - 9000, 0)])
        await stores.graph.put_author_graphs([AuthorGraph(author, 3, 2)])
        rows = [TimelineEntry(one, author, 0, T0 * 1000, 1000) for one in ids[1:]]
        await stores.timelines.push([Push(FOLLOWERS, rows)])
        for reader in (*FOLLOWERS, 105):  # 105 follows nobody, and has no account
            await stores.readers.relate(reader, author, "mute", True, Version(T0 - 9000, 0))
            await stores.readers.put_hidden([Hide(reader, author, ids[0], True, Version(T0 - 9000, 0))])
            await stores.readers.put_engagements([(reader, author, T0 - 9000)])

    async def _reader(self, reader):
        stores = self.stores
        event = AccountEvent("registered", reader, "eu", protected=True, at=T0 - 9000)
        await stores.readers.put_accounts([Placed(event, 0)])
        await stores.readers.put_cohorts([ReaderState(reader, active=True, covered_from=1, cohort_at=5)])
        await stores.readers.put_seen({reader: T0 - 9000})
        for author in (201, 202):
            live = (await stores.graph.segment_lives(author, 1))[0]
            await stores.graph.change_segment(SegmentChange(author, 0, live, add=(reader,)))
            await stores.graph.put_edges([Edge(reader, author, True, T0 - 9000, 0, 0)])
            await stores.graph.put_author_graphs([AuthorGraph(author, (live or 0) + 1, 1)])
        await stores.readers.relate(reader, 301, "block", True, Version(T0 - 9000, 0))
        await stores.readers.relate(302, reader, "block", True, Version(T0 - 9000, 0))
        await stores.readers.put_engagements([(reader, 201, T0 - 9000)])
        await stores.readers.put_hidden([Hide(reader, 201, 5, True, Version(T0 - 9000, 0))])
        await stores.timelines.push([Push([reader], [TimelineEntry(77, 201, 0, T0 * 1000, 1000)])])

    async def erase(self):
        """The event, and then every task until none is left."""
        await self.begin([deliver(ERASED, at_ms=T0)])
        await self.finish(self.outbox.of(TASKS)[-1:])

    async def finish(self, tasks):
        todo = deque(tasks)
        while todo:
            at = len(self.outbox.of(TASKS))
            await self.work([deliver(todo.popleft(), at_ms=T0)])
            todo += self.outbox.of(TASKS)[at:]


async def put(stores, posts):
    await stores.posts.put_posts([Placed(post, 0) for post in posts], {})


def places(thing, wanted, path=""):
    """Where tables hold this value, or text that has it inside."""
    if thing == wanted or (isinstance(thing, str) and isinstance(wanted, str) and wanted in thing):
        return [path]
    if isinstance(thing, dict):
        inner = [(f"{path}.{name}", one) for name, value in thing.items() for one in (name, value)]
    elif isinstance(thing, (list, tuple, set, frozenset)):
        inner = [(path, one) for one in thing]
    else:
        inner = [(path, getattr(thing, name)) for name in getattr(type(thing), "__slots__", ())]
    return [found for where, one in inner for found in places(one, wanted, where)]


def state_of(world):
    """What the tables hold of everybody."""
    tables = {}

    def walk(thing, path):
        if type(thing).__name__ == "Table":
            parts = {part: thing.rows(part) for part in thing.partitions()}
            tables[path] = {part: rows for part, rows in parts.items() if rows}
        elif isinstance(thing, dict):
            tables[path] = dict(thing)
        elif hasattr(thing, "__dict__"):
            for name, one in vars(thing).items():
                if name != "_forgotten":
                    walk(one, f"{path}.{name}")

    for name in type(world.stores).__slots__:
        walk(getattr(world.stores, name), name)
    return tables


async def test_no_table_holds_the_account_or_its_text_and_the_other_account_has_everything():
    world = World()
    await world.fill()
    before = {one: len(places(state_of(world), one)) for one in (GONE, OTHER)}

    await world.erase()

    assert before[GONE] > 20
    assert places(state_of(world), GONE) == []
    assert places(state_of(world), f"{TEXT} {GONE}") == []
    for post in posts_of(
        GONE
    ):  # a row that was taken out of a timeline names the post alone, until it expires
        left = places(state_of(world), post)
        assert all(place.startswith(".timelines.") for place in left), left
    assert len(places(state_of(world), OTHER)) == before[OTHER]
    graphs = await world.stores.graph.author_graphs([201, 202])
    assert {graph.followers for graph in graphs.values()} == {1}


async def test_at_once_it_is_known_as_erased_and_hidden_and_only_then_removed():
    world = World()
    await world.fill()

    await world.begin([deliver(ERASED, at_ms=T0)])

    topics = ["accounts.erased", "author.suspensions", "reader.cohorts", "page.changes", TASKS]
    assert list(dict.fromkeys(world.outbox.journal)) == topics
    assert world.outbox.sent[0].key == mark(GONE).encode()
    told = world.outbox.of("author.suspensions")[0]
    assert (told.author_id, told.suspended, told.erased) == (GONE, True, True)
    assert (await world.stores.readers.suspensions([GONE]))[GONE] == told
    assert world.outbox.of(TASKS) == [ErasureTask(GONE, ErasureStep.POSTS, FIRST, FOREVER, T0)]


async def test_what_hides_the_account_is_the_last_that_goes():
    world = World()
    await world.fill()

    await world.erase()

    assert world.outbox.of("author.suspensions")[-1] is None
    assert world.outbox.sent[-1].topic == "author.suspensions"
    for topic in ("author.routes", "routing.forced", "reader.cohorts"):
        last = [message for message in world.outbox.sent if message.topic == topic][-1]
        assert (last.key, last.value) == (b"%d" % GONE, None)


async def test_who_keeps_pages_in_memory_is_told_of_every_reader_and_post():
    world = World()
    await world.fill()

    await world.erase()

    told = {(change.kind, one) for change in world.outbox.of("page.changes") for one in change.ids}
    readers = {GONE, *FOLLOWERS, 104, 105, 301, 302}
    assert {one for kind, one in told if kind == "reader"} == readers
    assert {one for kind, one in told if kind == "post"} == set(posts_of(GONE))


@pytest.mark.parametrize("how", ["before", "after", "half"])
async def test_a_process_that_dies_at_any_call_leaves_nothing_undone(how):
    """Whatever was not acknowledged comes again: the event, or the task of a step."""
    whole = World()
    await whole.fill()
    await whole.erase()
    wanted, number, died = state_of(whole), 0, True
    while died:
        number += 1
        fault = Fault(number, how)
        world = World(fault)
        await world.fill()
        died = await _until_it_dies(world)
        fault.at = 0
        await _what_was_not_acknowledged(world)
        assert state_of(world) == wanted, number  # which holds nothing of the account, see above
    assert number > 40


async def _until_it_dies(world):
    try:
        await world.erase()
    except TidelineError:
        return True
    return False


async def _what_was_not_acknowledged(world):
    """Nobody knows what of the last call was done, so the task before the last one comes again as well."""
    tasks = world.outbox.of(TASKS)
    if tasks:
        await world.finish(tasks[-2:])
    else:
        await world.erase()


async def test_once_more_changes_nothing():
    world = World()
    await world.fill()
    await world.erase()
    before = state_of(world)

    await world.erase()

    assert state_of(world) == before
    assert places(state_of(world), GONE) == []


async def test_others_of_the_batch_are_handled_and_what_is_about_the_account_is_dropped():
    world = World()
    seen, own = ActivityEvent("opened", 5, T0), ActivityEvent("opened", GONE, T0)
    back = AccountEvent("registered", GONE, "eu", protected=False, at=T0 + 5)

    await world.begin([deliver(own), deliver(ERASED), deliver(seen), deliver(back)])

    seen_at = {one: (await world.stores.readers.reader(one)).last_seen for one in (5, GONE)}
    assert seen_at == {5: T0, GONE: None}
    assert world.outbox.of("accounts.erased")


async def test_a_batch_without_one_is_handled_as_it_is():
    world = World()
    seen = ActivityEvent("opened", 5, T0)

    await world.begin([deliver(seen)])

    assert (await world.stores.readers.reader(5)).last_seen == T0
    assert not {"accounts.erased", "author.suspensions", TASKS} & set(world.outbox.journal)


@pytest.mark.parametrize(
    ("came", "slept"), [(T0 - MARGIN - 1, 0), (T0 - MARGIN + 1, 0.001), (T0, 2.0), (T0 + 10**9, 2.0)]
)
async def test_it_begins_when_every_stage_knows_and_never_waits_for_longer_than_the_margin(came, slept):
    world = World()

    await world.work([deliver(ErasureTask(GONE, ErasureStep.POSTS, FIRST, FOREVER, T0), at_ms=came)])
    await world.work([deliver(ErasureTask(GONE, ErasureStep.AUDIENCE, FIRST, FOREVER, T0), at_ms=T0 + 10**9)])

    assert [one for one in world.clock.slept if one] == [slept] * bool(slept)


async def test_a_post_that_was_being_stored_meanwhile_goes_as_well():
    world = World()
    await world.fill()
    await world.begin([deliver(ERASED, at_ms=T0)])
    [task] = world.outbox.of(TASKS)
    await world.work([deliver(task, at_ms=T0)])

    late = first_id(T0) + 1
    await put(world.stores, [PostEvent("published", late, GONE, T0, body=TEXT)])
    await world.finish(world.outbox.of(TASKS)[1:])

    assert places(state_of(world), GONE) == []
    assert places(state_of(world), late) == []


async def test_many_posts_followers_and_readers_are_many_steps(monkeypatch):
    for name, size in {"POSTS": 2, "FOLLOWEES": 1, "READERS": 2}.items():
        monkeypatch.setattr(f"pipeline.stages.erase.{name}", size)
    world = World()
    await world.fill()

    await world.erase()

    assert places(state_of(world), GONE) == []
    assert len(world.outbox.of(TASKS)) > 15


async def test_repairs_go_on_beside_it():
    world = World()
    await world.fill()
    unfollowed = RepairTask(OTHER, (101,), 0, -1, 0, MAX_ID, at=T0 + 1)
    await world.stores.graph.put_edges([Edge(101, OTHER, False, T0, 0)])

    tasks = [
        deliver(unfollowed, at_ms=T0),
        deliver(ErasureTask(GONE, ErasureStep.MENTIONS, FIRST, FOREVER, T0)),
    ]
    assert await world.work(tasks) == []

    rows = await world.stores.timelines.timeline(101, 0, MAX_ID, 100)
    assert [row.author_id for row in rows] == [GONE] * 4

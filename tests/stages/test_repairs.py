"""Backfill and retract: rows that were missed come, rows that have no business go, whatever happens in between."""

from dataclasses import replace

import pytest

from pipeline.domain.cursor import VALID_MS
from pipeline.domain.order import Version
from pipeline.domain.snowflake import first_id
from pipeline.stages.pace import Pace
from pipeline.store.memory import memory_stores
from pipeline.store.values import (
    NOT_COVERED,
    AuthorGraph,
    Edge,
    Placed,
    Push,
    ReaderState,
    Retraction,
    SegmentChange,
    TimelineEntry,
)
from pipeline.wire.records import AuthorClass, PostEvent, RepairTask, RouteEntry, RouteRecord
from tests.stages.fakes import RecordingOutbox, deliver
from tests.twin import Clock, shaped, stage

AUTHOR, OTHER, T0, WINDOW, MARGIN = 7, 8, 1_700_000_000_000, 1_000_000, 2_000
LIFE = WINDOW
BACKFILL, RETRACT = "backfill", "retract"
BOUND = first_id(T0)


def post_id(ms, author=AUTHOR):
    """The id of the author's post of this time: no two authors share one."""
    return first_id(T0 + ms) + author


class Written:
    """Timelines that keep how many rows each call wrote or took out."""

    def __init__(self, timelines):
        self._timelines, self.sizes = timelines, []

    async def push(self, pushes):
        self.sizes.append(sum(len(push.readers) * len(push.entries) for push in pushes))
        return await self._timelines.push(pushes)

    async def retract(self, retractions):
        self.sizes.append(sum(len(one.readers) * len(one.post_ids) for one in retractions))
        return await self._timelines.retract(retractions)

    def __getattr__(self, name):
        return getattr(self._timelines, name)


class World:
    """The stores and both stages; `now` is one ms after the bound unless a test says otherwise."""

    def __init__(self, now=T0 + 1):
        self.stores, self.outbox, self.clock = memory_stores(lambda: 0.0), RecordingOutbox(), Clock(now)
        self.rows_of = Written(self.stores.timelines)
        self.margin = 0

    def stage(self, name):
        """The handler of the stage."""
        margin = MARGIN if name == BACKFILL else self.margin
        shape = shaped(window_ms=LIFE - VALID_MS, margin_seconds=margin / 1000)
        stores = replace(self.stores, timelines=self.rows_of)
        return stage(name, stores, self.outbox, clock=self.clock, topology=shape)

    async def run(self, kind, task, *, steps=10_000):
        """A task and what it leaves, again and again; how many steps it took."""
        handle, topic = self.stage(kind), f"fanout.{kind}"
        todo, done = [task], 0
        while todo and done < steps:
            at = len(self.outbox.of(topic))
            assert await handle([deliver(todo.pop(0))]) == []
            done += 1
            todo += self.outbox.of(topic)[at:]
        return done

    async def posts(self, author, *times):
        """Published at these ms from T0."""
        for ms in times:
            post = PostEvent("published", post_id(ms, author), author, T0 + ms)
            await self.stores.posts.put_posts([Placed(post, 0)], {post.post_id: -ms})
        await self.stores.routes.put_routes([RouteRecord(author, (), post_id(max(times), author))])

    async def follow(self, reader, author=AUTHOR, *, follows=True, at=T0 - 1000, **more):
        edge = Edge(reader, author, follows, at, 0, **{"covered_from": BOUND, **more})
        await self.stores.graph.put_edges([edge])

    async def rows(self, reader):
        """By author, the ms from T0 of the posts in the timeline, newest first."""
        found = await self.stores.timelines.timeline(reader, 0, NOT_COVERED, 10_000)
        return [(row.author_id, (row.post_id - BOUND) >> 22) for row in found]

    async def bound(self, reader, author=AUTHOR):
        return (await self.stores.graph.edges(author, [reader]))[reader].bound


def joined(*readers, at=T0 - 1000, bound=BOUND, author=AUTHOR):
    return RepairTask(author, readers, 0, -1, 0, bound, at=at, covered_from=bound)


def back(reader, bound=BOUND):
    return RepairTask(0, (reader,), 0, -1, 0, bound, at=T0, covered_from=bound)


def left(*readers, at=T0 - 500, lo=0, hi=NOT_COVERED):
    return RepairTask(AUTHOR, readers, 0, -1, lo, hi, at=at)


async def test_a_new_follower_gets_what_was_posted_below_the_bound():
    """Of the window; posts from the bound on are the writers'."""
    world = World()
    await world.posts(AUTHOR, -WINDOW - 10, -900, -30, -20, 0, 1)
    await world.follow(1)

    await world.run(BACKFILL, joined(1))

    assert await world.rows(1) == [(AUTHOR, ms) for ms in (-20, -30, -900)]
    assert await world.bound(1) == 0
    rows = await world.stores.timelines.timeline(1, 0, NOT_COVERED, 3)
    assert [row.hints for row in rows] == [20, 30, 900]


@pytest.mark.parametrize(("now", "slept"), [(-1500, [1.501]), (-1, [0.002]), (0, [0.001]), (1, [])])
async def test_posts_are_read_only_after_the_time_of_the_bound(now, slept):
    """Whatever is stored from then on is pushed by writers who know; limit − 1, limit, limit + 1."""
    world = World(now=T0 + now)
    await world.follow(1)

    await world.run(BACKFILL, joined(1))

    assert world.clock.slept == slept
    assert world.clock.now > T0


@pytest.mark.parametrize("followers", [1, 3, 400, 1000])
async def test_a_step_writes_a_thousand_rows_at_most_and_the_bound_comes_last(followers):
    """Cut off after any step, the bound is not fulfilled, and the task that is left goes on from there."""
    world, readers = World(), range(1, followers + 1)
    count = {1: 2500, 3: 700, 400: 5, 1000: 3}[followers]
    await world.posts(AUTHOR, *range(-count, 0))
    for reader in readers:
        await world.follow(reader)

    handle, todo = world.stage(BACKFILL), joined(*readers)
    for step in range(1, 3000):  # noqa: B007 - it says how many there were
        assert await world.bound(followers) == BOUND
        at = len(world.outbox.sent)
        await handle([deliver(todo)])
        await handle([deliver(todo)])  # comes again: the same rows, the same rest
        rest = world.outbox.of("fanout.backfill")[at:]
        if not rest:
            break
        assert rest == [rest[0]] * 2
        todo = rest[0]

    per_step = 1000 // followers
    assert step == count // per_step + 1
    assert max(world.rows_of.sizes) <= 1000
    assert await world.bound(1) == await world.bound(followers) == 0
    assert await world.rows(followers) == [(AUTHOR, ms) for ms in range(-1, -count - 1, -1)]


async def test_who_has_left_gets_nothing_and_no_bound():
    world = World()
    await world.posts(AUTHOR, -10)
    await world.follow(1, follows=False)
    await world.follow(2)

    await world.run(BACKFILL, joined(1, 2))

    assert (await world.rows(1), await world.rows(2)) == ([], [(AUTHOR, -10)])
    assert (await world.stores.graph.edges(AUTHOR, [1]))[1].caught_up == 0


async def test_an_overtaken_bound_is_not_fulfilled():
    """The reader left and came back in between: only the newer task stands for the newer bound."""
    world = World(now=T0 + 10_000)
    await world.posts(AUTHOR, -10, 10)
    newer = first_id(T0 + 5_000)
    await world.follow(1, at=T0, covered_from=newer)

    await world.run(BACKFILL, joined(1))
    assert await world.bound(1) == newer

    await world.run(BACKFILL, joined(1, at=T0, bound=newer))
    await world.run(BACKFILL, joined(1))
    assert await world.bound(1) == 0


@pytest.mark.parametrize("order", ["retract first", "backfill first"])
async def test_the_later_cause_wins_whichever_comes_first(order):
    """Left at -500, back at -400: the rows are there. Back at -500, left at -400: they are not."""
    for gone, there in ((-500, True), (-400, False)):
        world = World()
        await world.posts(AUTHOR, -900)
        await world.follow(1, at=T0 - 900 - gone)
        tasks = [(RETRACT, left(1, at=T0 + gone)), (BACKFILL, joined(1, at=T0 - 900 - gone))]
        for kind, task in tasks if order == "retract first" else reversed(tasks):
            if kind == RETRACT and not there:
                await world.follow(1, follows=False, at=T0 + gone)
            await world.run(kind, task)
        assert (await world.rows(1) != []) is there, (gone, there)


async def test_a_retraction_spares_what_was_pushed_for_a_later_post():
    """Rows of posts after the unfollow belong to a later follow; a late push of an older one does not return."""
    world = World()
    await world.posts(AUTHOR, -900, -300)

    async def push(ms):
        entry = TimelineEntry(post_id(ms), AUTHOR, 0, (T0 + ms) * 1000, 1000)
        await world.stores.timelines.push([Push([1], [entry])])

    await push(-900)
    await push(-300)
    await world.run(RETRACT, left(1, at=T0 - 500))
    await push(-900)

    assert await world.rows(1) == [(AUTHOR, -300)]


async def test_pulled_posts_have_no_rows_and_cost_no_removals():
    world = World()
    await world.posts(AUTHOR, -30, -20, -10)
    entries = (
        RouteEntry(first_id(T0 - 20), AuthorClass.PULL, ""),
        RouteEntry(first_id(T0 - 10), AuthorClass.PUSH, ""),
    )
    await world.stores.routes.put_routes([RouteRecord(AUTHOR, entries, first_id(T0))])
    await world.follow(1)

    await world.run(BACKFILL, joined(1))
    assert await world.rows(1) == [(AUTHOR, -10), (AUTHOR, -30)]

    world.rows_of.sizes.clear()
    await world.follow(1, follows=False, at=T0)
    await world.run(RETRACT, left(1, at=T0))
    assert (await world.rows(1), world.rows_of.sizes) == ([], [2])


async def test_of_a_partial_author_only_warm_readers_get_rows_from_their_bound_on():
    world = World()
    await world.posts(AUTHOR, -30, -20, -10)
    entries = (RouteEntry(first_id(T0 - 25), AuthorClass.PARTIAL, ""),)
    await world.stores.routes.put_routes([RouteRecord(AUTHOR, entries, first_id(T0))])
    await world.follow(1)
    await world.follow(2, warm_since=first_id(T0 - 10))
    await world.follow(3, warm_since=first_id(T0 - 9))

    await world.run(BACKFILL, joined(1, 2, 3))

    assert await world.rows(1) == await world.rows(3) == [(AUTHOR, -30)]
    assert await world.rows(2) == [(AUTHOR, -10), (AUTHOR, -30)]


async def test_a_post_comes_back_to_all_segments_one_a_step():
    """Restored: nobody's bound changes."""
    world = World()
    await world.posts(AUTHOR, -20, -10)
    for segment, readers in enumerate([(1, 2), (3,), (), (4,)]):
        await world.stores.graph.change_segment(SegmentChange(AUTHOR, segment, None, add=readers))
    await world.stores.graph.put_author_graphs([AuthorGraph(AUTHOR, 4, 4)])
    post = post_id(-20)

    assert await world.run(BACKFILL, RepairTask(AUTHOR, (), 0, 3, post, post + 1, at=T0)) >= 4
    assert [await world.rows(reader) for reader in (1, 2, 3, 4)] == [[(AUTHOR, -20)]] * 4

    gone = RepairTask(AUTHOR, (), 0, 3, post, post + 1, at=T0 + 1)
    await world.run(RETRACT, gone)
    assert [await world.rows(reader) for reader in (1, 2, 3, 4)] == [[(AUTHOR, -20)]] * 4, "it is shown"
    await world.stores.posts.take_down(post, ["*"], Version(T0 + 1, 0))
    await world.run(RETRACT, gone)
    assert [await world.rows(reader) for reader in (1, 2, 3, 4)] == [[]] * 4


async def test_who_returns_gets_the_posts_of_everyone_they_follow():
    """More followees than a step looks at, more posts than it writes; only then the bound is fulfilled."""
    world, authors = World(), range(2, 42)
    for author in authors:
        await world.follow(1, author, covered_from=first_id(T0 - 5_000))
        await world.posts(author, *range(-author * 5, 0))
    await world.stores.readers.put_cohorts([ReaderState(1, active=True, covered_from=BOUND, cohort_at=T0)])

    handle, todo, steps = world.stage(BACKFILL), [back(1)], 0
    while todo:
        assert (await world.stores.readers.reader(1)).bound == BOUND
        at = len(world.outbox.sent)
        await handle([deliver(todo[0])])
        todo, steps = world.outbox.of("fanout.backfill")[at:], steps + 1
        assert len(todo) <= 1 and steps < 1000

    assert max(world.rows_of.sizes) <= 1000 and steps > 3
    wanted = {(author, ms) for author in authors for ms in range(-author * 5, 0)}
    assert set(await world.rows(1)) == wanted
    assert (await world.stores.readers.reader(1)).bound == 0


async def test_a_return_goes_on_where_it_stopped_when_followees_leave_and_join():
    """The followee the last step stopped in is gone: the one after it is read from the bound on."""
    world = World()
    for author in (10, 11, 12):
        await world.follow(1, author, covered_from=1)
        await world.posts(author, *range(-100, 0))
    handle = world.stage(BACKFILL)

    await handle([deliver(back(1))])
    (rest,) = world.outbox.of("fanout.backfill")
    assert (rest.after_author, rest.hi) == (9, post_id(-62, 10))
    await world.stores.graph.put_edges([Edge(1, 10, False, T0, 0)])
    await world.run(BACKFILL, rest)

    rows = await world.rows(1)
    assert {ms for author, ms in rows if author == 11} == set(range(-100, 0))
    assert {ms for author, ms in rows if author == 12} == set(range(-100, 0))


async def test_a_return_that_was_overtaken_fulfils_nothing():
    world = World(now=T0 + 10_000)
    newer = first_id(T0 + 5_000)
    await world.stores.readers.put_cohorts([ReaderState(1, active=True, covered_from=newer, cohort_at=T0)])

    await world.run(BACKFILL, back(1))
    assert (await world.stores.readers.reader(1)).bound == newer
    await world.run(BACKFILL, back(1, newer))
    assert (await world.stores.readers.reader(1)).bound == 0


@pytest.mark.parametrize("kind", [BACKFILL, RETRACT])
async def test_nothing_waits_longer_than_a_margin_for_a_time_that_a_record_names(kind):
    """An hour ahead, as a clock that is wrong may say; behind it, everybody else's repairs wait."""
    world = World()
    world.margin = MARGIN
    await world.posts(AUTHOR, -10)
    await world.follow(1)
    hour = first_id(T0 + 3_600_000)

    await world.run(kind, RepairTask(AUTHOR, (1,), 0, -1, 0, hour, at=T0 + 3_600_000, covered_from=hour))

    assert world.clock.slept == [MARGIN / 1000]


@pytest.mark.parametrize(("takes", "slept"), [([500, 500], []), ([1000, 1], [0.001]), ([3000], [2.0])])
async def test_a_second_worth_of_rows_may_come_at_once_and_no_more(takes, slept):
    clock = Clock(100_000)
    pace = Pace(1000, lambda: False, clock)
    for rows in takes:
        await pace.take(rows)

    assert [round(one, 6) for one in clock.slept] == slept


async def test_the_pace_holds_over_time():
    """After a long rest one second's worth comes at once, and then the rate holds."""
    clock = Clock(200_000)
    pace = Pace(1000, lambda: False, clock)
    for _ in range(100):
        await pace.take(100)

    assert clock.monotonic_s() == pytest.approx(209.0, abs=0.01)


async def test_nothing_is_written_while_live_tiers_are_behind():
    looks, clock = iter([True, True, False]), Clock()

    await Pace(1000, lambda: next(looks), clock).take(1)

    assert clock.slept == [0.25, 0.25]


@pytest.mark.parametrize(("bound", "kept"), [(0, [-10, -20]), (first_id(T0 - 15), [-10]), (NOT_COVERED, [])])
async def test_a_late_retraction_leaves_what_is_relied_upon(bound, kept):
    """The reader is back by then: only rows below the bound of the edge may go."""
    world = World()
    await world.posts(AUTHOR, -20, -10)
    await world.follow(1, covered_from=bound)
    entries = [TimelineEntry(post_id(ms), AUTHOR, 0, (T0 + ms) * 1000, 1000) for ms in (-20, -10)]
    await world.stores.timelines.push([Push([1], entries)])

    await world.run(RETRACT, left(1, at=T0))

    assert await world.rows(1) == [(AUTHOR, ms) for ms in kept]


async def test_readers_who_came_back_together_are_done_together():
    """Rows of each as of their own return; a group with a return that was overtaken fulfils the others' bounds."""
    world, newer = World(), first_id(T0 + 5_000)
    await world.posts(AUTHOR, -20)
    await world.posts(OTHER, -30)
    for reader, author in ((1, AUTHOR), (2, AUTHOR), (2, OTHER), (4, OTHER)):
        await world.follow(reader, author)
    bounds = {1: (BOUND, T0 - 9), 2: (BOUND, T0 + 7), 3: (BOUND, T0), 4: (newer, T0 + 5)}
    await world.stores.readers.put_cohorts(
        [ReaderState(r, active=True, covered_from=b, cohort_at=at) for r, (b, at) in bounds.items()]
    )

    together = RepairTask(0, (1, 2, 3, 4), 0, -1, 0, BOUND, at=T0 + 7, covered_from=BOUND)
    assert await world.run(BACKFILL, together) == 1

    states = await world.stores.readers.readers([1, 2, 3, 4])
    assert [states[r].bound for r in (1, 2, 3, 4)] == [0, 0, 0, newer]
    assert [await world.rows(r) for r in (1, 2, 4)] == [
        [(AUTHOR, -20)],
        [(AUTHOR, -20), (OTHER, -30)],
        [(OTHER, -30)],
    ]
    await world.stores.timelines.retract([Retraction([1, 2], [post_id(-20)], T0 * 1000)])
    assert [await world.rows(r) for r in (1, 2)] == [[], [(AUTHOR, -20), (OTHER, -30)]]


@pytest.mark.parametrize(("followees", "steps"), [(0, 1), (63, 1), (64, 2), (65, 2), (128, 3)])
async def test_of_authors_who_never_posted_nothing_is_read(followees, steps):
    """They are passed over, 64 a step; limit − 1, limit and limit + 1."""
    world = World()
    await world.stores.readers.put_cohorts([ReaderState(1, active=True, covered_from=BOUND, cohort_at=T0)])
    for author in range(100, 100 + followees):
        await world.follow(1, author)
    world.stores = replace(world.stores, posts=None)

    assert await world.run(BACKFILL, back(1)) == steps

    assert (await world.stores.readers.reader(1)).bound == 0


async def test_a_crowd_that_woke_together_is_done_at_once_but_for_those_who_follow():
    """Most have just come: a bound is fulfilled for whoever has no edge, the others get a task in groups."""
    world, crowd = World(), range(1, 66)
    await world.posts(AUTHOR, -20)
    await world.follow(2)
    await world.follow(65)
    await world.stores.readers.put_cohorts(
        [ReaderState(r, active=True, covered_from=BOUND, cohort_at=1) for r in crowd]
    )
    woken = RepairTask(0, tuple(crowd), 0, -1, 0, BOUND, at=T0, covered_from=BOUND)

    await world.run(BACKFILL, woken, steps=1)
    states = await world.stores.readers.readers(crowd)
    assert [r for r in crowd if states[r].bound] == [2, 65]

    await world.run(BACKFILL, world.outbox.of("fanout.backfill")[-1])
    assert (await world.stores.readers.reader(2)).bound == (await world.stores.readers.reader(65)).bound == 0
    assert await world.rows(2) == await world.rows(65) == [(AUTHOR, -20)]

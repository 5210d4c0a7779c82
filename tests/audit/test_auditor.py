"""The auditor on the in-memory stores: silent where all is well, exact where a fault is planted."""

import asyncio
from dataclasses import replace

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from pipeline.audit import expectation
from pipeline.audit.auditor import SECOND_LOOK_MS, SHARE, AuditLimits, Auditor
from pipeline.audit.verdicts import Verdict
from pipeline.domain.audit import Feed, Served
from pipeline.domain.audit_rows import LATE_MS, path_owed
from pipeline.domain.budgets import Tier
from pipeline.domain.merge import Row
from pipeline.errors import TidelineError
from pipeline.store.values import NOT_COVERED, AuthorGraph, Edge, ReaderState
from pipeline.wire.enums import DeliveryPath
from pipeline.wire.records import AuthorClass, Suspension
from tests.domain.examples import at_least
from tests.query.feeds import AS_OF, MARGIN, READER, T0, WINDOW, Author, World, at, worlds

TIERS = [Tier("small", 100, 1.0), Tier("large", None, 5.0)]
PATIENCE = 1_000
RIPE = -1_000_000
"""A patience with which every lack of a post counts at the first look."""


class Timelines:
    """The timelines of a store without the rows of `lost` posts, and with the rows `added`."""

    def __init__(self, timelines):
        self._timelines, self.lost, self.added = timelines, set(), []

    async def timeline(self, reader_id, lo, hi, limit, *, gone=False):
        rows = [*await self._timelines.timeline(reader_id, lo, hi, 10_000), *self.added]
        kept = [row for row in rows if row.post_id not in self.lost and lo <= row.post_id < hi]
        return sorted(kept, key=lambda row: -row.post_id)[:limit]


class Scene:
    """A world whose pages are audited, and the clock. Pauses move the time; `between` is called in each."""

    def __init__(self, world, *, patience=RIPE, window=WINDOW):
        self.world, self.now, self.looks, self.pauses = world, T0 + AS_OF, 0, []
        self.spoil, self.between = lambda posts: posts, lambda: None
        self.behind = {}
        self.rows = Timelines(world.stores.timelines)
        world.stores = replace(world.stores, timelines=self.rows)
        world.query = world.query_on(world.stores)
        limits = AuditLimits(window, MARGIN, patience, edge_ms=0)
        self.auditor = Auditor(world.stores, self.serve, limits, TIERS, self, self.asked)

    async def serve(self, reader_id, down_to):
        self.looks, self.down_to = self.looks + 1, down_to
        pages = await self.world.session(50)
        posts = [
            Served(item.post.post_id, item.post.author_id, item.post.body, item.path)
            for page in pages
            for item in page.items
        ]
        return Feed(self.spoil(posts), len(pages), 0)

    async def asked(self):
        return dict(self.behind)

    def now_ms(self):
        return self.now

    async def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += round(seconds * 1000)
        self.between()


async def settled(world):
    """The write path's work: `World` keeps the routes to itself."""
    scratch = world.stores.timelines
    world.stores = replace(world.stores, timelines=scratch._timelines)
    await world.settle()
    world.stores = replace(world.stores, timelines=scratch)
    await world.stores.routes.put_routes(list(world.routes.values()))


def examined(scene):
    async def run():
        await settled(scene.world)
        return await scene.auditor.examine(READER)

    return asyncio.run(run())


def faults(verdict):
    return {(one.finding.kind, one.finding.post_id) for one in verdict.faults}


@at_least(200)
@given(worlds)
def test_a_world_in_order_has_no_faults(world):
    """Whatever classes, bounds, policies and redundant rows there are."""
    verdict = examined(Scene(world))

    assert verdict.faults == []
    assert sum(verdict.posts.values()) == len(world.shown())


def owed_rows(world):
    """Posts of the feed that only a row can bring, for nothing but the class of their author."""
    shown = set(world.shown())

    def plain_push(author, ms):
        return {author.class_of(near) for near in range(ms - MARGIN, ms + MARGIN + 1)} == {AuthorClass.PUSH}

    return [
        author.id_of(ms)
        for author in world.authors
        for ms in author.posts
        if ms >= AS_OF - WINDOW and author.owed(ms) and plain_push(author, ms) and author.id_of(ms) in shown
    ]


@at_least(200)
@given(worlds, st.data())
def test_exactly_the_rows_that_are_deleted_are_found(world, data):
    """Each as a post that is missing on the page and as a row that is missing."""
    owed = owed_rows(world)
    lost = data.draw(st.sets(st.sampled_from(owed))) if owed else set()
    scene = Scene(world)
    scene.rows.lost = lost

    verdict = examined(scene)

    assert faults(verdict) == {(kind, post) for kind in ("missing", "row_missing") for post in lost}
    assert {one.finding.path for one in verdict.faults} <= {"push"}


@at_least(200)
@given(worlds, st.data())
def test_a_lost_route_loses_what_nothing_but_the_route_brings(world, data):
    """The query forgets the route of an author: exactly what is on no page then is missing, on the pull path."""
    scene = Scene(world)

    async def run():
        await settled(world)
        whole = {item.post.post_id for page in await world.session(50) for item in page.items}
        if world.routes:
            world.routes.pop(data.draw(st.sampled_from(sorted(world.routes))))
        left = {item.post.post_id for page in await world.session(50) for item in page.items}
        return whole - left, await scene.auditor.examine(READER)

    gone, verdict = asyncio.run(run())

    assert faults(verdict) == {("missing", post) for post in gone}
    assert {one.finding.path for one in verdict.faults} <= {"pull"}


@at_least(100)
@given(worlds, st.sets(st.integers(60, AS_OF), min_size=1, max_size=5))
def test_rows_of_strangers_are_counted_and_are_no_fault(world, times):
    scene = Scene(world)
    extra = [Row(at(ms, 99), 99, 0) for ms in times]
    scene.rows.added = extra

    verdict = examined(scene)

    assert verdict.faults == []
    assert {row.post_id for row in extra} <= {one.finding.post_id for one in verdict.found}
    assert {one.finding.kind for one in verdict.found} == {"row_left"}


def small(*, posts=(100, 150), **more):
    """One followed author, whom everybody pushes."""
    return World([Author(posts=dict.fromkeys(posts, ""), **more)])


def test_a_stale_route_hides_the_newest_post():
    world = small(classes=[(40, AuthorClass.PULL)], rows_kept=False)
    scene = Scene(world)

    async def run():
        await settled(world)
        route = world.routes[10]
        world.routes[10] = replace(route, latest_post_id=at(100, 10))
        return await scene.auditor.examine(READER)

    verdict = asyncio.run(run())

    assert faults(verdict) == {("missing", at(150, 10))}
    assert [one.labels for one in verdict.faults] == [("pull", "active", "pull")]
    assert verdict.faults[0].where == "author.routes or the API"


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lambda posts: [posts[0], *posts], "duplicate"),
        (lambda posts: posts[::-1], "misordered"),
        (lambda posts: [replace(posts[0], body="old"), *posts[1:]], "stale"),
        (lambda posts: [Served(at(240, 7), 10, "", "push"), *posts], "extra"),
    ],
)
def test_what_is_wrong_on_a_page_is_found(spoil, kind):
    scene = Scene(small(), window=10**9)
    scene.spoil = spoil

    verdict = examined(scene)

    assert [one.finding.kind for one in verdict.faults] == [kind]
    assert verdict.faults[0].next == f"tideline timeline {READER} --explain"


@pytest.mark.parametrize("fact", ["left", "suspended", "muted", "blocked", "blocks"])
def test_what_must_not_be_seen_is_found(fact):
    scene = Scene(small(fact=fact), window=10**9)
    scene.spoil = lambda _: [Served(at(150, 10), 10, "150", "push")]

    assert faults(examined(scene)) == {("forbidden", at(150, 10))}


def test_a_post_on_its_way_is_no_finding_and_is_not_waited_for_longer_than_it_takes():
    """Its row comes in the second pause; the way of a post is a second here."""
    scene = Scene(small(), patience=PATIENCE, window=10**9)
    scene.rows.lost = {at(150, 10)}
    scene.between = lambda: scene.rows.lost.clear() if len(scene.pauses) == 2 else None

    verdict = examined(scene)

    assert verdict.faults == []
    assert (scene.looks, scene.pauses) == (3, [0.25, 0.5])


def test_what_is_still_missing_when_it_had_its_time_is_found():
    """Made 100 ms ago, a margin of 10 ms: it counts from 1,000 ms after the first look."""
    scene = Scene(small(), patience=PATIENCE, window=10**9)
    scene.rows.lost = {at(150, 10)}

    verdict = examined(scene)

    assert faults(verdict) == {("missing", at(150, 10)), ("row_missing", at(150, 10))}
    assert sum(scene.pauses) == PATIENCE / 1000


def test_what_waits_in_a_tier_that_is_behind_is_late_and_its_row_is_not_told_beside_it():
    """The tier of the author has not done what was published at the post's time; counted like one missing."""
    scene = Scene(small(), patience=PATIENCE, window=10**9)
    scene.rows.lost = {at(150, 10)}
    scene.behind = {"small": T0 + 150}

    verdict = examined(scene)

    assert faults(verdict) == {("late", at(150, 10))}
    [late] = verdict.faults
    assert (late.labels, late.where, late.next) == (
        ("push", "active", "push"),
        "fanout.small",
        "tideline lag",
    )
    assert verdict.posts[late.labels] == 2
    assert sum(scene.pauses) == PATIENCE / 1000


@pytest.mark.parametrize(
    ("behind", "age_ms"), [({"large": 0}, 0), ({"small": 10**8}, 0), ({"small": 0}, LATE_MS)]
)
def test_what_its_tier_does_not_explain_is_missing_at_once(behind, age_ms):
    """Another tier is behind; this one is, but with what is younger; or it has been for an hour."""
    scene = Scene(small(), patience=PATIENCE, window=10**9)
    scene.rows.lost = {at(150, 10)}
    scene.behind = {tier: T0 + ms for tier, ms in behind.items()}
    scene.now += age_ms

    assert faults(examined(scene)) == {("missing", at(150, 10)), ("row_missing", at(150, 10))}


def test_a_tier_that_has_caught_up_before_the_last_look_explains_nothing():
    scene = Scene(small(), patience=PATIENCE, window=10**9)
    scene.rows.lost, scene.behind = {at(150, 10)}, {"small": T0}
    scene.between = lambda: scene.behind.clear() if sum(scene.pauses) == PATIENCE / 1000 else None

    assert {kind for kind, _ in faults(examined(scene))} == {"missing", "row_missing"}


def test_a_tier_that_catches_up_during_the_last_look_is_asked_before_it():
    """Asked after it, it would explain nothing, and what came too late for the look would be missing."""
    scene = Scene(small(), patience=PATIENCE, window=10**9)
    scene.rows.lost, scene.behind = {at(150, 10)}, {"small": T0}

    def catch_up(posts):
        if sum(scene.pauses) == PATIENCE / 1000:
            scene.behind.clear()
        return posts

    scene.spoil = catch_up

    assert {kind for kind, _ in faults(examined(scene))} == {"late"}


def test_a_post_that_is_younger_than_its_way_has_the_rest_of_it():
    """Made now: what counts is margin and patience from its publish on."""
    scene = Scene(small(posts=(AS_OF,)), patience=PATIENCE, window=10**9)
    scene.rows.lost = {at(AS_OF, 10)}

    verdict = examined(scene)

    assert len(verdict.faults) == 2
    assert sum(scene.pauses) == (PATIENCE + MARGIN) / 1000


def test_a_page_that_was_wrong_once_is_no_finding():
    scene = Scene(small(), window=10**9)
    scene.spoil = lambda posts: posts[::-1] if scene.looks == 1 else posts

    assert examined(scene).faults == []


def test_what_the_last_look_sees_first_is_left_to_the_next_audit():
    """It had no time yet."""
    scene = Scene(small(), window=10**9)
    scene.spoil = lambda posts: posts[::-1] if scene.looks == 1 else [posts[0], *posts]

    assert examined(scene).faults == []


def test_a_page_that_stays_wrong_is_looked_at_until_views_have_moved():
    scene = Scene(small(), window=10**9)
    scene.spoil = lambda posts: posts[::-1]

    assert examined(scene).faults
    assert sum(scene.pauses) == SECOND_LOOK_MS / 1000


def test_a_finding_names_the_tier_of_its_author():
    scene = Scene(small())
    scene.rows.lost = {at(150, 10)}

    async def run():
        await settled(scene.world)
        await scene.world.stores.graph.put_author_graphs([AuthorGraph(10, 100, 1)])
        return await scene.auditor.examine(READER)

    assert {one.where for one in asyncio.run(run()).faults} == {"fanout.large or timeline_by_reader"}


def test_a_reader_nobody_knows_is_dormant_and_no_row_is_owed(monkeypatch):
    world = small(covered_ms=None)

    async def nothing(_):
        return None

    monkeypatch.setattr(world.stores.readers, "put_accounts", nothing)
    monkeypatch.setattr(world.stores.readers, "put_cohorts", nothing)

    verdict = examined(Scene(world))

    assert verdict.faults == []
    assert {cohort for _, cohort, _ in verdict.posts} == {"dormant"}


@pytest.mark.parametrize(
    ("state", "edge", "suspension", "expected"),
    [
        (ReaderState(1, active=True, covered_from=5), Edge(1, 2, True, 0, 0, 3), None, 5),
        (ReaderState(1, active=True, covered_from=3), Edge(1, 2, True, 0, 0, 5), None, 5),
        (
            ReaderState(1, active=True, covered_from=3),
            Edge(1, 2, True, 0, 0, 4),
            Suspension(2, False, 7, 0),
            7,
        ),
        (ReaderState(1, active=True, covered_from=9, caught_up=9), Edge(1, 2, True, 0, 0, 4), None, 4),
        (
            ReaderState(1, active=True, covered_from=9, caught_up=9),
            Edge(1, 2, True, 0, 0, 4, caught_up=4),
            None,
            0,
        ),
        (ReaderState(1, active=False, covered_from=0), Edge(1, 2, True, 0, 0, 0), None, NOT_COVERED),
        (ReaderState(1), Edge(1, 2, True, 0, 0, 0), None, NOT_COVERED),
    ],
)
def test_rows_are_owed_from_the_highest_of_three_bounds_on(state, edge, suspension, expected):
    """Of the edge, the reader and the author; a backfill lifts the first two, a dormant reader has no rows."""
    assert expectation.bound_of(state, edge, suspension) == expected


@at_least(100)
@given(worlds, st.integers(1, 8), st.integers(1, 12))
def test_who_has_more_posts_than_are_looked_at_is_audited_from_the_oldest_of_them_on(world, each, most):
    """No fault is made up, and a lost row of the newest post owed is found when it is in reach."""
    known = expectation.POSTS_OF_ONE_AUTHOR, expectation.MAX_POSTS
    expectation.POSTS_OF_ONE_AUTHOR, expectation.MAX_POSTS = each, most
    try:
        verdict = examined(Scene(world))
    finally:
        expectation.POSTS_OF_ONE_AUTHOR, expectation.MAX_POSTS = known

    assert verdict.faults == []


@pytest.mark.parametrize(
    ("each", "most", "down_to"), [(2, 100, at(140, 10)), (5, 3, at(130, 10)), (5, 100, at(AS_OF - WINDOW))]
)
def test_pages_are_asked_for_down_to_where_posts_are_known(monkeypatch, each, most, down_to):
    """Of four posts the newest two of the author are read, or the newest three of all, or all in the window."""
    monkeypatch.setattr(expectation, "POSTS_OF_ONE_AUTHOR", each)
    monkeypatch.setattr(expectation, "MAX_POSTS", most)
    scene = Scene(small(posts=(120, 130, 140, 150), rows_kept=False))

    examined(scene)

    assert scene.down_to == down_to


def counted(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0


async def test_the_stage_goes_round_all_readers_counts_and_logs():
    """There is one: it is looked at twice, wherever the round began."""
    scene = Scene(small(), window=10**9)
    scene.rows.lost = {at(150, 10)}
    where = {"author_class": "push", "cohort": "active", "path": "push"}
    before = counted("tideline_audit_findings_total", kind="row_missing", **where)
    readers = counted("tideline_audit_readers_total")
    await settled(scene.world)

    class EnoughError(Exception):
        pass

    def end():
        if counted("tideline_audit_readers_total") - readers == 2:
            raise EnoughError

    scene.between = end
    with structlog.testing.capture_logs() as logs, pytest.raises(EnoughError):
        await scene.auditor.run()

    assert counted("tideline_audit_findings_total", kind="row_missing", **where) == before + 2
    told = [line for line in logs if line["event"] == "audit.row_missing"]
    assert told[0]["reader"] == READER
    assert told[0]["post"] == at(150, 10)
    assert told[0]["next"] == f"tideline audit --reader {READER}"


async def test_the_stage_looks_at_a_reader_a_second_at_most_and_in_its_share_of_the_time():
    """A verdict that took 10 ms lets it pause for the period, one that took 100 ms for 5 s."""
    scene = Scene(small())
    await settled(scene.world)
    took = iter([0.01, 0.1])

    class Timed(Auditor):
        async def examine(self, reader_id):
            seconds = next(took, None)
            if seconds is None:
                raise asyncio.CancelledError
            return Verdict(reader_id, 1, 0, {}, [], seconds)

    timed = Timed(*(getattr(scene.auditor, name) for name in Auditor.__slots__))
    with pytest.raises(asyncio.CancelledError):
        await timed.run(1.0)

    assert [pause for pause in scene.pauses if pause > 1] == [0.1 / SHARE]
    assert 1.0 in scene.pauses


async def test_the_stage_goes_on_after_an_api_that_cannot_be_asked():
    scene = Scene(small())
    await settled(scene.world)
    looks = 0

    async def serve(reader_id, down_to):
        nonlocal looks
        looks += 1
        if looks == 3:
            raise asyncio.CancelledError
        raise TidelineError("away", "tideline status")

    with structlog.testing.capture_logs() as logs, pytest.raises(asyncio.CancelledError):
        await replace(scene.auditor, serve=serve).run()

    assert [line["event"] for line in logs] == ["audit.impossible"] * 2


def test_the_path_of_the_rule_is_the_path_of_the_world():
    """`World.owed` is the guarantee of the write path."""
    author = Author(posts={}, classes=[(100, AuthorClass.PULL), (200, AuthorClass.PUSH)], covered_ms=50)
    world = World([author])
    asyncio.run(world.add(author, dict.fromkeys(range(30, 250), "")))
    entries = world.routes[10].entries

    for ms in range(30, 250):
        path = path_owed(author.id_of(ms), entries, author.id_of(50), margin_ms=MARGIN)
        assert (path == DeliveryPath.PUSH) is author.owed(ms), ms

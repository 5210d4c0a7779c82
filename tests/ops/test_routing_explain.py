"""`tideline routing explain`: the numbers behind a class, and from when to when a reader is pushed to."""

import json

import pytest

from pipeline import topology
from pipeline.cli._routing_explained import author_document, author_lines, pair_document, pair_lines
from pipeline.domain.order import Version
from pipeline.domain.routing import Thresholds
from pipeline.domain.snowflake import first_id
from pipeline.errors import TidelineError
from pipeline.ops import routing_explain
from pipeline.ops.routing_explain import RulesInForce, Span
from pipeline.store.memory import memory_stores
from pipeline.store.values import NOT_COVERED, AuthorGraph, Edge, ReaderState
from pipeline.wire.records import AuthorClass, CostSample, ForcedClass, RouteEntry, RouteRecord

READER, AUTHOR, NOW, DAY = 1, 7, 1_700_000_000_000, 86_400_000
PUSH, PARTIAL, PULL = AuthorClass.PUSH, AuthorClass.PARTIAL, AuthorClass.PULL
LOADED = topology.load(profile="small-graph")
"""margin 2 s, window 30 days; tiers below 50, below 300, and the rest."""

START = NOW - 30 * DAY
SAMPLES = [
    CostSample("row_seconds@fanout.large", 2e-5, NOW - 9_000),
    CostSample("pull_seconds@api", 2e-3, NOW - 4_000),
    CostSample("reads_per_second@api", 1 / 600, NOW - 5_000),
]


def rules(**changes):
    given = {
        "topology": LOADED,
        "thresholds": Thresholds(1_000, 5_000, 0.2, 0),
        "forced": {},
        "samples": [],
        "contained": {},
        "now_ms": NOW,
    }
    return RulesInForce(**given | changes)


class World:
    """An author of 900 followers, whose last post is an hour old, and a reader."""

    def __init__(self):
        self.stores = memory_stores(lambda: 0.0)

    async def author(self, followers=900, entries=()):
        await self.stores.graph.put_author_graphs([AuthorGraph(AUTHOR, followers, 1)])
        await self.stores.routes.put_routes([RouteRecord(AUTHOR, tuple(entries), first_id(NOW - 3_600_000))])

    async def edge(self, *, active=True, reader_covered=0, **fields):
        await self.stores.readers.put_cohorts(
            [ReaderState(READER, active=active, covered_from=reader_covered, cohort_at=NOW)]
        )
        given = {"follows": True, "at": NOW - DAY, "segment": 0, "covered_from": 0}
        await self.stores.graph.put_edges([Edge(READER, AUTHOR, **given | fields)])

    async def explained(self, now=None):
        now = now or rules()
        found = await routing_explain.author(self.stores, now, AUTHOR)
        return author_document(found, now), "\n".join(author_lines(found, now))

    async def pair(self, now=None):
        now = now or rules()
        found = await routing_explain.pair(self.stores, now, READER, AUTHOR)
        return found, pair_document(found, now), "\n".join(pair_lines(found, now))


def entry(ago_ms, author_class, reason="900 followers, push below 1000, pull from 5000"):
    return RouteEntry(first_id(NOW - ago_ms), author_class, reason)


async def test_a_plain_push_author_has_no_history_and_says_so():
    world = World()
    await world.author()

    document, text = await world.explained()

    assert (document["class"], document["history"], document["tier"]) == ("push", [], "large")
    assert document["thresholds"]["in_force"] == {"push_below": 1_000, "pull_above": 5_000}
    assert document["next_post"] == {
        "class": "push",
        "reason": "900 followers, push below 1000, pull from 5000",
    }
    assert "no route record" in document["reason"]
    assert "not measured yet" in text


async def test_the_history_is_told_with_times_and_the_limits_with_their_hysteresis():
    """An author who has been partial is so until below 800."""
    world = World()
    await world.author(entries=[entry(2 * DAY, PARTIAL, "1100 followers, push below 1000, pull from 5000")])

    document, text = await world.explained()

    assert document["class"] == "partial"
    assert document["history"] == [
        {
            "since_post_id": str(first_id(NOW - 2 * DAY)),
            "since": NOW - 2 * DAY,
            "class": "partial",
            "reason": "1100 followers, push below 1000, pull from 5000",
        }
    ]
    assert document["thresholds"]["in_force"] == {"push_below": 800, "pull_above": 5_000}
    assert document["next_post"]["class"] == "partial"
    assert "partial, because 1100 followers" in text


async def test_a_forced_class_is_told_before_the_post_that_it_will_change():
    world = World()
    await world.author()
    forced = ForcedClass(AUTHOR, PULL, "launch party", NOW - 1)

    document, text = await world.explained(rules(forced={AUTHOR: forced}))

    assert document["forced"] == {"class": "pull", "reason": "launch party", "at": NOW - 1}
    assert (document["class"], document["next_post"]) == (
        "push",
        {"class": "pull", "reason": "forced: launch party"},
    )
    assert "next post   pull, because forced: launch party" in text


async def test_the_numbers_behind_push_and_pull_are_those_of_a_post_made_now():
    """900 readers with a page each ten minutes; posts an hour apart, 720 of them in the window."""
    world = World()
    await world.author()

    document, text = await world.explained(rules(samples=SAMPLES))

    assert document["costs"] == {
        "row_seconds": 2e-5,
        "pull_seconds": 2e-3,
        "reads_per_second": 1 / 600,
        "measured_at": NOW - 4_000,
    }
    assert document["comparison"] == {
        "readers": 900,
        "reads_in_window": pytest.approx(3_888_000),
        "posts_sharing_a_pull": pytest.approx(720),
        "push_seconds": pytest.approx(0.018),
        "pull_seconds": pytest.approx(10.8),
    }
    assert "pulling 10.8 s" in text
    assert json.dumps(document)


@pytest.mark.parametrize(("floor", "told"), [(900, False), (901, True)])
async def test_below_the_floor_costs_are_told_to_have_no_say(floor, told):
    world = World()
    await world.author()

    _, text = await world.explained(rules(samples=SAMPLES, thresholds=Thresholds(1_000, 5_000, 0.2, floor)))

    assert ("no say below" in text) == told


async def test_who_nobody_has_heard_of_is_an_error():
    world = World()

    with pytest.raises(TidelineError, match="nobody has heard of author 7"):
        await world.explained()
    await world.author()
    with pytest.raises(TidelineError, match="nobody has heard of reader 1"):
        await world.pair()
    await world.stores.readers.put_seen({READER: NOW})
    assert (await world.pair())[1]["follows"] is False


async def test_the_window_is_cut_into_pushed_and_pulled():
    """
    ::

        edge      pulled │ covered from 20 days ago (and 2 s of margin)
        class     push             10 days ago: pull    9 days ago: push
        window    ├pull──┤push─────┤pull────────────────┤push──────────▶
    """
    world = World()
    await world.author(entries=[entry(10 * DAY, PULL), entry(9 * DAY, PUSH)])
    await world.edge(covered_from=first_id(NOW - 20 * DAY))

    found, document, text = await world.pair()

    assert found.spans == (
        Span("pull", START, NOW - 20 * DAY + 2_000),
        Span("push", NOW - 20 * DAY + 2_000, NOW - 10 * DAY - 2_000),
        Span("pull", NOW - 10 * DAY - 2_000, NOW - 9 * DAY + 2_000),
        Span("push", NOW - 9 * DAY + 2_000, None),
    )
    assert document["spans"][-1] == {"path": "push", "from": NOW - 9 * DAY + 2_000, "to": None}
    assert (document["follows"], document["edge"]["covered_from"]) == (True, NOW - 20 * DAY)
    assert document["author"]["class"] == "push"
    assert [line.split()[0] for line in text.splitlines() if line.startswith("  pu")] == [
        *("pull", "push", "pull", "push")
    ]


async def test_an_edge_that_is_not_covered_pulls_the_whole_window():
    world = World()
    await world.author()
    await world.edge(covered_from=NOT_COVERED)

    found, document, text = await world.pair()

    assert found.spans == (Span("pull", START, None),)
    assert document["edge"]["covered_from"] is None
    assert "covered from never" in text


@pytest.mark.parametrize(
    ("edge", "pulled_until", "words"),
    [
        ({}, None, "active, covered from"),
        ({"active": False}, "ever", "dormant"),
        ({"reader_covered": first_id(NOW - DAY)}, NOW - DAY + 2_000, "active, covered from"),
        ({"covered_from": first_id(NOW - 2 * DAY)}, NOW - 2 * DAY + 2_000, "active, covered from"),
    ],
)
async def test_the_highest_bound_of_edge_and_reader_counts(edge, pulled_until, words):
    """A dormant reader is pulled for everything; one who came back, until back-fill has caught up."""
    world = World()
    await world.author()
    await world.edge(**edge)

    found, document, text = await world.pair()

    pulls = [span.to_ms or "ever" for span in found.spans if span.path == "pull"]
    assert pulls == ([] if pulled_until is None else [pulled_until])
    assert document["reader"]["active"] is edge.get("active", True)
    assert f"reader      {words}" in text


async def test_a_bound_that_backfill_has_fulfilled_pulls_nothing():
    world = World()
    await world.author()
    bound = first_id(NOW - 2 * DAY)
    await world.edge(covered_from=bound)
    await world.stores.graph.put_caught_up(AUTHOR, [READER], bound)

    found, document, text = await world.pair()

    assert found.spans == (Span("push", START, None),)
    assert document["edge"]["caught_up"] is True
    assert "and caught up" in text


@pytest.mark.parametrize("follows", [True, False])
async def test_who_does_not_follow_has_no_paths(follows):
    """Also when they once did."""
    world = World()
    await world.author()
    await world.edge(follows=follows)

    found, _, text = await world.pair()

    assert bool(found.spans) is follows
    assert ("does not follow" in text) is not follows


@pytest.mark.parametrize(
    ("fact", "reason"),
    [
        ("block", "the reader blocks the author"),
        ("blocked", "the author blocks the reader"),
        ("mute", "the reader mutes the author"),
        ("suspended", "the author is suspended"),
    ],
)
async def test_what_hides_an_author_from_a_reader_is_told(fact, reason):
    world = World()
    await world.author()
    await world.edge()
    match fact:
        case "suspended":
            await world.stores.readers.set_suspended(AUTHOR, True, Version(NOW, 0))
        case "blocked":
            await world.stores.readers.relate(AUTHOR, READER, "block", True, Version(NOW, 0))
        case _:
            await world.stores.readers.relate(READER, AUTHOR, fact, True, Version(NOW, 0))

    _, document, text = await world.pair()

    assert document["hidden_because"] == [reason]
    assert f"nothing is shown: {reason}" in text

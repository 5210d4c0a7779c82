"""What each stage is made of: its ports, its views, its settings, in path order. No logic."""

import asyncio
from collections.abc import Callable
from functools import partial
from pkgutil import resolve_name
from typing import Any

from aiohttp import web

from pipeline import path
from pipeline.audit import feeds
from pipeline.audit.auditor import Auditor
from pipeline.audit.live import auditor_of
from pipeline.auth.home_keys import tokens_of
from pipeline.clock import Clock
from pipeline.control import health_topic
from pipeline.control.controller import Classified, Controller
from pipeline.control.controller_metrics import JournalMetrics
from pipeline.control.costs import MeanCost, MeasuredTimelines, tell
from pipeline.control.groups import CONTROLLERS
from pipeline.control.live_health import LiveHealth
from pipeline.control.throttle import Throttle
from pipeline.control.tiers_behind import tiers_behind
from pipeline.domain import cost
from pipeline.domain.arrivals import Arrivals
from pipeline.domain.budgets import Tier
from pipeline.domain.containment import Kind
from pipeline.domain.control import Rules
from pipeline.domain.routing import Thresholds
from pipeline.kafka.emit import Emit
from pipeline.kafka.leader import Leader
from pipeline.kafka.ports import Handler
from pipeline.kafka.quotas import Quotas
from pipeline.path import tier_of, tier_stage
from pipeline.runtime import serving
from pipeline.runtime.resources import LiveResources, Resources
from pipeline.stages.active_readers import ActiveReaders
from pipeline.stages.ask import Ask
from pipeline.stages.backfill import Backfill
from pipeline.stages.classify import Classify, Retention
from pipeline.stages.counters import Counters
from pipeline.stages.erase import Erase, Erasing, Removals
from pipeline.stages.erased import ErasedAccounts, forgetting
from pipeline.stages.fanout import Fanout
from pipeline.stages.graph import Graph
from pipeline.stages.moderation import Moderation
from pipeline.stages.overrides import Overrides
from pipeline.stages.pace import Pace, holding
from pipeline.stages.readers import Readers
from pipeline.stages.retract import Retract
from pipeline.stages.segment_cache import SegmentCache
from pipeline.stages.sweep import Sweep
from pipeline.stages.warmth import Warmth
from pipeline.topology import TierSpec
from pipeline.web import api as http

CACHED_SEGMENTS = 512
"""Segments a writer remembers: about half a million followers, 50 MB."""

DEFAULT_ROWS_PER_S = 5_000
"""Repairs where the topology names no rate: a tenth of what two cores can write."""

ROWS_REMEMBERED = 100_000
"""Rows that a measured cost is the mean of: a burst."""


def graph(r: Resources) -> Handler:
    """Follows → followers_by_author, following_by_reader, repairs."""
    spec = r.topology.routing
    return Graph(
        store=r.stores.graph,
        routes=r.stores.routes,
        emit=r.emit("graph"),
        clock=r.clock,
        segment_size=spec.segment_size,
        margin_ms=spec.margin_ms,
    ).handle


def readers(r: Resources) -> Handler:
    """accounts, activity → reader_state, reader.cohorts, repairs."""
    spec, emit = r.topology.routing, r.emit("readers")
    r.background(Sweep(r.stores.readers, emit, r.clock, spec.dormant_after_ms).run())
    warmth = Warmth(r.stores, emit, r.view("author.routes"), r.view("costs"), spec.hysteresis)
    living = Readers(r.stores.readers, warmth, emit, r.clock, spec.margin_ms).handle
    return Erasing(r.stores.readers, emit, living).handle


def counters(r: Resources) -> Handler:
    """Activity → engagement_by_post."""
    return Counters(r.stores.counters, r.clock).handle


def moderation(r: Resources) -> Handler:
    """Moderation → relations_by_reader, author.suspensions, take-downs, repairs."""
    return Moderation(r.stores, r.emit("moderation"), r.topology.routing.tasks_per_post).handle


def classify(r: Resources) -> Handler:
    """Posts → posts, posts_by_author, author.routes, fanout.*, posts.classified."""
    spec, tiers = r.topology.routing, r.topology.tiers.values()
    overrides = Overrides(
        Thresholds(spec.push_below, spec.pull_above, spec.hysteresis, spec.cost_floor),
        settings=r.view("routing.settings"),
        forced=r.view("routing.forced"),
        in_force=r.view("containment"),
        costs=r.view("costs"),
        clock=r.clock,
    )
    return Classify(
        posts=r.stores.posts,
        graph=r.stores.graph,
        routes=r.stores.routes,
        emit=r.emit("classify"),
        overrides=overrides,
        window=Retention(spec.window_ms, spec.row_life_ms),
        tiers=[Tier(tier.name, tier.max_followers, tier.lag_budget) for tier in tiers],
        fanout_topics={tier.name: tier.topic for tier in tiers},
        shards={tier.name: r.topology.topics[tier.topic].partitions for tier in tiers},
        tasks_per_post=spec.tasks_per_post,
    ).handle


def fanout(tier: str, r: Resources) -> Handler:
    """fanout.TIER → timeline_by_reader."""
    spec, name = r.topology.routing, tier_stage(tier)
    topic = r.topology.tiers[tier].topic
    fresh_s = spec.margin_ms / 2000
    active = ActiveReaders(max_age_s=fresh_s)
    active.age_s = r.view("reader.cohorts", active).age_s
    rows, emit = MeanCost(ROWS_REMEMBERED), r.emit(name)
    r.background(tell({f"{cost.ROW}@{name}": rows}, emit, r.clock))
    writer = Fanout(
        tier=tier,
        topic=topic,
        shards=r.topology.topics[topic].partitions,
        timelines=MeasuredTimelines(r.stores.timelines, rows),
        followers=SegmentCache(r.stores.graph, size=CACHED_SEGMENTS, max_age_s=fresh_s, clock=r.clock),
        active=active,
        emit=emit,
        clock=r.clock,
        life_ms=spec.row_life_ms,
    )
    return holding(writer.handle, partial(serving.contained_by(r), Kind.FREEZE, tier), r.clock)


def repairs(stage: str, r: Resources) -> tuple[Emit, Pace, Clock]:
    """How a repair stage speaks, and at which pace it works."""
    rows_per_s = r.topology.stages[stage].rows_per_second or DEFAULT_ROWS_PER_S
    deferred, busy = partial(serving.contained_by(r), Kind.DEFER, stage), r.tiers_busy()
    return r.emit(stage), Pace(rows_per_s, lambda: deferred() or busy(), r.clock), r.clock


def backfill(r: Resources) -> Handler:
    """fanout.backfill → timeline_by_reader."""
    spec = r.topology.routing
    return Backfill(r.stores, *repairs("backfill", r), spec.row_life_ms, spec.margin_ms).handle


def retract(r: Resources) -> Handler:
    """fanout.retract, account.erasures → removals."""
    spec = r.topology.routing
    shared = r.stores, *repairs("retract", r), spec.row_life_ms, spec.margin_ms
    return Removals(Retract(*shared), Erase(*shared)).handle


def query(r: Resources) -> Handler:
    """timeline.requests → timeline.replies."""
    return Ask(serving.pages(r, "query")[0], r.emit("query"), r.clock).handle


def api(r: Resources) -> web.Application:
    """HTTP → a page."""
    core, views = serving.pages(r, "api")
    keys = serving.token_keys(r.settings, r.topology)
    return http.create(core, r.topology.api, keys, lambda: {view.topic: view.positions() for view in views})


async def auditor(r: LiveResources) -> Auditor:
    """The API, the tables and the lag of the tiers → metrics of what differs."""
    client = await r.stack.enter_async_context(
        feeds.session(tokens_of(r.settings), r.topology.api.deadline_max_ms)
    )
    asked = feeds.ApiOrCore(client, r.settings.api, lambda: serving.core_of(r)[0])
    behind = r.stack.enter_context(tiers_behind(r.kafka, r.topology, r.clock.now_ms))
    return auditor_of(r.stores, r.topology, asked.feed, behind=behind)


async def controller(r: LiveResources) -> Controller:
    """The lag of every stage → pipeline.health, containment."""
    names, tiers = r.topology.names, r.topology.tiers.values()
    arrivals = Arrivals()
    classified = Classified(
        arrivals, [Tier(one.name, one.max_followers, one.lag_budget) for one in tiers], r.clock.now_ms
    )
    r.view("posts.classified", classified, lost=lambda: None)  # what was missed is old news
    look = await asyncio.to_thread(LiveHealth, r.kafka, r.topology, now_ms=r.clock.now_ms)
    r.stack.callback(look.close)
    look.health.restore(health_topic.newest(r.kafka, names).values())
    leader = Leader(r.kafka, names.topic(health_topic.HEALTH), names.group(CONTROLLERS))
    r.stack.callback(leader.close)
    told = JournalMetrics(leader, lambda: look.lags)
    r.view("containment.journal", told, lost=lambda: None)  # from now on: a counter begins at nothing
    return Controller(
        look=look,
        in_force=r.view("containment"),
        arrivals=arrivals,
        throttle=Throttle(Quotas(r.kafka)),
        rules={one.name: _rules(one) for one in tiers if one.act is not None},
        leads=leader,
        emit=r.emit("controller"),
        clock=r.clock,
        told=told,
    )


def _rules(tier: TierSpec) -> Rules:
    """What the topology says of a tier that is behind."""
    assert tier.act is not None
    act = tier.act
    return Rules(
        lag_budget_s=tier.lag_budget,
        release=act.release,
        shed=act.shed,
        rate=act.rate,
        pull=act.pull,
        narrow=act.narrow,
        hold_s=act.hold_seconds,
        hot_share=act.hot_share,
        rate_per_minute=act.rate_per_minute,
        bound=act.bound,
    )


def handler_of(stage: str, r: Resources) -> Handler:
    """A stage that processes topics, bound to its ports; nothing about erased accounts reaches it."""
    erased = ErasedAccounts()
    r.view("accounts.erased", erased)
    tier = tier_of(stage)
    made: Handler = builder(stage)(r) if tier is None else fanout(tier, r)
    return forgetting(made, erased)


def builder(stage: str) -> Callable[..., Any]:
    """What makes a stage: a handler, or (awaited) one that looks at the others."""
    named = path.STAGES[stage].build or f"{__name__}:{stage}"
    found: Callable[..., Any] = resolve_name(named)
    return found

"""What each stage is made of: its ports, its views, its settings, in path order. No logic."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from aiohttp import web

from pipeline.agents.active_readers import ActiveReaders
from pipeline.agents.ask import Ask
from pipeline.agents.auditor import Auditor
from pipeline.agents.backfill import Backfill
from pipeline.agents.classify import Classify, Window
from pipeline.agents.costs import MeanCost, Measures, ReadRate, tell
from pipeline.agents.fanout import Fanout
from pipeline.agents.graph import Graph
from pipeline.agents.known_routes import KnownRoutes
from pipeline.agents.pace import Pace
from pipeline.agents.policy import Policy
from pipeline.agents.query import Query
from pipeline.agents.readers import Readers
from pipeline.agents.retract import Retract
from pipeline.agents.segment_cache import SegmentCache
from pipeline.agents.sweep import Sweep
from pipeline.agents.warmth import Warmth
from pipeline.domain import cost
from pipeline.domain.budgets import Tier
from pipeline.domain.policy import Influences, Thresholds
from pipeline.errors import ConfigError
from pipeline.kafka.emit import Emit
from pipeline.kafka.loop import Handler
from pipeline.kafka.view import TopicView
from pipeline.local.instance import NoInstanceError, find, tokens_of
from pipeline.ops import feeds
from pipeline.ops.audit_live import auditor_of
from pipeline.ops.live_lag import LiveLag
from pipeline.records import RouteRecord
from pipeline.resources import Resources, now_ms
from pipeline.settings import Settings
from pipeline.tokens import TokenKeys
from pipeline.topology import Topology
from pipeline.web import api

CACHED_SEGMENTS = 512
"""Segments a writer remembers: about half a million followers, 50 MB."""

DEFAULT_ROWS_PER_S = 5_000
"""Repairs where the topology names no rate: a tenth of what two cores can write."""

ROWS_REMEMBERED, PULLS_REMEMBERED = 100_000, 1_000
"""Rows and pulls that a measured cost is the mean of: a burst, and a minute of a busy page."""


def graph(r: Resources) -> Handler:
    """Follows → followers_by_author, following_by_reader, repairs."""
    spec = r.topology.policy
    return Graph(
        store=r.stores.graph,
        routes=r.stores.routes,
        emit=Emit(r.outbox, "graph"),
        now_ms=now_ms,
        segment_size=spec.segment_size,
        margin_ms=spec.margin_ms,
        window_s=spec.window_ms // 1000,
    ).handle


def readers(r: Resources) -> Handler:
    """accounts, activity → reader_state, reader.cohorts, repairs."""
    spec, emit = r.topology.policy, Emit(r.outbox, "readers")
    routes, costs = r.view("author.routes"), r.view("costs")

    def measured() -> cost.Costs | None:
        return cost.measured(costs.values())

    dormant = Sweep(r.stores.readers, emit, now_ms, spec.dormant_after_ms)
    r.background(dormant.run())
    warmth = Warmth(r.stores, emit, routes.get, measured, spec.hysteresis)
    return Readers(r.stores.readers, warmth, emit, now_ms, spec.margin_ms).handle


def policy(r: Resources) -> Handler:
    """Policy → relations_by_reader, author.suspensions, take-downs, repairs."""
    return Policy(r.stores, Emit(r.outbox, "policy"), r.topology.policy.tasks_per_post).handle


def classify(r: Resources) -> Handler:
    """Posts → posts, posts_by_author, author.routes, fanout.*, posts.classified."""
    spec, tiers = r.topology.policy, r.topology.tiers.values()
    changed, forced, costs = r.view("policy.settings"), r.view("policy.forced"), r.view("costs")
    shed: dict[str, str] = {}  # by tier out of budget, why: nothing sheds yet

    def thresholds() -> Thresholds:
        now = changed.get("policy") or spec
        return Thresholds(now.push_below, now.pull_above, spec.hysteresis, spec.cost_floor)

    def influences(author_id: int, tier: str) -> Influences:
        return Influences(forced.get(author_id), shed.get(tier), cost.measured(costs.values()))

    return Classify(
        posts=r.stores.posts,
        graph=r.stores.graph,
        routes=r.stores.routes,
        emit=Emit(r.outbox, "classify"),
        thresholds=thresholds,
        window=Window(spec.window_ms, spec.clock_behind_ms, spec.clock_ahead_ms),
        tiers=[Tier(tier.name, tier.max_followers, tier.lag_budget) for tier in tiers],
        fanout_topics={tier.name: tier.topic for tier in tiers},
        shards={tier.name: r.topology.topics[tier.topic].partitions for tier in tiers},
        tasks_per_post=spec.tasks_per_post,
        influences=influences,
    ).handle


def fanout(tier: str, r: Resources) -> Handler:
    """fanout.TIER → timeline_by_reader."""
    spec, name = r.topology.policy, f"fanout.{tier}"
    topic = r.topology.tiers[tier].topic
    fresh_s = spec.margin_ms / 2000
    cache = SegmentCache(r.stores.graph, size=CACHED_SEGMENTS, max_age_s=fresh_s, clock=time.monotonic)
    active = ActiveReaders(max_age_s=fresh_s)
    active.age_s = r.view("reader.cohorts", active).age_s
    rows, emit = MeanCost(ROWS_REMEMBERED), Emit(r.outbox, name)
    r.background(tell({f"{cost.ROW}@{name}": rows}, emit, now_ms))
    return Fanout(
        tier=tier,
        topic=topic,
        shards=r.topology.topics[topic].partitions,
        timelines=r.stores.timelines,
        followers=cache,
        active=active,
        emit=emit,
        now_ms=now_ms,
        window_ms=spec.window_ms,
        rows_took=rows.observe,
    ).handle


def repairs(stage: str, r: Resources) -> tuple[Emit, Pace]:
    """How a repair stage speaks, and at which pace it works."""
    rows_per_s = r.topology.stages[stage].rows_per_second or DEFAULT_ROWS_PER_S
    busy = LiveLag(r.kafka, r.topology, now_ms=now_ms)
    r.stack.callback(busy.close)
    return Emit(r.outbox, stage), Pace(rows_per_s, busy, time.monotonic)


def backfill(r: Resources) -> Handler:
    """fanout.backfill → timeline_by_reader."""
    return Backfill(r.stores, *repairs("backfill", r), now_ms, r.topology.policy.window_ms).handle


def retract(r: Resources) -> Handler:
    """fanout.retract → timeline_by_reader."""
    spec = r.topology.policy
    return Retract(r.stores, *repairs("retract", r), now_ms, spec.window_ms, spec.margin_ms).handle


def pages(r: Resources, stage: str) -> tuple[Query, TopicView[RouteRecord]]:
    """The core of the read path for `query` or `api`, and the routes it follows."""
    pulls, reads = MeanCost(PULLS_REMEMBERED), ReadRate(time.monotonic)
    measures: Measures = {f"{cost.PULL}@{stage}": pulls, f"{cost.READS}@{stage}": reads}
    r.background(tell(measures, Emit(r.outbox, stage), now_ms))
    core, routes = core_of(r)
    return replace(core, pulls_took=pulls.observe, saw=reads.saw), routes


def core_of(r: Resources) -> tuple[Query, TopicView[RouteRecord]]:
    """The same without measuring what pages cost."""
    routes, suspensions = r.view("author.routes"), r.view("author.suspensions")
    spec = r.topology.policy
    known = KnownRoutes(
        routes.get,
        suspensions.get,
        lambda: max(routes.age_s(), suspensions.age_s()),
        spec.margin_ms / 2000,
        r.stores.routes,
        r.stores.readers,
    )
    key = r.settings.cursor_key.get_secret_value().encode()
    return Query(r.stores, known, key, spec.window_ms, spec.margin_ms), routes


def query(r: Resources) -> Handler:
    """timeline.requests → timeline.replies."""
    return Ask(pages(r, "query")[0], Emit(r.outbox, "query"), now_ms).handle


def http_api(r: Resources) -> web.Application:
    """HTTP → a page."""
    core, routes = pages(r, "api")
    return api.create(core, r.topology.api, token_keys(r.settings, r.topology), routes.positions)


def token_keys(settings: Settings, topology: Topology) -> TokenKeys | None:
    """The keys that readers' tokens are verified with; None where the topology asks for none.

    Raises ConfigError when it asks for tokens and nobody has given keys: such an API could serve nobody.
    """
    if topology.api.auth == "none":
        return None
    keys = tokens_of(settings)
    if keys is None:
        raise ConfigError(
            "api: the topology asks readers for tokens, and there is no key to verify them with",
            "set TIDELINE_TOKEN_KEYS=kid:secret, the same in every API, or `auth: none` in topology/api.yaml",
        )
    return keys


async def auditor(r: Resources) -> Auditor:
    """The API and the tables → metrics of what differs."""
    client = await r.stack.enter_async_context(feeds.session(tokens_of(r.settings)))
    asked = feeds.ApiOrCore(client, partial(_api_of, r.settings), lambda: core_of(r)[0])
    return auditor_of(r.stores, r.topology, asked.feed)


def _api_of(settings: Settings) -> str | None:
    try:
        return settings.api or find(settings.home).api
    except NoInstanceError:
        return None


STAGES: dict[str, Callable[[Resources], Handler]] = {
    "graph": graph,
    "readers": readers,
    "policy": policy,
    "classify": classify,
    "backfill": backfill,
    "retract": retract,
    "query": query,
}


def stage_names(topology: Topology) -> list[str]:
    """Every stage of the path in the order data meets them; `api` is the HTTP process, `auditor` asks it."""
    tiers = [f"fanout.{tier}" for tier in topology.tiers]
    return [
        "graph",
        "readers",
        "policy",
        "classify",
        *tiers,
        "backfill",
        "retract",
        "query",
        "api",
        "auditor",
    ]


def handler_of(stage: str, r: Resources) -> Handler:
    """The stage bound to its ports."""
    kind, _, tier = stage.partition(".")
    return fanout(tier, r) if kind == "fanout" else STAGES[stage](r)

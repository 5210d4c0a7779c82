"""The composition root: binds every stage to its topics, its store and its settings, in path order. No logic.

`resources` opens what a process needs, `STAGES` says what each stage is made of, `faust_app` wraps a stage in
a Faust app of its own: its own consumer group, its own process, its own lag.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import faust
from aiohttp import web

from pipeline import codec
from pipeline.agents.ask import Ask
from pipeline.agents.classify import Classify, Window
from pipeline.agents.fanout import Fanout
from pipeline.agents.graph import Graph
from pipeline.agents.policy import Policy
from pipeline.agents.query import Query
from pipeline.agents.readers import Readers
from pipeline.agents.segment_cache import SegmentCache
from pipeline.domain.budgets import Tier
from pipeline.domain.policy import Thresholds
from pipeline.kafka.dead_letters import DeadLetters
from pipeline.kafka.emit import Emit
from pipeline.kafka.loop import Handler, SafeLoop
from pipeline.kafka.outbox import Outbox
from pipeline.kafka.registry import SchemaRegistry
from pipeline.kafka.view import TopicView
from pipeline.records import PolicySettings, RouteRecord
from pipeline.settings import Settings
from pipeline.store.cassandra import open_stores
from pipeline.store.ports import Stores
from pipeline.topics import TOPICS
from pipeline.topology import TierSpec, Topology
from pipeline.web import api

CACHED_SEGMENTS = 512
"""Segments a writer remembers: about half a million followers, 50 MB."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What the stages of one process share."""

    settings: Settings
    kafka: str
    topology: Topology
    stores: Stores
    outbox: Outbox
    stack: AsyncExitStack

    def view(self, topic: str, record: type[Any]) -> TopicView[Any]:
        """A compacted topic, read to its end and followed until the process stops."""
        view: TopicView[Any] = TopicView(self.kafka, topic, partial(codec.decode, expected=record))
        view.start()
        self.stack.callback(view.close)
        return view


@asynccontextmanager
async def resources(
    settings: Settings, kafka: str, cassandra: str, topology: Topology
) -> AsyncIterator[Resources]:
    """Open the store and the outbox; close everything in reverse at the end."""
    if settings.schema_registry_url:
        codec.use(SchemaRegistry(settings.schema_registry_url).lookups())
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(open_stores(cassandra, settings.keyspace))
        outbox = await stack.enter_async_context(Outbox(kafka))
        yield Resources(settings, kafka, topology, stores, outbox, stack)


def graph(r: Resources) -> Handler:
    """Follows → followers_by_author, following_by_reader."""
    policy = r.topology.policy
    window_s = policy.window_ms // 1000
    return Graph(r.stores.graph, now_ms, policy.segment_size, policy.margin_ms, window_s).handle


def readers(r: Resources) -> Handler:
    """accounts, activity → reader_state."""
    return Readers(r.stores.readers).handle


def policy(r: Resources) -> Handler:
    """Policy → relations_by_reader, suspensions, take-downs."""
    return Policy(r.stores.readers, r.stores.posts).handle


def classify(r: Resources) -> Handler:
    """Posts → posts, posts_by_author, author.routes, fanout.*, posts.classified."""
    spec, tiers = r.topology.policy, r.topology.tiers.values()
    changed = r.view("policy.settings", PolicySettings)

    def thresholds() -> Thresholds:
        now = changed.get("policy") or spec
        return Thresholds(now.push_below, now.pull_above, spec.hysteresis)

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
    ).handle


def fanout(tier: str, r: Resources) -> Handler:
    """fanout.TIER → timeline_by_reader."""
    spec, name = r.topology.policy, f"fanout.{tier}"
    topic = r.topology.tiers[tier].topic
    cache = SegmentCache(
        r.stores.graph, size=CACHED_SEGMENTS, max_age_s=spec.margin_ms / 2000, clock=time.monotonic
    )
    return Fanout(
        tier=tier,
        topic=topic,
        shards=r.topology.topics[topic].partitions,
        timelines=r.stores.timelines,
        followers=cache,
        emit=Emit(r.outbox, name),
        now_ms=now_ms,
        window_ms=spec.window_ms,
    ).handle


def pages(r: Resources) -> tuple[Query, TopicView[RouteRecord]]:
    """The core of the read path, and the routes it follows."""
    routes = r.view("author.routes", RouteRecord)
    key = r.settings.cursor_key.get_secret_value().encode()
    spec = r.topology.policy
    return Query(r.stores, routes.get, key, spec.window_ms, spec.margin_ms), routes


def query(r: Resources) -> Handler:
    """timeline.requests → timeline.replies."""
    return Ask(pages(r)[0], Emit(r.outbox, "query"), now_ms).handle


def http_api(r: Resources) -> web.Application:
    """HTTP → a page."""
    core, routes = pages(r)
    return api.create(core, routes.positions)


STAGES: dict[str, Callable[[Resources], Handler]] = {
    "graph": graph,
    "readers": readers,
    "policy": policy,
    "classify": classify,
    "query": query,
}


def stage_names(topology: Topology) -> list[str]:
    """Every stage of the path in the order data meets them; `api` is the HTTP process."""
    tiers = [f"fanout.{tier}" for tier in topology.tiers]
    return ["graph", "readers", "policy", "classify", *tiers, "query", "api"]


def handler_of(stage: str, r: Resources) -> Handler:
    """The stage bound to its ports."""
    kind, _, tier = stage.partition(".")
    return fanout(tier, r) if kind == "fanout" else STAGES[stage](r)


def faust_app(stage: str, r: Resources, datadir: Path) -> faust.App:
    """The stage as a Faust app in the safe loop (kafka.loop). Every setting here has cost somebody data."""
    spec = r.topology.tiers.get(stage.removeprefix("fanout.")) or r.topology.stages[stage]
    topics = [spec.topic] if isinstance(spec, TierSpec) else list(spec.topics)
    partitions = sum(r.topology.topics[topic].partitions for topic in topics)
    buffer = 4096
    app = faust.App(
        spec.group,
        broker=[f"kafka://{address}" for address in r.kafka.split(",")],
        datadir=datadir,
        store="memory://",
        key_serializer="raw",
        value_serializer="raw",  # decoded by the loop: Faust would acknowledge what it cannot decode
        topic_allow_declare=False,  # `tideline topology apply` creates topics
        topic_disable_leader=True,
        web_enabled=False,
        stream_wait_empty=True,
        stream_buffer_maxsize=buffer,
        broker_max_poll_records=max(1, buffer // 5 // partitions),
        broker_commit_interval=0.2,
        broker_session_timeout=10.0,
        broker_heartbeat_interval=3.0,
        consumer_auto_offset_reset="earliest",
    )
    loop = SafeLoop(
        {topic: TOPICS[topic] for topic in topics},
        DeadLetters(r.outbox),
        batch=spec.batch,
        in_flight=spec.in_flight,
    )
    handle = handler_of(stage, r)
    source = app.topic(*topics, key_type=bytes, value_type=bytes)

    async def process(stream: Any) -> None:
        await loop.run(stream, handle)

    app.agent(source, name=stage, concurrency=1)(process)
    return app


def now_ms() -> int:
    """The wall clock, in ms: read here, passed as an argument to the rules."""
    return time.time_ns() // 1_000_000

"""What serves pages: the core of the read path with its views and caches, and the keys of tokens."""

import gc
import secrets
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pipeline.auth.home_keys import cursors_of, tokens_of
from pipeline.auth.tokens import TokenKeys
from pipeline.config.settings import Settings
from pipeline.control.costs import MeanCost, Measures, ReadRate, tell
from pipeline.domain import cost, cursor
from pipeline.domain.budgets import Tier, tier_for
from pipeline.domain.containment import Kind, held
from pipeline.errors import ConfigError
from pipeline.kafka.ports import KeyedView
from pipeline.query import freshness
from pipeline.query.cache import Cache
from pipeline.query.caches import LONGEST_LIFE_S, Caches, Sizes
from pipeline.query.known_routes import ByAuthor, KnownRoutes
from pipeline.query.load import Load
from pipeline.query.ranked import Ranking
from pipeline.query.timeline import Query
from pipeline.runtime import ranker
from pipeline.runtime.resources import Resources
from pipeline.stages import changes
from pipeline.topology import Topology
from pipeline.wire.records import RouteRecord, Suspension

Views = list[KeyedView[Any]]

SWITCH_S = 0.0005
"""Seconds a thread may keep the interpreter; with Python's 0.005 views fall behind under load (measured)."""

PULLS_REMEMBERED = 1_000
"""Pulls that a measured cost is the mean of: a minute of a busy page."""


def pages(r: Resources, stage: str) -> tuple[Query, Views]:
    """The core of the read path for `query` or `api`, and what it follows (`topics.FOLLOWED`)."""
    pulls, reads = MeanCost(PULLS_REMEMBERED), ReadRate(r.clock.monotonic_s)
    measures: Measures = {f"{cost.PULL}@{stage}": pulls, f"{cost.READS}@{stage}": reads}
    r.background(tell(measures, r.emit(stage), r.clock))
    keys = cursor_keys(r.settings, r.topology.names.domain)
    core, views = core_of(r, Sizes(**r.topology.api.caches.model_dump()), keys)
    return replace(core, load=replace(core.load, pulls_took=pulls.observe), saw=reads.saw), views


def core_of(r: Resources, sizes: Sizes | None = None, keys: Sequence[bytes] = ()) -> tuple[Query, Views]:
    """The core, without measuring what pages cost. `sizes`: of its caches; without, every page reads the
    tables. `keys`: of its cursors; without, nobody else can read them.
    """
    spec, tiers, now_ms = r.topology.routing, r.topology.tiers.values(), r.clock.now_ms
    records: ByAuthor[RouteRecord] = ByAuthor()
    suspensions: ByAuthor[Suspension] = ByAuthor()
    routes, suspended = r.view("author.routes", records), r.view("author.suspensions", suspensions)
    fresh_s = spec.margin_ms / 2000
    known = KnownRoutes(
        records.records,
        suspensions.records,
        lambda: max(routes.age_s(), suspended.age_s()),
        fresh_s,
        r.stores.routes,
        r.stores.readers,
        lambda: (records.version, suspensions.version),
    )
    caches, views = Caches.none(), [routes, suspended]
    if sizes is not None:
        records.heard = partial(freshness.heard, now_ms)  # from now on: what was read so far is no news
        life_s = min(fresh_s, LONGEST_LIFE_S)
        caches = Caches(sizes, fresh_s, life_s, r.clock.monotonic_s)
        known = replace(
            known, brief=Cache("routes", sizes.authors, lambda: False, life_s, r.clock.monotonic_s)
        )
        heard = r.view(changes.TOPIC, caches, lost=caches.clear)  # from now on: they begin empty
        caches.age_s = heard.age_s
        views.append(heard)
    by_size = [Tier(tier.name, tier.max_followers, tier.lag_budget) for tier in tiers]
    core = Query(
        Load(r.stores, known, caches, spec.window_ms, spec.margin_ms, now_ms, contained=contained_by(r)),
        ranking_of(r.topology),
        keys or (secrets.token_bytes(),),
        cap=spec.cap,
        tier_of=lambda followers: tier_for(followers, by_size).name,
    )
    return core, views


def contained_by(r: Resources) -> Callable[[Kind, str], bool]:
    """Whether this is in force now."""
    in_force = r.view("containment").get
    return lambda kind, target: held(in_force, kind, target, r.clock.now_ms()) is not None


def ranking_of(topology: Topology) -> Ranking:
    """The model of the topology, and how wide the steps before it are."""
    spec = topology.ranking
    return Ranking(
        ranker.load(spec),
        spec.candidates,
        spec.pruned,
        spec.frontier,
        spec.diversity,
        spec.counters_hours * 3_600_000,
    )


def tune() -> None:
    """Make this process one that serves pages. What it has by now is never garbage, and full collections
    would hold up every page; and the threads that hear of changes and of answers get their turn soon,
    however busy the loop is.
    """
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_S)


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


def cursor_keys(settings: Settings, domain: str) -> list[bytes]:
    """The keys of this domain's cursors, of which the first signs.

    Raises ConfigError without any: one made here would be refused by every other process that serves pages.
    """
    found = cursors_of(settings)
    if found is None:
        raise ConfigError(
            "there is no key to sign cursors with",
            "set TIDELINE_CURSOR_KEYS=kid:secret, the same in every API and query worker",
        )
    return [cursor.derived(secret, domain) for secret in found.values()]

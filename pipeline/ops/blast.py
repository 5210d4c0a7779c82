"""The blast radius of a containment: whom it touches and what it costs, before it is done."""

from collections.abc import Mapping
from typing import Any

from pipeline.control.lag import StageLag
from pipeline.domain import budgets
from pipeline.domain.containment import Kind
from pipeline.path import tier_stage
from pipeline.store.ports import Stores
from pipeline.topology import TierSpec, Topology
from pipeline.wire.enums import DeliveryPath
from pipeline.wire.records import Containment, StageHealth

Radius = dict[str, Any]
"""Plain values by name; None is unknown. `means` says it in words."""


async def of_author(stores: Stores, topology: Topology, record: Containment) -> Radius:
    """Of what is done to one author."""
    author = int(record.target)
    graph = (await stores.graph.author_graphs([author]))[author]
    tiers = [budgets.Tier(one.name, one.max_followers, one.lag_budget) for one in topology.tiers.values()]
    pushed = (
        f"of more than {record.rate_per_minute} posts a minute" if record.rate_per_minute else "of new posts"
    )
    return {
        "author_id": str(author),
        "followers": graph.followers,
        "tier": budgets.tier_for(graph.followers, tiers).name,
        "deliveries_saved_a_post": graph.followers,
        "means": f"{pushed} no follower is pushed a row; up to {graph.followers:,} readers pull them,"
        " one more read on pages that have none of this author's in memory",
    }


def of_tier(
    topology: Topology, record: Containment, lags: Mapping[str, StageLag], health: StageHealth | None
) -> Radius:
    """Of what is done to a tier."""
    names, tier = list(topology.tiers), topology.tiers[record.target]
    lag = lags.get(tier_stage(record.target))
    waiting = None if lag is None else lag.lag
    known: Radius = {
        "tier": record.target,
        "authors": _authors(tier, names, topology),
        "records_waiting": waiting,
        "deliveries_waiting": None if health is None else health.pending,
        "oldest_s": None if lag is None else lag.age_s,
    }
    if record.kind == Kind.FREEZE:
        words = "its writers stop: what waits is not delivered until it is released; new posts are pulled"
    elif record.author_class == "partial":
        words = (
            "new posts are pushed to warm edges alone, and pulled by everybody else; what waits is delivered"
        )
    else:
        words = "new posts are pulled by everybody; what waits is delivered"
    return {**known, "means": words}


def of_stage(record: Containment, lags: Mapping[str, StageLag]) -> Radius:
    """Of what is done to everything at once, or to a stage that repairs."""
    words = {
        ("path", DeliveryPath.PUSH): "nothing is pushed: every reader pulls every author's new posts",
        (
            "path",
            DeliveryPath.PULL,
        ): "nothing is pulled: pages lack the posts of authors who are not pushed, and say so",
        ("defer", "backfill"): "rows of new follows and returns wait; pages pull what they lack",
        ("defer", "retract"): "rows that must go wait; pages hide them",
        ("narrow", "reads"): "ranked pages choose among fewer posts, without live counters; pages say so",
    }
    if record.kind == Kind.THROTTLE:
        return {
            "means": f"each broker takes {record.bytes_per_second:,} bytes a second from it; what is"
            " more waits in its own queue, in order; nothing is refused, and no other user is touched"
        }
    lag = lags.get(record.target)
    known: Radius = {} if lag is None else {"records_waiting": lag.lag, "oldest_s": lag.age_s}
    said = words.get((record.kind, record.target))
    return {
        **known,
        "means": said or f"beyond {record.rate_per_minute} posts a minute the region's posts are pulled",
    }


def _authors(tier: TierSpec, names: list[str], topology: Topology) -> str:
    at = names.index(tier.name)
    below = topology.tiers[names[at - 1]].max_followers if at else 0
    return (
        f"{below:,} followers and more"
        if tier.max_followers is None
        else f"{below:,} to {tier.max_followers - 1:,} followers"
    )

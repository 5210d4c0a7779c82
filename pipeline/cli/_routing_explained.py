"""How `tideline routing explain` says what it found: as JSON, and as lines for people."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pipeline.domain import snowflake
from pipeline.ops.routing_explain import Author, ReaderAndAuthor, RulesInForce, time_of
from pipeline.store.values import Edge, ReaderState


def author_document(found: Author, now: RulesInForce) -> dict[str, Any]:
    """An author as JSON. Ids are strings, times ms, null is none or unknown."""
    rules, costs, both, forced = now.thresholds, now.costs, found.comparison, found.forced
    contained = found.contained
    return {
        "author_id": str(found.graph.author_id),
        "followers": found.graph.followers,
        "segments": found.graph.segments,
        "tier": found.tier,
        "suspended": found.suspended,
        "class": found.author_class,
        "reason": found.reason,
        "next_post": {"class": found.next.author_class, "reason": found.next.reason},
        "thresholds": {
            "push_below": rules.push_below,
            "pull_above": rules.pull_above,
            "hysteresis": rules.hysteresis,
            "cost_floor": rules.cost_floor,
            "in_force": {"push_below": found.limits[0], "pull_above": found.limits[1]},
        },
        "forced": forced and {"class": forced.author_class, "reason": forced.reason, "at": forced.at},
        "contained": contained and {"class": contained.author_class, "reason": contained.reason},
        "costs": costs
        and {
            "row_seconds": costs.row_s,
            "pull_seconds": costs.pull_s,
            "reads_per_second": costs.reads_s,
            "measured_at": max(sample.at for sample in now.samples),
        },
        "comparison": both
        and {
            "readers": both.readers,
            "reads_in_window": both.reads,
            "posts_sharing_a_pull": both.shared,
            "push_seconds": both.push_s,
            "pull_seconds": both.pull_s,
        },
        "latest_post_id": str(found.route.latest_post_id) if found.route.latest_post_id else None,
        "history": [
            {
                "since_post_id": str(entry.since_post_id),
                "since": snowflake.time_ms(entry.since_post_id),
                "class": entry.author_class,
                "reason": entry.reason,
            }
            for entry in found.route.entries
        ],
    }


def pair_document(found: ReaderAndAuthor, now: RulesInForce) -> dict[str, Any]:
    """A reader and an author as JSON; the author's part as above."""
    edge, state = found.edge, found.reader
    return {
        "reader_id": str(state.reader_id),
        "author_id": str(found.author.graph.author_id),
        "follows": edge is not None and edge.follows,
        "edge": edge
        and {
            "at": edge.at,
            "segment": edge.segment,
            "covered_from": time_of(edge.covered_from),
            "caught_up": edge.bound == 0,
            "warm_since": None if edge.warm_since is None else time_of(edge.warm_since),
        },
        "reader": {
            "region": state.region,
            "registered_at": state.registered_at,
            "last_seen": state.last_seen,
            "active": bool(state.active),
            "covered_from": time_of(state.covered_from),
            "caught_up": state.bound == 0,
        },
        "bound": time_of(found.bound),
        "hidden_because": list(found.hidden),
        "spans": [{"path": one.path, "from": one.from_ms, "to": one.to_ms} for one in found.spans],
        "author": author_document(found.author, now),
    }


def author_lines(found: Author, now: RulesInForce) -> Iterator[str]:
    """An author for people."""
    rules, costs, forced = now.thresholds, now.costs, found.forced
    yield f"author {found.graph.author_id}: {found.author_class}, because {found.reason}"
    if found.next.author_class is not found.author_class:
        yield f"  next post   {found.next.author_class}, because {found.next.reason}"
    yield (
        f"  followers   {found.graph.followers:,} in {found.graph.segments} segments, tier {found.tier}"
        + (", suspended" if found.suspended else "")
    )
    yield (
        f"  thresholds  push below {rules.push_below:,}, pull from {rules.pull_above:,};"
        f" with {rules.hysteresis:.0%} hysteresis for this author {found.limits[0]:,} and {found.limits[1]:,}"
    )
    if forced is not None:
        why = f": {forced.reason}" if forced.reason else ""
        yield f"  forced      {forced.author_class} since {_when(forced.at)}{why}"
    if found.contained is not None:
        yield f"  contained   at most {found.contained.author_class}: {found.contained.reason}"
    if costs is None:
        yield "  costs       not measured yet: they have no say"
    else:
        yield (
            f"  costs       {costs.row_s:.3g} s a row, {costs.pull_s:.3g} s a pull,"
            f" {costs.reads_s * 3600:.3g} pages an hour and reader"
        )
    if found.comparison is not None:
        floor = f"; no say below {rules.cost_floor:,} followers"
        yield f"  a post now  {found.comparison}{floor if found.graph.followers < rules.cost_floor else ''}"
    for entry in found.route.entries:
        since = _when(snowflake.time_ms(entry.since_post_id))
        yield f"  since       {since}  {entry.author_class:<8} {entry.reason}"


def pair_lines(found: ReaderAndAuthor, now: RulesInForce) -> Iterator[str]:
    """A reader and an author for people."""
    edge, state, author_id = found.edge, found.reader, found.author.graph.author_id
    verb = "follows" if edge is not None and edge.follows else "does not follow"
    since = f" since {_when(edge.at)}" if edge is not None else ""
    yield f"reader {state.reader_id} {verb} author {author_id}{since}"
    for reason in found.hidden:
        yield f"  nothing is shown: {reason}"
    active = "dormant" if not state.active else f"active, covered from {_covered(state)}"
    seen = "never seen" if state.last_seen is None else f"last seen {_when(state.last_seen)}"
    yield f"  reader      {active}, {seen}"
    if edge is not None:
        warm = "cold" if edge.warm_since is None else f"warm since {_bound(edge.warm_since)}"
        yield f"  edge        segment {edge.segment}, covered from {_covered(edge)}, {warm}"
    if found.spans:
        yield f"  bound       pulled below {_bound(found.bound)}" if found.bound else "  bound       none"
    for span in found.spans:
        end = "on" if span.to_ms is None else f"to {_when(span.to_ms)}"
        yield f"  {span.path:<11} {_when(span.from_ms)} {end}"
    yield from author_lines(found.author, now)


def _covered(of: Edge | ReaderState) -> str:
    done = " and caught up" if of.bound == 0 and of.covered_from else ""
    return _bound(of.covered_from) + done


def _bound(bound: int) -> str:
    at = time_of(bound)
    return "never" if at is None else _when(at)


def _when(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000).astimezone().isoformat(sep=" ", timespec="milliseconds")[:23]

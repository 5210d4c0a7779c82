"""Where a post is now: what the tables hold of it, which messages carry it, and which of them are processed.

Read from tables and topics alone, so it is right with every worker dead. Positions of groups are read
before the topics: a message that is done by then has all it causes in a topic already (`control.lag`), so a
post without anything that waits is written. What was not looked at, or not answered, is said, and never
counts as done.
"""

import asyncio
from dataclasses import dataclass

from pipeline.domain import budgets, routing, snowflake
from pipeline.errors import TidelineError
from pipeline.ops.trace_reached import Reached, reached
from pipeline.ops.trace_topics import Hop, Letter, look
from pipeline.store.ports import Stores
from pipeline.store.values import StoredPost
from pipeline.topology import Topology
from pipeline.wire.enums import EventType
from pipeline.wire.records import AuthorClass

RECORDS = 50_000
"""Looked through in each partition, from the post's time on: more than a backlog that is still healthy."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything that is known of a post. `stored` None: it is not in the tables.

    `cut`: topics that hold more records since the post than were looked through. `reached` None: nobody is
    pushed to.
    """

    post_id: int
    author_id: int
    published_ms: int
    stored: StoredPost | None
    suspended: bool
    author_class: AuthorClass
    reason: str
    tier: str
    hops: tuple[Hop, ...]
    letters: tuple[Letter, ...]
    cut: tuple[str, ...]
    reached: Reached | None

    @property
    def tasks(self) -> list[Hop]:
        """The fan-out tasks among the hops."""
        return [hop for hop in self.hops if hop.segments is not None]

    @property
    def segments(self) -> set[int]:
        """Every segment that a task was seen for."""
        return {one for hop in self.tasks for one in _range(hop)}

    @property
    def written(self) -> set[int]:
        """The segments whose rows are there: a task that is done has written its first, sent on the rest."""
        return {hop.segments[0] for hop in self.tasks if hop.segments is not None and hop.done}

    @property
    def waiting(self) -> list[Hop]:
        """What is not processed, the longest wait first."""
        return sorted((hop for hop in self.hops if hop.done is False), key=lambda hop: -(hop.before or 0))


def _range(hop: Hop) -> range:
    first, last = hop.segments or (0, -1)
    return range(first, last + 1)


async def trace(
    stores: Stores, bootstrap: str, topology: Topology, post_id: int, *, records: int = RECORDS
) -> Trace:
    """The post. `records`: looked through in each partition at most.

    Raises TidelineError when nobody has heard of it, EngineError when Kafka does not answer.
    """
    looked = await asyncio.to_thread(look, bootstrap, topology, post_id, records)
    stored = (await stores.posts.posts([post_id])).get(post_id)
    published = next((hop for hop in looked.hops if hop.what == EventType.PUBLISHED), None)
    author_id = stored.author_id if stored is not None else looked.author_id
    if author_id is None:
        raise TidelineError(
            f"nobody has heard of post {post_id}",
            "it is in no table, and in no topic since the time of its id"
            + (f" as far as was looked: --records above {records}" if looked.cut else ""),
        )
    suspension = (await stores.readers.suspensions([author_id])).get(author_id)
    entries = routing.entries_of(await stores.routes.routes([author_id]), author_id)
    author_class = routing.class_of(post_id, entries)
    graph = (await stores.graph.author_graphs([author_id]))[author_id]
    followers = graph.followers if looked.followers is None else looked.followers
    tiers = [budgets.Tier(t.name, t.max_followers, t.lag_budget) for t in topology.tiers.values()]
    pushed = stored is not None and author_class is not AuthorClass.PULL and graph.followers > 0
    floor = 0 if suspension is None else suspension.retracted_before
    return Trace(
        post_id=post_id,
        author_id=author_id,
        published_ms=published.at_ms if published else snowflake.time_ms(post_id),
        stored=stored,
        suspended=suspension is not None and suspension.suspended,
        author_class=author_class,
        reason=next((e.reason for e in reversed(entries) if e.since_post_id <= post_id), "plain push"),
        tier=budgets.tier_for(followers, tiers).name,
        hops=looked.hops,
        letters=looked.letters,
        cut=looked.cut,
        reached=await reached(stores, graph, post_id, entries, floor, topology.routing.margin_ms)
        if pushed
        else None,
    )

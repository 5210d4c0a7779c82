"""Why an author is pushed or pulled, and what that means for one reader: `tideline routing explain`.

Read from the tables and from the compacted topics that classify and the query agents follow, and worked out
by the same rules that they call; nothing is asked of a running stage.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pipeline.domain import budgets, containment, coverage, routing, snowflake
from pipeline.domain.containment import Contained
from pipeline.domain.cost import Comparison, Costs, measured
from pipeline.domain.routing import ClassChoice, Influences, Thresholds
from pipeline.errors import TidelineError
from pipeline.kafka.view import whole
from pipeline.ops import containment as contained_now
from pipeline.ops import routing_forced, routing_settings
from pipeline.store.ports import Stores
from pipeline.store.values import NOT_COVERED, AuthorGraph, Edge, ReaderState, Relations
from pipeline.topology import Topology
from pipeline.wire.enums import DeliveryPath
from pipeline.wire.records import AuthorClass, Containment, CostSample, ForcedClass, RouteRecord, Suspension

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """What classify goes by now: thresholds, forced classes, measured costs, what is contained (by key), the
    window at `now_ms`.
    """

    topology: Topology
    thresholds: Thresholds
    forced: dict[int, ForcedClass]
    samples: list[CostSample]
    contained: Mapping[str, Containment]
    now_ms: int

    @property
    def window_start(self) -> int:
        """The oldest id a timeline reaches back to."""
        return snowflake.first_id(self.now_ms - self.topology.routing.window_ms)

    @property
    def costs(self) -> Costs | None:
        """As classify knows them."""
        return measured(self.samples)


def in_force(bootstrap: str, topology: Topology, now_ms: int) -> RulesInForce:
    """Read the compacted topics. Raises EngineError when Kafka does not answer."""
    spec, names = topology.routing, topology.names
    set_now = routing_settings.read(bootstrap, spec, names)
    thresholds = Thresholds(
        set_now.value("push_below"), set_now.value("pull_above"), spec.hysteresis, spec.cost_floor
    )
    forced = {one.author_id: one for one in whole(bootstrap, names.topic(routing_forced.TOPIC), ForcedClass)}
    samples = whole(bootstrap, names.topic("costs"), CostSample)
    records = contained_now.read(bootstrap, names, now_ms=now_ms)
    by_key = {containment.key_of(one): one for one in records}
    return RulesInForce(topology, thresholds, forced, samples, by_key, now_ms)


@dataclass(frozen=True, slots=True)
class Author:
    """An author as classify sees them. `by_followers`: the class that the followers alone gave last.

    `contained`: what is in force for any post; rates, and the pace of a region, are not.
    """

    graph: AuthorGraph
    tier: str
    suspension: Suspension | None
    route: RouteRecord
    forced: ForcedClass | None
    by_followers: AuthorClass
    limits: tuple[int, int]
    comparison: Comparison | None
    contained: Contained | None
    next: ClassChoice

    @property
    def suspended(self) -> bool:
        """Whether nobody is shown anything of the author."""
        return self.suspension is not None and self.suspension.suspended

    @property
    def author_class(self) -> AuthorClass:
        """The class of the newest post."""
        return routing.class_of(snowflake.MAX_ID, self.route.entries)

    @property
    def reason(self) -> str:
        """Why it has that class."""
        entries = self.route.entries
        return entries[-1].reason if entries else "plain push in the whole window: there is no route record"


async def author(stores: Stores, now: RulesInForce, author_id: int) -> Author:
    """The author. Raises TidelineError when nobody has heard of them."""
    graph = (await stores.graph.author_graphs([author_id]))[author_id]
    known = (await stores.routes.routes([author_id])).get(author_id)
    if known is None and not graph.segments and not _exists(await stores.readers.reader(author_id)):
        raise TidelineError(
            f"nobody has heard of author {author_id}", "no post, follower or account of this id was seen"
        )
    route = known or RouteRecord(author_id, (), 0)
    forced, costs, followers = now.forced.get(author_id), now.costs, graph.followers
    next_post = max(snowflake.first_id(now.now_ms), route.latest_post_id + 1)
    by_followers = routing.class_by_followers(route.entries)
    spec = now.topology.tiers.items()
    tiers = [budgets.Tier(name, tier.max_followers, tier.lag_budget) for name, tier in spec]
    tier = budgets.tier_for(followers, tiers).name
    contained = containment.contained(
        now.contained.get,
        author_id=author_id,
        tier=tier,
        region="",
        now_ms=now.now_ms,
        room=lambda record: True,
    )
    return Author(
        graph=graph,
        tier=tier,
        suspension=(await stores.readers.suspensions([author_id])).get(author_id),
        route=route,
        forced=forced,
        by_followers=by_followers,
        limits=routing.limits(by_followers, now.thresholds),
        comparison=routing.comparison(next_post, route, followers, now.window_start, costs),
        next=routing.choose(
            next_post,
            route,
            followers,
            now.thresholds,
            now.window_start,
            Influences(forced, contained, costs),
        ),
        contained=contained,
    )


def _exists(state: ReaderState) -> bool:
    return not (state.registered_at is None and state.last_seen is None and state.active is None)


@dataclass(frozen=True, slots=True)
class Span:
    """From one time (ms) to another, posts come on this path; None: to the end of time."""

    path: str
    from_ms: int
    to_ms: int | None


@dataclass(frozen=True, slots=True)
class ReaderAndAuthor:
    """A reader and an author. `edge` None: the reader never followed; `spans` is empty when they do not now.

    `bound`: below it everything is pulled: the highest of what edge, reader and author say.
    """

    reader: ReaderState
    author: Author
    edge: Edge | None
    bound: int
    hidden: tuple[str, ...]
    spans: tuple[Span, ...]


async def pair(stores: Stores, now: RulesInForce, reader_id: int, author_id: int) -> ReaderAndAuthor:
    """What is between the two. Raises TidelineError when nobody has heard of one of them."""
    found = await author(stores, now, author_id)
    state = await stores.readers.reader(reader_id)
    edge = (await stores.graph.edges(author_id, [reader_id])).get(reader_id)
    relations = await stores.readers.relations(reader_id, [author_id])
    if edge is None and not _exists(state) and not await stores.graph.following(reader_id):
        raise TidelineError(
            f"nobody has heard of reader {reader_id}", "no account, activity or follow of this id was seen"
        )
    of_author = 0 if found.suspension is None else found.suspension.retracted_before
    bound = NOT_COVERED if edge is None else coverage.bound(edge.bound, state.bound, of_author)
    spans: tuple[Span, ...] = ()
    if edge is not None and edge.follows:
        cover = coverage.EdgeCover(bound, edge.warm_since)
        margin_ms = now.topology.routing.margin_ms
        pulled = coverage.pull_ranges(found.route.entries, cover, now.window_start, margin_ms=margin_ms)
        spans = tuple(_spans(pulled, now.window_start))
    return ReaderAndAuthor(state, found, edge, bound, _hidden(relations, found), spans)


def _hidden(relations: Relations, found: Author) -> tuple[str, ...]:
    """Why nothing of the author is shown to the reader, whatever is pushed or pulled."""
    author_id = found.graph.author_id
    facts = {
        "the reader blocks the author": author_id in relations.blocks,
        "the author blocks the reader": author_id in relations.blocked_by,
        "the reader mutes the author": author_id in relations.mutes,
        "the author is suspended": found.suspended,
    }
    return tuple(text for text, holds in facts.items() if holds)


def _spans(pulled: list[coverage.Range], window_start: int) -> Iterator[Span]:
    """The window cut into what is pulled, margins included, and what comes from the timeline alone."""
    at = window_start
    for lo, hi in [*pulled, (snowflake.MAX_ID, snowflake.MAX_ID)]:
        for path, first, end in ((DeliveryPath.PUSH, at, lo), (DeliveryPath.PULL, lo, hi)):
            if first < end:
                yield Span(path, snowflake.time_ms(first), time_of(end))
        at = hi


def time_of(bound: int) -> int | None:
    """When (ms) a bound is; None for one that never comes."""
    return None if bound >= snowflake.MAX_ID else snowflake.time_ms(bound)

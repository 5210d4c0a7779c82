"""Expectation: what a reader must see and what must be in their rows, from the canonical tables alone.

Reads      following_by_reader, posts_by_author, posts, relations_by_reader, author_stats, reader_state,
           author_routes; and timeline_by_reader, which is what is audited
Guarantee  shares no rule with the read path: what the tables say becomes events of the oracle
           (`domain.audit.Ledger`), whose last writer has won already
Budget     MAX_POSTS newest posts of a reader, at most so many of one author, READ_CONCURRENCY authors at a
           time; a reader who has more is audited down to the oldest of them
"""

import asyncio
import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from pipeline.domain import snowflake
from pipeline.domain.audit import Event, Ledger
from pipeline.domain.audit_rows import class_in, path_owed
from pipeline.store.ports import Stores
from pipeline.store.values import Edge, ReaderState, Relations, StoredPost
from pipeline.wire.enums import DeliveryPath, EventType
from pipeline.wire.records import (
    AccountEvent,
    AuthorClass,
    FollowEvent,
    ModerationEvent,
    PostEvent,
    RouteEntry,
    RouteRecord,
    Suspension,
)

MAX_POSTS = 10_000
"""Posts of one reader in memory: about 10 MB with their bodies."""

POSTS_OF_ONE_AUTHOR = 1_000
READ_CONCURRENCY = 16

_AT = 1
"""When everything in the tables happened: they hold the end, not the way to it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A reader as the tables have them. Posts with ids from `since` on are all in `posts` (by author) and,
    where they are pushed, in `rows` (author by post).
    """

    state: ReaderState
    relations: Relations
    edges: Mapping[int, Edge]
    since: int
    posts: Mapping[int, int]
    rows: Mapping[int, int]

    @property
    def reader_id(self) -> int:
        """Whose it is."""
        return self.state.reader_id

    @property
    def cohort(self) -> str:
        """`active` or `dormant`."""
        return "active" if self.state.active else "dormant"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must be, of one reader. `routes`: the class history by author, who has none is plain push.
    `suspensions`: by author, the last one.
    """

    standing: Standing
    ledger: Ledger
    routes: Mapping[int, RouteRecord]
    suspensions: Mapping[int, Suspension]
    margin_ms: int

    @property
    def since_ms(self) -> int:
        """From when on posts are all known: not from inside a millisecond."""
        return snowflake.time_ms(self.standing.since - 1) + 1

    def class_of(self, post_id: int, author_id: int) -> AuthorClass:
        """The class of this post."""
        return class_in(self._history(author_id), post_id)

    def path_of(self, post_id: int) -> str:
        """The path that this post of the feed is owed on."""
        author = self.ledger.author_of(post_id)
        if author == self.standing.reader_id:
            return DeliveryPath.OWN
        bound = bound_of(self.standing.state, self.standing.edges[author], self.suspensions.get(author))
        return path_owed(post_id, self._history(author), bound, margin_ms=self.margin_ms)

    def _history(self, author_id: int) -> Sequence[RouteEntry]:
        route = self.routes.get(author_id)
        return () if route is None else route.entries


def bound_of(state: ReaderState, edge: Edge, suspension: Suspension | None) -> int:
    """The bound below which this author's posts are pulled for this reader: the highest of the three that the
    edge, the reader and the author have.
    """
    return max(edge.bound, state.bound, 0 if suspension is None else suspension.retracted_before)


async def standing_of(stores: Stores, reader_id: int, since: int) -> Standing:
    """The reader, and the ids of the posts that concern them from `since` on, or from the oldest id on that
    the bounds of this module leave room for.
    """
    state, edges, suspensions = await asyncio.gather(
        stores.readers.reader(reader_id),
        stores.graph.following(reader_id),
        stores.readers.suspensions([reader_id]),
    )
    if reader_id in suspensions and suspensions[reader_id].erased:  # nothing is due, whatever is still there
        return Standing(state, Relations(), {}, since, {}, {})
    relations = await stores.readers.relations(reader_id, [edge.author_id for edge in edges])
    posts: dict[int, int] = {}
    authors = [*(edge.author_id for edge in edges), reader_id]
    for at in range(0, len(authors), READ_CONCURRENCY):
        since = await _add_posts(stores, authors[at : at + READ_CONCURRENCY], since, posts)
    rows, since = await _rows(stores, reader_id, since)
    return Standing(state, relations, {edge.author_id: edge for edge in edges}, since, posts, rows)


async def _add_posts(stores: Stores, authors: Iterable[int], since: int, posts: dict[int, int]) -> int:
    """Add the posts of some authors; returns from which id on all posts of all authors are known."""
    found = await asyncio.gather(
        *(stores.posts.recent(author, since, snowflake.MAX_ID, POSTS_OF_ONE_AUTHOR) for author in authors)
    )
    posts.update((row.post_id, row.author_id) for rows in found for row in rows)
    since = max([since, *(rows[-1].post_id for rows in found if len(rows) == POSTS_OF_ONE_AUTHOR)])
    if len(posts) > MAX_POSTS:
        since = max(since, heapq.nlargest(MAX_POSTS, posts)[-1])
    for post in [post for post in posts if post < since]:
        del posts[post]
    return since


async def _rows(stores: Stores, reader_id: int, since: int) -> tuple[dict[int, int], int]:
    """The reader's rows, and from which id on they are all there."""
    found = await stores.timelines.timeline(reader_id, since, snowflake.MAX_ID, MAX_POSTS)
    if len(found) == MAX_POSTS:
        since = max(since, found[-1].post_id)
    return {row.post_id: row.author_id for row in found}, since


async def expectation_of(
    stores: Stores, standing: Standing, served: Collection[int], *, margin_ms: int
) -> Expectation:
    """What the reader must see. `served`: posts that were shown, to be judged whoever's they are."""
    known = [*{*standing.posts, *served}]
    posts = await stores.posts.posts(known)
    authors = sorted({post.author_id for post in posts.values()})
    suspensions, routes = await asyncio.gather(
        stores.readers.suspensions(authors), stores.routes.routes(authors)
    )
    suspended = [author for author, known in suspensions.items() if known.suspended]
    ledger = Ledger()
    for event in chain(_of_reader(standing), _of_posts(posts.values()), _suspensions(suspended)):
        ledger.add(event)
    return Expectation(standing, ledger, routes, suspensions, margin_ms)


def _of_reader(standing: Standing) -> list[Event]:
    me, relations = standing.reader_id, standing.relations
    blocks = [(me, author) for author in relations.blocks] + [(other, me) for other in relations.blocked_by]
    return [
        AccountEvent(EventType.UPDATED, me, standing.state.region, standing.state.protected, _AT),
        *(FollowEvent(EventType.FOLLOWED, author, (me,), _AT) for author in standing.edges),
        *(ModerationEvent(EventType.BLOCKED, _AT, reader_id=who, author_id=whom) for who, whom in blocks),
        *(
            ModerationEvent(EventType.MUTED, _AT, reader_id=me, author_id=author)
            for author in relations.mutes
        ),
    ]


def _of_posts(posts: Iterable[StoredPost]) -> list[Event]:
    """A post is as old as its id says: that is what windows and bounds go by."""
    events: list[Event] = []
    for post in posts:
        what, at = (post.post_id, post.author_id), snowflake.time_ms(post.post_id)
        events.append(PostEvent(EventType.PUBLISHED, *what, at, visibility=post.visibility, body=post.body))
        if post.deleted:
            events.append(PostEvent(EventType.DELETED, *what, at))
        if post.taken_down:
            regions = tuple(post.taken_down)
            events.append(ModerationEvent(EventType.TAKEN_DOWN, _AT, post_id=post.post_id, regions=regions))
    return events


def _suspensions(authors: Iterable[int]) -> Sequence[Event]:
    return [ModerationEvent(EventType.SUSPENDED, _AT, author_id=author) for author in authors]

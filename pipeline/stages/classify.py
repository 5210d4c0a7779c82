"""Classify: a post gets its place in the canonical store, its author's class, and its fan-out tasks.

Reads      posts (key author_id, so an author's posts come in order); routing.settings, routing.forced,
           containment and costs as a whole
Writes     posts, posts_by_author, posts_ahead, post_reservations (`numbering`), author_routes;
           author.routes, then page.changes, then fanout.*, then posts.classified; fanout.retract for posts
           that were deleted or became private, fanout.backfill for those that no longer are
Guarantee  the post can be pulled before it can be pushed; the route record of a new class is durable in
           the table and in the topic before any task or post of that class leaves. An id belongs to whoever
           published under it first: of others nothing is applied, before the post as little as after it
Replay     changes nothing: the class of an old post is looked up in the history by its id, its hints in the
           index; tasks are sent again and write the same rows
Budget     part of every tier's: age counts from the broker's time for the post
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from pipeline.domain import budgets, hints, order, repair, segments, snowflake
from pipeline.domain.routing import (
    class_of,
    entries_of,
    is_plain_push,
    route_for,
)
from pipeline.domain.visibility import is_private
from pipeline.kafka.emit import Emit
from pipeline.kafka.messages import Delivery, Refused
from pipeline.kafka.ports import Outgoing
from pipeline.stages import changes, numbering, repairs
from pipeline.stages.overrides import Overrides
from pipeline.store.ports import GraphStore, PostStore, RouteStore
from pipeline.store.values import AuthorGraph, Placed, StoredPost
from pipeline.telemetry import metrics
from pipeline.wire import headers
from pipeline.wire.enums import EventType, RefusalReason
from pipeline.wire.records import AuthorClass, ClassifiedPost, FanoutTask, PostEvent, RouteRecord

Post = Delivery[PostEvent]

_MAX_AHEAD = 1000
"""Events of one author ahead of one post that are applied: more than anybody edits in the time of a lag."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How far back timelines reach, and how long their rows and the classes behind them are kept (ms)."""

    window_ms: int
    life_ms: int


@dataclass(frozen=True, slots=True)
class Classify:
    """The classify stage. `tiers` in order of size; `fanout_topics` and `shards` by tier name."""

    posts: PostStore
    graph: GraphStore
    routes: RouteStore
    emit: Emit
    overrides: Overrides
    window: Retention
    tiers: Sequence[budgets.Tier]
    fanout_topics: dict[str, str]
    shards: dict[str, int]
    tasks_per_post: int

    async def handle(self, batch: Sequence[Post]) -> list[Refused]:
        """Store a batch and the routes of its authors, then send its tasks: each durable before the next.

        What does not need each other goes together: a post that comes alone waits for four answers of the
        store and one of the broker.
        """
        known = await self._known(batch)
        accepted, ahead, changed, refused = self._accepted(known)
        published = [post for post in accepted if post.record.type == EventType.PUBLISHED]
        records = self._routes(published, known)
        hint_of = await self._stored(accepted, ahead, published, known, records)
        # anew: whoever joins once the posts are stored finds them there, whoever joined before is in a task
        stored, seats = await asyncio.gather(
            self.posts.posts([post.record.post_id for post in accepted if _sets_visibility(post.record)]),
            self.graph.author_graphs({post.record.author_id for post in published}),
        )
        # two authors with one id, on two partitions at once: the later write has it, whole
        owners = {post_id: post.author_id for post_id, post in stored.items()}
        lost = [
            p for p in published if owners.get(p.record.post_id, p.record.author_id) != p.record.author_id
        ]
        refused += [_not_the_owner(post, owners[post.record.post_id]) for post in lost]
        published = [post for post in published if post not in lost]
        gone = {post.post_id for post in stored.values() if post.gone}
        classes = {p.record.post_id: _class_of(p.record, records) for p in published}
        await self.emit.all(
            [
                *changes.messages(self.emit, batch, authors=_authors_changed(accepted), posts=changed),
                *(
                    task
                    for post in published
                    if post.record.post_id not in gone
                    for task in self._tasks(
                        post, classes[post.record.post_id], seats[post.record.author_id], hint_of
                    )
                ),
                *(
                    self._classified(post, classes[post.record.post_id], known.graphs[post.record.author_id])
                    for post in published
                ),
            ]
        )
        for author_class in classes.values():
            metrics.POSTS_CLASSIFIED.labels(author_class).inc()
        for post in published:
            metrics.PRODUCER_DELAY.observe(max(post.entered_ms - post.origin_ts, 0) / 1000)
        await self._repair([each for post in accepted for each in _caused(post, stored, known.owners)])
        return [*known.refused, *refused]

    async def _known(self, batch: Sequence[Post]) -> "_Known":
        """The batch with its ids, and what the tables say of them and of the authors."""
        authors = {post.record.author_id for post in batch if post.record.type == EventType.PUBLISHED}
        own = [post.record.post_id for post in batch if not numbering.is_made(post.record)]
        numbered, claims, graphs, records = await asyncio.gather(
            numbering.number(self.posts, batch, ttl_s=self.window.life_ms // 1000),
            self.posts.claims(own),
            self.graph.author_graphs(authors),
            self.routes.routes(authors),
        )
        claims |= numbered.claims
        owners = {post_id: one.author_id for post_id, one in claims.items() if one.author_id is not None}
        ahead = {post_id for post_id, one in claims.items() if one.ahead}
        return _Known(numbered.batch, numbered.refused, owners, ahead, graphs, records)

    async def _stored(
        self,
        accepted: Sequence[Post],
        ahead: Sequence[Post],
        published: Sequence[Post],
        known: "_Known",
        records: Mapping[int, RouteRecord],
    ) -> dict[int, int]:
        """Store the posts and the routes of their authors; returns the hints of the posts."""
        await self.posts.put_ahead([_placed(post) for post in ahead], ttl_s=self.window.life_ms // 1000)
        awaited = known.ahead | {post.record.post_id for post in ahead}
        early, stored_hints = await asyncio.gather(
            self._ahead({(p.record.post_id, p.record.author_id) for p in published}, awaited),
            self._stored_hints([post.record for post in published if post.record.post_id in known.owners]),
        )
        hint_of = dict(stored_hints)
        for post in published:  # of several with one id those of the first, as in batches of their own
            hint_of.setdefault(post.record.post_id, _hints(post.record, known.graphs[post.record.author_id]))
        await asyncio.gather(
            self.posts.put_posts([*early, *map(_placed, accepted)], hint_of),
            self._put_routes(known.records, records, published),
        )
        return hint_of

    async def _repair(self, caused: Sequence[tuple[Post, str, int]]) -> None:
        """Pages show or hide a post at once; its rows come and go by and by: on which topic, as of when."""
        graphs = await self.graph.author_graphs({post.record.author_id for post, _, _ in caused})
        await self.emit.all(
            message
            for post, topic, at in caused
            for author, post_id in [(post.record.author_id, post.record.post_id)]
            for message in repairs.messages(
                self.emit,
                topic,
                str(author),
                repair.for_followers(
                    author,
                    graphs[author].segments,
                    self.tasks_per_post,
                    lo=post_id,
                    hi=post_id + 1,
                    at=at,
                ),
                post,
            )
        )

    def _accepted(self, known: "_Known") -> tuple[list[Post], list[Post], set[int], list[Refused]]:
        """What is applied, what waits for its post, the posts that are known already and change; and what is
        refused: ids that are another author's post.
        """
        taken = dict(known.owners)
        accepted: list[Post] = []
        ahead: list[Post] = []
        changed: set[int] = set()
        refused: list[Refused] = []
        for post in known.batch:
            event = post.record
            owner = taken.get(event.post_id, event.author_id)
            if owner != event.author_id:
                refused.append(_not_the_owner(post, owner))
            elif event.post_id in taken:
                accepted.append(post)
                changed.add(event.post_id)
            elif event.type == EventType.PUBLISHED:  # what will be stored, and nothing else, takes an id
                accepted.append(post)
                taken[event.post_id] = event.author_id
            else:
                ahead.append(post)
        return accepted, ahead, changed, refused

    async def _ahead(
        self, posts: Iterable[tuple[int, int]], awaited: Collection[int]
    ) -> list[Placed[PostEvent]]:
        """What the authors of these posts sent ahead of them."""
        found = await asyncio.gather(
            *(self.posts.ahead(post, author, _MAX_AHEAD) for post, author in posts if post in awaited)
        )
        return [event for events in found for event in events]

    async def _stored_hints(self, replayed: Sequence[PostEvent]) -> dict[int, int]:
        """The hints these posts were first stored with: the author may have other followers by now."""
        found = await asyncio.gather(
            *(self.posts.recent(p.author_id, p.post_id, p.post_id + 1, limit=1) for p in replayed)
        )
        return {row.post_id: hints.plain(row.hints) for rows in found for row in rows}

    def _routes(self, published: Sequence[Post], known: "_Known") -> dict[int, RouteRecord]:
        """The route records of these posts' authors once every post has its class."""
        records = dict(known.records)
        for post in published:
            author_id, post_id = post.record.author_id, post.record.post_id
            record = records.get(author_id, RouteRecord(author_id, (), 0))
            if post_id <= record.latest_post_id:
                continue  # it has its class: nothing is asked, and no rate is used up
            followers, at = known.graphs[author_id].followers, post.message.timestamp_ms
            records[author_id] = route_for(
                post_id,
                record,
                followers,
                self.overrides.thresholds(),
                window_start=snowflake.first_id(at - self.window.window_ms),
                oldest=snowflake.first_id(at - self.window.life_ms),
                influences=self.overrides.influences(post, budgets.tier_for(followers, self.tiers).name),
            )
        return records

    async def _put_routes(
        self, before: Mapping[int, RouteRecord], after: Mapping[int, RouteRecord], published: Sequence[Post]
    ) -> None:
        """Store what changed; publish what readers need to know: any record but that of plain push authors.

        A replayed post publishes its author's record once more: the crash may have come between the two. A
        record is taken out of the topic first, while the table still tells that it was there.
        """
        changed = [record for author, record in after.items() if before.get(author) != record]
        await self.emit.all(
            self.emit.tombstone("author.routes", str(author))
            for author, record in after.items()
            if is_plain_push(record.entries) and not is_plain_push(entries_of(before, author))
        )
        await self.routes.put_routes(changed)
        sources = {post.record.author_id: post for post in published}
        await self.emit.all(
            self.emit.message("author.routes", str(author), record, source=sources[author])
            for author, record in after.items()
            if not is_plain_push(record.entries)
        )

    def _tasks(
        self, post: Post, author_class: AuthorClass, graph: AuthorGraph, hint_of: dict[int, int]
    ) -> Iterable[Outgoing]:
        """One task for each range of the author's segments, on the shard of its first; none when pulled."""
        if author_class is AuthorClass.PULL or not graph.segments:
            return
        event = post.record
        tier = budgets.tier_for(graph.followers, self.tiers).name
        topic, shards = self.fanout_topics[tier], self.shards[tier]
        whole = segments.SegmentRange(0, graph.segments - 1)
        for part in segments.tasks(graph.segments, self.tasks_per_post):
            deliveries = segments.share(graph.followers, whole, part)
            task = FanoutTask(
                *(event.post_id, event.author_id, author_class, part.first, part.last),
                hint_of[event.post_id],
                deliveries,
            )
            shard = segments.shard(event.author_id, part.first, shards)
            yield self.emit.message(
                topic, str(event.author_id), task, source=post, partition=shard, part=part.first
            )

    def _classified(self, post: Post, author_class: AuthorClass, graph: AuthorGraph) -> Outgoing:
        event = post.record
        record = ClassifiedPost(
            event.post_id,
            event.author_id,
            event.at,
            event.visibility or "public",
            event.region or "",
            author_class,
            graph.followers,
            headers.producer(post.message.headers),
        )
        return self.emit.message("posts.classified", str(event.author_id), record, source=post)


@dataclass(frozen=True, slots=True)
class _Known:
    """A batch with its ids, what found none, and what the tables said: by id the author who published it, ids
    of which events came ahead of the post, by author the followers and the route.
    """

    batch: Sequence[Post]
    refused: Sequence[Refused]
    owners: Mapping[int, int]
    ahead: Set[int]
    graphs: Mapping[int, AuthorGraph]
    records: Mapping[int, RouteRecord]


def _authors_changed(accepted: Iterable[Post]) -> set[int]:
    """Authors of whose posts the index says something else now."""
    return {
        post.record.author_id
        for post in accepted
        if post.record.type in (EventType.PUBLISHED, EventType.DELETED) or _edits_visibility(post.record)
    }


def _placed(post: Post) -> Placed[PostEvent]:
    return Placed(post.record, post.message.offset)


def _edits_visibility(event: PostEvent) -> bool:
    return event.type == EventType.EDITED and event.visibility is not None


def _sets_visibility(event: PostEvent) -> bool:
    return event.type == EventType.PUBLISHED or _edits_visibility(event)


def _caused(
    post: Post, stored: Mapping[int, StoredPost], known: Collection[int]
) -> Iterable[tuple[Post, str, int]]:
    """The repair of rows that an event asks for: none is due while nobody but the author may see the post,
    and all are, once followers may who could not. These are written as of a moment after the event, so that
    they outlive what was taken out at the same time.
    """
    event = post.record
    if event.type == EventType.DELETED:
        yield post, repairs.RETRACT, event.at
        return
    found = stored.get(event.post_id)
    if not _sets_visibility(event) or found is None or found.author_id != event.author_id:
        return
    at = order.of_post(event, post.message.offset).at
    if is_private(found.visibility):
        if event.type == EventType.EDITED or event.post_id in known:
            yield post, repairs.RETRACT, at
    elif found.was_private:
        yield post, repairs.BACKFILL, at + 1


def _not_the_owner(post: Post, owner: int) -> Refused:
    return Refused(post.message, RefusalReason.OWNER, f"post_id {post.record.post_id} is of author {owner}")


def _hints(event: PostEvent, graph: AuthorGraph) -> int:
    return hints.of_post(followers=graph.followers, body=event.body or "", media=len(event.media or ()))


def _class_of(event: PostEvent, records: Mapping[int, RouteRecord]) -> AuthorClass:
    return class_of(event.post_id, records[event.author_id].entries)

"""Moderation: blocks, mutes, suspensions and take-downs become what queries filter by, then clean-up.

Reads      moderation, and for one release policy, as it was called (keyed by the reader, author or post)
Writes     relations_by_reader, author_stats.{suspended, retracted_before}, posts.taken_down;
           author.suspensions; page.changes; edge.marks; fanout.retract, fanout.backfill
Guarantee  in force for the next page once acknowledged: pages read these tables, not a cache. Rows go only
           after readers know that they must pull what may be gone; what an end brings back is written again
Replay     changes nothing: writes carry the time of their event, the newest wins, and an event that is no
           longer in force causes nothing
Budget     none of its own; it shares no process, topic or group with the fan-out
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

from pipeline.domain import repair, snowflake
from pipeline.domain.visibility import EVERYWHERE
from pipeline.kafka.emit import Emit
from pipeline.kafka.messages import Delivery, Refused, version_of
from pipeline.kafka.ports import Outgoing
from pipeline.stages import changes, repairs
from pipeline.store.ports import Stores
from pipeline.wire.enums import EventType
from pipeline.wire.records import FollowEvent, ModerationEvent

Cause = Delivery[ModerationEvent]


@dataclass(frozen=True, slots=True)
class Moderation:
    """The moderation stage. `tasks`: into how many repair tasks the segments of an author are cut at most."""

    stores: Stores
    emit: Emit
    tasks: int

    async def handle(self, batch: Sequence[Cause]) -> list[Refused]:
        """Apply a batch, what is about one author in order, then send what it causes. Every write has its
        event's time, but what is told of a suspension is what the table holds after the one before.
        """
        about: dict[int | None, list[Cause]] = defaultdict(list)
        for delivery in batch:
            about[delivery.record.author_id].append(delivery)
        await asyncio.gather(*map(self._in_order, about.values()))
        await self._tell(batch)
        caused = await asyncio.gather(*(self._caused(delivery) for delivery in batch))
        await self.emit.all(chain.from_iterable(caused))
        return []

    async def _in_order(self, deliveries: Sequence[Cause]) -> None:
        for delivery in deliveries:
            await self._apply(delivery)

    async def _apply(self, delivery: Cause) -> None:
        readers, posts, version = self.stores.readers, self.stores.posts, version_of(delivery)
        match delivery.record:
            case ModerationEvent(
                EventType.BLOCKED | EventType.UNBLOCKED as what, _, int(reader), int(author)
            ):
                await readers.relate(reader, author, "block", what == EventType.BLOCKED, version)
            case ModerationEvent(EventType.MUTED | EventType.UNMUTED as what, _, int(reader), int(author)):
                await readers.relate(reader, author, "mute", what == EventType.MUTED, version)
            case ModerationEvent(EventType.SUSPENDED | EventType.REINSTATED as what, author_id=int(author)):
                await self._suspend(delivery, author, what == EventType.SUSPENDED)
            case ModerationEvent(EventType.TAKEN_DOWN, post_id=int(post), regions=regions):
                await posts.take_down(post, regions or (EVERYWHERE,), version)
            case ModerationEvent(EventType.RESTORED, post_id=int(post), regions=regions):
                await posts.restore(post, regions or (EVERYWHERE,), version)

    async def _tell(self, applied: Sequence[Cause]) -> None:
        """A block is between two readers; who mutes is not known to the muted. Suspensions have a topic."""
        readers: set[int] = set()
        posts: set[int] = set()
        for cause in applied:
            match cause.record:
                case ModerationEvent(EventType.BLOCKED | EventType.UNBLOCKED, _, int(reader), int(author)):
                    readers |= {reader, author}
                case ModerationEvent(EventType.MUTED | EventType.UNMUTED, _, int(reader)):
                    readers.add(reader)
                case ModerationEvent(EventType.TAKEN_DOWN | EventType.RESTORED, post_id=int(post)):
                    posts.add(post)
        await changes.tell(self.emit, applied, readers=readers, posts=posts)

    async def _suspend(self, cause: Cause, author: int, suspended: bool) -> None:
        """A suspension is filtered at once. Its end is not in force before queries know what to pull."""
        readers, version = self.stores.readers, version_of(cause)
        if suspended:
            await readers.set_suspended(author, True, version)
        known = (await readers.suspensions([author])).get(author)
        if known is not None:
            overtaken = await readers.suspended_as_of(author) > version.write_time
            told = known if overtaken else replace(known, suspended=suspended, at=version.at)
            message = self.emit.message("author.suspensions", str(author), told, source=cause)
            await self.emit.all([message])
        if not suspended:
            await readers.set_suspended(author, False, version)

    async def _caused(self, cause: Cause) -> list[Outgoing]:
        """The repairs that a change in force asks for."""
        match cause.record:
            case ModerationEvent(
                EventType.BLOCKED | EventType.UNBLOCKED as what, at, int(reader), int(author)
            ):
                relations = await self.stores.readers.relations(reader, [author])
                if relations.blocked(author) != (what == EventType.BLOCKED):
                    return []
                kind = EventType.RETRACTED if what == EventType.BLOCKED else EventType.REFILLED
                return [
                    self.emit.message("edge.marks", str(a), FollowEvent(kind, a, (r,), at), source=cause)
                    for a, r in ((author, reader), (reader, author))
                ]
            case ModerationEvent(EventType.SUSPENDED, at, author_id=int(author)):
                if author not in await self.stores.readers.suspended([author]):
                    return []
                return await self._for_followers(cause, repairs.RETRACT, author, 0, snowflake.first_id(at))
            case ModerationEvent(
                EventType.TAKEN_DOWN | EventType.RESTORED as what, post_id=int(post), regions=()
            ):
                found = (await self.stores.posts.posts([post])).get(post)
                if found is None or (EVERYWHERE in found.taken_down) != (what == EventType.TAKEN_DOWN):
                    return []
                topic = repairs.RETRACT if what == EventType.TAKEN_DOWN else repairs.BACKFILL
                return await self._for_followers(cause, topic, found.author_id, post, post + 1)
        return []

    async def _for_followers(self, cause: Cause, topic: str, author: int, lo: int, hi: int) -> list[Outgoing]:
        """Tasks about these posts for all followers of the author."""
        graph = (await self.stores.graph.author_graphs([author]))[author]
        at = cause.record.at + (topic == repairs.BACKFILL)  # to outlive what was taken out at the same time
        tasks = repair.for_followers(author, graph.segments, self.tasks, lo=lo, hi=hi, at=at)
        return repairs.messages(self.emit, topic, str(author), tasks, cause)

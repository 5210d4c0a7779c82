"""Policy: blocks, mutes, suspensions and take-downs become what the query agent filters by.

Reads      policy (keyed by the reader, author or post it is about)
Writes     relations_by_reader, author_stats.suspended, posts.taken_down
Guarantee  in force for the next page once acknowledged: pages read these tables, not a cache
Replay     changes nothing: writes carry the time of their event, and the newest wins
Budget     none of its own; it shares no process, topic or group with the fan-out
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.domain.visibility import EVERYWHERE
from pipeline.kafka.messages import Delivery, Refused
from pipeline.records import PolicyEvent
from pipeline.store.ports import PostStore, ReaderStore

TYPES = (
    *("blocked", "unblocked", "muted", "unmuted"),
    *("suspended", "reinstated", "taken_down", "restored"),
)


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy stage."""

    readers: ReaderStore
    posts: PostStore

    async def handle(self, batch: Sequence[Delivery[PolicyEvent]]) -> list[Refused]:
        """Apply a batch; the order inside it does not matter, since every write has its event's time."""
        outcomes = await asyncio.gather(*(self._apply(delivery) for delivery in batch))
        return [outcome for outcome in outcomes if outcome is not None]

    async def _apply(self, delivery: Delivery[PolicyEvent]) -> Refused | None:
        match delivery.record:
            case PolicyEvent("blocked" | "unblocked" as what, at, int(reader), int(author)):
                await self.readers.relate(reader, author, "block", what == "blocked", at)
            case PolicyEvent("muted" | "unmuted" as what, at, int(reader), int(author)):
                await self.readers.relate(reader, author, "mute", what == "muted", at)
            case PolicyEvent("suspended" | "reinstated" as what, at, author_id=int(author)):
                await self.readers.set_suspended(author, what == "suspended", at)
            case PolicyEvent("taken_down", at, post_id=int(post), regions=regions):
                await self.posts.take_down(post, regions or (EVERYWHERE,), at)
            case PolicyEvent("restored", at, post_id=int(post), regions=regions):
                await self.posts.restore(post, regions or (EVERYWHERE,), at)
            case PolicyEvent(type=kind) if kind in TYPES:
                return Refused(delivery.message, "incomplete", f"{kind}: an id is missing")
            case other:
                return Refused(delivery.message, "type", f"{other.type}: not one of {', '.join(TYPES)}")
        return None

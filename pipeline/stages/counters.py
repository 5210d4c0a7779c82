"""Counters: how many different readers engage with a post, by the hour.

Reads      activity (key reader_id); of its events `engaged` alone
Writes     engagement_by_post: a sketch a post, hour of the event, and partition of activity
Guarantee  a reader counts once an hour, however often and in whatever order events come. A partition has one
           writer; one that lost it and does not know yet has a part of what its successor has, who began with
           what the tables held, and of two sketches the larger one stays: nothing gets smaller for good
Replay     changes nothing: the same readers make the same sketch, and one that is stored is not written again
Budget     none: nothing on the path of a post waits for it, and a page without counters is a page
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.clock import Clock
from pipeline.domain import engagement
from pipeline.kafka.messages import Delivery, Refused
from pipeline.store.ports import CounterStore
from pipeline.store.values import CounterWindow, Engaged
from pipeline.wire.enums import EventType
from pipeline.wire.records import ActivityEvent


@dataclass(frozen=True, slots=True)
class Counters:
    """The counters stage. It holds nothing between batches: what is known of a window is in the table."""

    store: CounterStore
    clock: Clock
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Batches of one process do not come between the read and the write of another."""

    async def handle(self, batch: Sequence[Delivery[ActivityEvent]]) -> list[Refused]:
        """Count the readers of a batch. Refuses nothing."""
        heard = self._heard(batch)
        async with self.turn:
            stored = await self.store.sketches(list(heard))
            grown = []
            for window, reader_ids in heard.items():
                before = stored.get(window, ())
                after = engagement.union(before, engagement.sketch(reader_ids))
                if after != before:
                    grown.append(Engaged(window, after, engagement.life_s(window.hour, self.clock.now_ms())))
            await self.store.put_sketches(grown)
        return []

    def _heard(self, batch: Sequence[Delivery[ActivityEvent]]) -> dict[CounterWindow, set[int]]:
        """By window, who engaged; without those who come after its life."""
        heard: dict[CounterWindow, set[int]] = defaultdict(set)
        for delivery in batch:
            match delivery.record:
                case ActivityEvent(EventType.ENGAGED, reader, at, post_id=int(post)):
                    hour = engagement.hour_of(at)
                    if engagement.life_s(hour, self.clock.now_ms()) > 0:
                        heard[CounterWindow(post, hour, delivery.message.partition)].add(reader)
        return heard

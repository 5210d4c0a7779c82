"""Overrides: what may overrule the number of an author's followers. Part of the classify stage.

Reads      routing.settings, routing.forced, containment and costs as a whole
Guarantee  none is needed: a post gets its class by what is known when it comes, and keeps it (`domain`)
"""

from dataclasses import dataclass, field, replace

from pipeline.clock import Clock
from pipeline.domain import cost
from pipeline.domain.containment import Room, contained
from pipeline.domain.routing import Influences, Thresholds
from pipeline.kafka.messages import Delivery
from pipeline.kafka.ports import KeyedView
from pipeline.wire.records import Containment, CostSample, ForcedClass, PostEvent, RoutingSettings


@dataclass(frozen=True, slots=True)
class Overrides:
    """`shipped`: the thresholds while nobody has set others."""

    shipped: Thresholds
    settings: KeyedView[RoutingSettings]
    forced: KeyedView[ForcedClass]
    in_force: KeyedView[Containment]
    costs: KeyedView[CostSample]
    clock: Clock
    room: Room = field(default_factory=Room)

    def thresholds(self) -> Thresholds:
        """Those in force now."""
        now = self.settings.get("routing")
        if now is None:
            return self.shipped
        return replace(self.shipped, push_below=now.push_below, pull_above=now.pull_above)

    def influences(self, delivery: Delivery[PostEvent], tier: str) -> Influences:
        """What may overrule them for this post, whose author is of this tier; a rate lets it pass once."""
        post = delivery.record
        most = contained(
            self.in_force.get,
            author_id=post.author_id,
            tier=tier,
            region=post.region or "",
            now_ms=self.clock.now_ms(),
            room=lambda record: self.room(record, delivery.entered_ms),
        )
        return Influences(self.forced.get(post.author_id), most, cost.measured(self.costs.values()))

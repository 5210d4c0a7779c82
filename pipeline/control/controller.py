"""Controller: looks at every stage once a second, and acts for the tiers that are behind.

Reads      what `look` sees of all stages; containment and posts.classified as views
Writes     pipeline.health; containment with containment.journal; quotas of users at the broker
Guarantee  several may run, the one that leads writes; what is in force is in the topic, so the next one goes
           on from there, and what nobody extends ends by itself
Replay     has no topic to process
Budget     a breach is acted upon within two looks
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from pipeline.clock import Clock
from pipeline.control.health_topic import HEALTH
from pipeline.control.throttle import Throttle
from pipeline.domain.arrivals import Arrival, Arrivals
from pipeline.domain.budgets import Tier, tier_for
from pipeline.domain.containment import key_of
from pipeline.domain.control import ContainmentChange, Hot, Rules, TierSample, asks_who, decide
from pipeline.errors import TidelineError
from pipeline.kafka.emit import Emit
from pipeline.kafka.ports import KeyedView, Outgoing
from pipeline.path import tier_of
from pipeline.wire.records import AuthorClass, ClassifiedPost, Containment, JournalEntry, StageHealth

LOOK_S = 1.0

CONTAINMENT, JOURNAL = "containment", "containment.journal"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Controller:
    """`look`: how all stages stand now. `rules`: of the tiers that are acted for. `leads`: whether to write.

    `told`: hears of every look and of what is in force, for metrics.
    """

    look: Callable[[], Awaitable[Sequence[StageHealth]]]
    in_force: KeyedView[Containment]
    arrivals: Arrivals
    throttle: Throttle
    rules: Mapping[str, Rules]
    leads: Callable[[], bool]
    emit: Emit
    clock: Clock
    told: Callable[[Sequence[StageHealth], Sequence[Containment]], None] = lambda healths, in_force: None
    down: set[str] = field(default_factory=set)
    """The stages that had no live worker at the last look."""

    async def run(self) -> None:
        """Look and act until cancelled; when an engine is away, look again."""
        while True:
            try:
                await self.step()
            except TidelineError as away:  # also a message that its topic does not take
                _log.warning("controller.waiting", error=str(away), next="tideline status")
            await self.clock.sleep(LOOK_S)

    async def step(self) -> list[ContainmentChange]:
        """One look; what was done about it."""
        healths = await self.look()
        records = self.in_force.values()
        self.told(healths, records)
        if not self.leads():
            return []
        now = self.clock.now_ms()
        self._log_stages_without_worker(healths)
        seen = seen_of(healths)
        known = self._hot(now) if asks_who(seen, self.rules) else []
        in_force = await self.throttle.bring(records, now)
        changes = decide(
            {key_of(one): one for one in in_force},
            seen,
            known,
            self.rules,
            now,
        )
        await self.emit.all(self._health(one) for one in healths)
        await self.emit.all(message for one in changes for message in announced(self.emit, one, now))
        for one in changes:
            if one.event != "extended":
                what = one.record
                _log.info(f"containment.{one.event}", kind=what.kind, target=what.target, why=what.cause)
        return changes

    def _log_stages_without_worker(self, healths: Sequence[StageHealth]) -> None:
        """Once: why nothing is done about them."""
        down = {one.stage for one in healths if one.workers == 0}
        for stage in sorted(down - self.down):
            _log.error("stage.no_live_worker", stage=stage, next="tideline status")
        self.down.clear()
        self.down.update(down)

    def _hot(self, now_ms: int) -> list[Hot]:
        return self.arrivals.hot(now_ms / 1000, min(rule.hot_share for rule in self.rules.values()))

    def _health(self, health: StageHealth) -> Outgoing:
        return self.emit.event(HEALTH, health.stage, health, at_ms=health.at)


class Classified:
    """What the topic of classified posts adds to the arrivals, as of now: a post's own time is a claim, and
    who makes posts of an hour ago makes work of now.
    """

    def __init__(self, arrivals: Arrivals, tiers: Sequence[Tier], now_ms: Callable[[], int]) -> None:
        self._arrivals, self._tiers, self._now_ms = arrivals, tiers, now_ms

    def put(self, key: bytes, post: ClassifiedPost | None) -> None:
        """A post, on the thread of the view."""
        if post is not None:
            pushed = post.followers if post.author_class is not AuthorClass.PULL else 0
            tier = tier_for(post.followers, self._tiers).name
            now_s = self._now_ms() / 1000
            self._arrivals.add(Arrival(now_s, tier, post.author_id, post.region, pushed))


def seen_of(healths: Sequence[StageHealth]) -> dict[str, TierSample]:
    """Tiers as the rules see them."""
    tiers = ((tier_of(one.stage), one) for one in healths)
    return {
        tier: TierSample(one.age_s, one.pending, one.workers, one.outage_s)
        for tier, one in tiers
        if tier is not None
    }


def announced(emit: Emit, change: ContainmentChange, now_ms: int, by: str = "") -> list[Outgoing]:
    """A change as messages: what is in force first, then what is told of it. `by`: where not whose it was."""
    record, key = change.record, key_of(change.record)
    about = f"{record.kind}/{record.target}"
    until = 0 if change.over else record.until
    who = by or record.by
    entry = JournalEntry(now_ms, change.event, record.kind, record.target, record.cause, who, until)
    if change.over:
        state = emit.tombstone(CONTAINMENT, key)
    else:
        state = emit.event(CONTAINMENT, key, record, at_ms=now_ms)
    return [state, emit.event(JOURNAL, about, entry, at_ms=now_ms)]

"""Emptying a tier: `tideline drain`.

No new work goes into it: new posts of its authors are pulled instead, so no reader misses one. What waits is
written by its workers as ever. At the end, however it ends, the tier is as it was before; should nobody live
to see to that, the record ends by itself.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from pipeline.clock import CLOCK, Clock, now_ms
from pipeline.config.names import Names
from pipeline.control.lag import Lag, StageLag, settled
from pipeline.domain.containment import OPERATOR, Kind, held, holds, key_of
from pipeline.errors import TidelineError
from pipeline.kafka.offsets import Offsets
from pipeline.ops import containment
from pipeline.ops.replay import KafkaGroups
from pipeline.path import tier_stage
from pipeline.topology import Topology
from pipeline.wire.records import AuthorClass, Containment

EMPTY_S = 2.0
"""How long the tier stays empty before that is believed: classify may have had a batch in hand that it began
to cut into tasks before it heard."""

_LOOK_S = 0.25


class Hold(Protocol):
    """What keeps new work out of a tier."""

    async def put(self, record: Containment) -> None:
        """Have this in force."""

    async def release(self, kind: str, target: str) -> None:
        """Have it in force no more, if it still is."""


@dataclass(frozen=True, slots=True)
class Drain:
    """One tier to be emptied. `look`: how far its stage is. `works`: whether somebody gets on with it."""

    tier: str
    hold: Hold
    look: Callable[[], StageLag]
    works: Callable[[], bool]
    clock: Clock

    async def run(
        self, before: Containment | None, timeout_s: float, told: Callable[[StageLag], None]
    ) -> None:
        """Return when the tier is empty. `before`: what kept work out already; `told` hears of each look.

        Raises TidelineError when it is not empty in time, or at once when nobody works on it.
        """
        if not settled([self.look()]) and not self.works():
            raise TidelineError(
                f"{self.tier} would never be empty: nobody works on it",
                f"`tideline stage start {tier_stage(self.tier)}`, or when it is frozen"
                f" `tideline contain release freeze {self.tier}`",
            )
        now = self.clock.now_ms()
        until = now + round((timeout_s + EMPTY_S) * 1000)
        cause = f"tideline drain {self.tier}"
        wanted = Containment(Kind.SHED, self.tier, AuthorClass.PULL, 0, cause, OPERATOR, now, until)
        if before is not None and _is_as_strict(before, until):
            await self._until_empty(timeout_s, told)
            return
        await self.hold.put(wanted)
        try:
            await self._until_empty(timeout_s, told)
        finally:
            if before is not None and before.by == OPERATOR and holds(before, self.clock.now_ms()):
                await self.hold.put(replace(before, since=self.clock.now_ms()))
            else:  # the controller's too: it does that again, if it is still needed
                await self.hold.release(Kind.SHED, self.tier)

    async def _until_empty(self, timeout_s: float, told: Callable[[StageLag], None]) -> None:
        deadline, empty_since = self.clock.monotonic_s() + timeout_s, float("inf")
        while True:
            seen = self.look()
            told(seen)
            now = self.clock.monotonic_s()
            empty_since = min(empty_since, now) if settled([seen]) else float("inf")
            if now - empty_since >= EMPTY_S:
                return
            if now >= deadline and empty_since == float("inf"):
                left = "an unknown number of" if seen.lag is None else f"{seen.lag:,}"
                raise TidelineError(
                    f"{self.tier} is not empty after {timeout_s:g} s: {left} tasks are left",
                    "`tideline lag` tells whether its workers get on, `tideline advise` how many it needs",
                )
            await self.clock.sleep(_LOOK_S)


def _is_as_strict(before: Containment, until: int) -> bool:
    """Whether an operator keeps new work out of the tier already, and for as long."""
    lasts = before.until == 0 or before.until >= until
    return before.by == OPERATOR and before.author_class is AuthorClass.PULL and lasts


@dataclass(frozen=True, slots=True)
class Contain:
    """Keeps work out by `tideline contain`."""

    bootstrap: str
    names: Names

    async def put(self, record: Containment) -> None:
        """See `Hold`."""
        await containment.put(self.bootstrap, record, self.names)

    async def release(self, kind: str, target: str) -> None:
        """See `Hold`."""
        if self.in_force(kind, target) is not None:
            await containment.release(self.bootstrap, kind, target, OPERATOR, self.names)

    def in_force(self, kind: str, target: str) -> Containment | None:
        """What is in force of this kind about this target."""
        now = now_ms()
        found = {key_of(one): one for one in containment.read(self.bootstrap, self.names, now_ms=now)}
        return held(found.get, Kind(kind), target, now)


async def drain(
    bootstrap: str,
    topology: Topology,
    tier: str,
    offsets: Offsets,
    timeout_s: float,
    told: Callable[[StageLag], None],
) -> None:
    """Empty a tier, see `Drain.run`. Raises ConfigError when there is no such tier."""
    containment.check(Kind.SHED, tier, topology)
    stage, hold = tier_stage(tier), Contain(bootstrap, topology.names)
    looking = Lag(offsets, topology, now_ms=now_ms, only=[stage])

    def works() -> bool:
        has_members = KafkaGroups(bootstrap).has_members(topology.tiers[tier].group)
        return has_members and hold.in_force(Kind.FREEZE, tier) is None

    draining = Drain(tier, hold, lambda: looking.snapshot()[0], works, CLOCK)
    await draining.run(hold.in_force(Kind.SHED, tier), timeout_s, told)

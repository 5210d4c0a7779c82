"""What an operator puts in force, and takes back, while the world is being broken: seeded, and no page may show it."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.domain.containment import OPERATOR, Kind
from pipeline.errors import EngineError
from pipeline.ops import containment
from pipeline.wire.records import AuthorClass, Containment
from tests.engines import events
from tests.engines.harness import Instance
from tests.faults.workload import REGIONS, producer_of
from tests.waiting import eventually

MAX_OPEN = 2
"""Put in force until they are released, at a time: more, and nothing would be pushed any more."""

LASTS_S = (3, 8, 15)

ENGINES_BACK_S = 60


@dataclass(frozen=True)
class Act:
    """One thing that can be done: what to whom, the class of their posts, what they still may.

    `ends`: it must end by itself, for what it holds up would not settle before.
    """

    kind: Kind
    targets: Sequence[str]
    author_class: AuthorClass = AuthorClass.PULL
    rate_per_minute: int = 0
    bytes_per_second: int = 0
    ends: bool = False


class Operator:
    """Does what `tideline contain` does, without a process for it. `done`: how often, by kind."""

    def __init__(self, instance: Instance, seed: int, authors: Sequence[int]) -> None:
        self._random = random.Random(f"operator {seed}")
        self._kafka = instance.kafka
        tiers, who = [*instance.topology.tiers], [str(author) for author in authors]
        self._acts = (
            Act(Kind.PULL, who),
            Act(Kind.RATE, who, rate_per_minute=6),
            Act(Kind.PACE, [region for region in REGIONS if region], rate_per_minute=60),
            Act(Kind.SHED, tiers, AuthorClass.PARTIAL),
            Act(Kind.SHED, tiers),
            Act(Kind.THROTTLE, [producer_of(author) for author in authors], bytes_per_second=10_000),
            Act(Kind.FREEZE, tiers, ends=True),
            Act(Kind.DEFER, ["backfill", "retract"], ends=True),
        )
        self._open: list[tuple[Kind, str]] = []
        self.done: Counter[str] = Counter()

    def act(self) -> None:
        """The next thing: where something waits to be released, that, as often as not."""
        if self._open and (len(self._open) >= MAX_OPEN or self._random.random() < 0.5):
            self._release()
            return
        act = self._random.choice(self._acts)
        target = self._random.choice(act.targets)
        lasts_s = self._random.choice(LASTS_S if act.ends else (0, *LASTS_S))
        if (act.kind, target) not in self._open:
            self._put(act, target, lasts_s)

    def end(self) -> None:
        """Take back what is in force until it is released."""
        eventually(self._released, ENGINES_BACK_S)

    def _released(self) -> bool:
        if self._open:
            self._release()
        return not self._open

    def _put(self, act: Act, target: str, lasts_s: int) -> None:
        now = events.now()
        record = Containment(
            kind=act.kind,
            target=target,
            author_class=act.author_class,
            rate_per_minute=act.rate_per_minute,
            bytes_per_second=act.bytes_per_second,
            cause="a fault run",
            by=OPERATOR,
            since=now,
            until=now + lasts_s * 1000 if lasts_s else 0,
        )
        try:
            asyncio.run(containment.put(self._kafka, record))
        except EngineError:  # of quotas the broker is asked first: nothing was done
            return
        if not lasts_s:
            self._open.append((act.kind, target))
        self.done[act.kind.value] += 1

    def _release(self) -> None:
        """The oldest; raises when it is not in force as it was left. While Kafka is away it stays there."""
        kind, target = self._open[0]
        try:
            taken = asyncio.run(containment.release(self._kafka, kind, target, OPERATOR))
        except EngineError:
            return
        assert any(one.by == OPERATOR and not one.until for one in taken), taken
        self._open.pop(0)
        self.done["release"] += 1

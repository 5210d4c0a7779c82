"""The faults of a round as plain data, drawn from a seed: when, what, and to whom."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle


class Kind(StrEnum):
    """What is done. Those about engines come last."""

    KILL = "kill"
    """SIGKILL to a worker; the supervisor starts it again."""
    TERMINATE = "terminate"
    """SIGTERM to a worker, likewise."""
    BOUNCE = "bounce"
    """`tideline stage stop`, then `start`."""
    FREEZE = "freeze"
    """A worker stands still: past its session time-out it is a zombie when it goes on."""
    ADD = "add"
    """One more worker of a stage: a rebalance."""
    REMOVE = "remove"
    """The oldest of those added goes: another rebalance."""
    PAUSE = "pause"
    """An engine stands still."""
    RESTART = "restart"
    """SIGTERM to an engine, and started again on its ports and data."""
    CRASH = "crash"
    """SIGKILL to the broker, and started again. Never to Cassandra: docs/decisions/0008."""


@dataclass(frozen=True, order=True)
class Fault:
    """`at` seconds after the start of its round; `seconds`: how long it lasts, where it lasts."""

    at: float
    kind: Kind
    target: str
    seconds: float = 0.0


ENGINE_FAULTS = (
    (Kind.PAUSE, "kafka"),
    (Kind.PAUSE, "cassandra"),
    (Kind.RESTART, "kafka"),
    (Kind.CRASH, "kafka"),
    (Kind.RESTART, "cassandra"),
)

ONE_EACH = ("api", "auditor")
"""Stages without a consumer group: a second worker would share nothing, or want the same port."""

_ALL_AT_ONCE = 4


class Planner:
    """Plans round after round; every stage and every engine fault gets its turn."""

    def __init__(self, seed: int, stages: Sequence[str], *, kill_every_s: float = 3.0) -> None:
        """`kill_every_s`: the mean pause between two kills."""
        self._random = random.Random(f"faults {seed}")
        self._stages = [*stages]
        self._kill_every_s = kill_every_s
        self._turns = cycle(self._random.sample(self._stages, len(self._stages)))
        self._engines = cycle(self._random.sample(ENGINE_FAULTS, len(ENGINE_FAULTS)))

    def round(self, seconds: float, engine_faults: int) -> list[Fault]:
        """The faults of the next round, in order of time."""
        faults = [*self._kills(seconds), *self._workers(seconds)]
        for number in range(engine_faults):
            kind, engine = next(self._engines)
            faults.append(
                Fault(seconds * (number + 0.4) / engine_faults, kind, engine, self._random.uniform(2, 6))
            )
        return sorted(faults)

    def _kills(self, seconds: float) -> Iterator[Fault]:
        at = self._random.uniform(1, self._kill_every_s)
        while at < seconds - 1:
            together = self._random.choices([1, 2, _ALL_AT_ONCE], [16, 3, 1])[0]
            for _ in range(together):
                kind = self._random.choices([Kind.KILL, Kind.TERMINATE], [7, 3])[0]
                yield Fault(at, kind, next(self._turns))
            at += self._random.uniform(0.5, 1.5) * self._kill_every_s * together

    def _workers(self, seconds: float) -> Iterator[Fault]:
        """Every 25 seconds one of each."""
        processing = [stage for stage in self._stages if stage not in ONE_EACH]
        for start in range(0, max(1, round(seconds)), 25):
            for kind in (Kind.ADD, Kind.BOUNCE, Kind.FREEZE):
                at = start + self._random.uniform(1, 20)
                lasts = self._random.choice([1, 3, 14]) if kind is Kind.FREEZE else 0.0
                yield Fault(at, kind, self._random.choice(processing), lasts)
            yield Fault(start + self._random.uniform(20, 25), Kind.REMOVE, "")

"""Processing topics again from their beginning: what it would touch, and doing it, a stage at a time.

A stage's workers have to be gone before its group can be moved: the broker refuses while it has members. They
are started again whatever happens in between. Nothing is lost on any way out: the group goes on either where
it was or at the beginning, and every stage is idempotent, so what is processed twice changes nothing.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Protocol

from pipeline.control.lag import Consumer, consumers
from pipeline.domain.offset_reset import next_offset
from pipeline.errors import ConfigError, EngineError, TidelineError
from pipeline.kafka import groups
from pipeline.kafka.bounds import Partition
from pipeline.kafka.offsets import Offsets
from pipeline.path import tier_of
from pipeline.topology import Topology

WRITES_NOTHING = ("query",)
"""Left out of `--all`: it answers requests, and nobody waits for an answer to an old one."""

LEAVING_S = 20.0
"""How long a group may keep members once its workers are gone: a killed one is in it for 10 s."""

_LOOK_S = 0.1

Order = Callable[[str, str], None]
"""Has the running instance `stop` or `start` a stage; returns when that is done."""


@dataclass(frozen=True, slots=True)
class Target:
    """A stage to be replayed, and its blast radius; None is unknown.

    `again`: records that were processed and would be once more. `waiting`: those that were not yet.
    `rows_at_most`: timeline rows the tasks among them can write; None for stages that do not fan out.
    """

    stage: str
    group: str
    topics: tuple[str, ...]
    again: int | None
    waiting: int | None
    rows_at_most: int | None = None


class RewindableGroups(Protocol):
    """What a replay does to consumer groups."""

    def has_members(self, group: str) -> bool:
        """Whether somebody works in the group now."""

    def rewind(self, group: str, topics: Iterable[str]) -> None:
        """Have the group begin with the oldest records; raises EngineError when it has members."""


@dataclass(frozen=True, slots=True)
class KafkaGroups:
    """The groups of a cluster."""

    bootstrap: str

    def has_members(self, group: str) -> bool:
        """See `RewindableGroups`."""
        return group in groups.active(self.bootstrap, group)

    def rewind(self, group: str, topics: Iterable[str]) -> None:
        """See `RewindableGroups`."""
        groups.rewind(self.bootstrap, group, topics)

    def move(self, group: str, to: Mapping[Partition, int]) -> None:
        """See `offsets_reset.Groups`."""
        groups.move(self.bootstrap, group, to)


def plan(topology: Topology, offsets: Offsets, stages: Sequence[str]) -> list[Target]:
    """These stages in path order; none named: all that write tables. Raises ConfigError for an unknown."""
    known = {one.stage: one for one in consumers(topology, api=False)}
    if unknown := [name for name in stages if name not in known]:
        raise ConfigError(f"no stage {unknown[0]} to replay", f"stages: {', '.join(known)}")
    wanted = stages or [name for name in known if name not in WRITES_NOTHING]
    return [_target(topology, offsets, one) for name, one in known.items() if name in wanted]


def _target(topology: Topology, offsets: Offsets, one: Consumer) -> Target:
    places = one.places
    at = offsets.committed({one.group: places})
    begins, ends = offsets.begins(places), offsets.ends(places)
    again: int | None = 0
    waiting: int | None = 0
    for place in places:
        if (one.group, place) not in at or place not in begins or place not in ends:
            again = waiting = None
        if again is None or waiting is None:
            break
        next_one = next_offset(at[one.group, place], begins[place], ends[place])
        again += next_one - begins[place]
        waiting += ends[place] - next_one
    total = None if again is None or waiting is None else again + waiting
    return Target(one.stage, one.group, one.topics, again, waiting, _rows(topology, one.stage, total))


def _rows(topology: Topology, stage: str, records: int | None) -> int | None:
    """A task writes one segment at most, and puts the rest of its range back as a record of its own."""
    tier = topology.tiers.get(tier_of(stage) or "")
    if records is None or tier is None:
        return None
    size = topology.routing.segment_size
    return records * (size if tier.max_followers is None else min(size, tier.max_followers))


def refuse_strangers(targets: Sequence[Target], groups: RewindableGroups) -> None:
    """Raise EngineError when somebody whom we cannot stop works in one of these groups."""
    busy = [target for target in targets if groups.has_members(target.group)]
    if busy:
        active = ", ".join(target.group for target in busy)
        raise EngineError(
            f"nothing was moved: workers that no instance of this home runs are active in {active}",
            f"`tideline stop --home …` where they run, or SIGTERM to `tideline worker {busy[0].stage}`",
        )


def replay(
    target: Target, groups: RewindableGroups, order: Order | None, *, leaving_s: float = LEAVING_S
) -> None:
    """Stop the stage's workers, move its group to the beginning, start them again.

    `order` None: there are none to stop or start. Raises TidelineError that says what became of the stage.
    """
    with _stopped(target.stage, order):
        deadline = time.monotonic() + leaving_s
        while groups.has_members(target.group):
            if time.monotonic() >= deadline:
                raise EngineError(
                    f"{target.group} still has members: they run elsewhere",
                    "stop them too: the broker moves no group that has members",
                )
            time.sleep(_LOOK_S)
        groups.rewind(target.group, target.topics)


@contextmanager
def _stopped(stage: str, order: Order | None) -> Iterator[None]:
    """The stage without workers; they are back at the end, also of a failure."""
    if order is None:
        yield
        return
    try:
        order("stop", stage)  # also when only some of its workers went: `start` wants them all
        yield
    except TidelineError as error:
        failed = f"{stage} was not replayed: {error.message}"
        _start(stage, order, failed)
        kept = "it goes on where it was, and nothing is lost: what was not acknowledged comes again"
        raise EngineError(f"{failed}; {kept}", error.hint) from error
    except BaseException:
        _start(stage, order, f"{stage}: interrupted")
        raise
    _start(stage, order, f"{stage} was moved to the beginning")


def _start(stage: str, order: Order, so_far: str) -> None:
    try:
        order("start", stage)
    except TidelineError as error:
        raise EngineError(
            f"{so_far}; its workers were not started again: {error.message}; nothing is lost",
            f"tideline stage start {stage}",
        ) from error


def document(targets: Sequence[Target]) -> list[dict[str, object]]:
    """What `tideline replay --json` prints of each stage; null is unknown."""
    return [asdict(target) for target in targets]

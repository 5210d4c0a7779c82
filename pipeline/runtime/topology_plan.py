"""What a cluster lacks of a topology: a pure comparison of the topics the file names with those there are.

Only what the file names is compared. A plan has the changes that are safe to make, and the mismatches that
only a person can make good, each with what to do. `blocks` marks what a worker must not start with: with
topics, partitions, tables and columns other than named it would write to the wrong place; other settings and
replicas can be wrong without a wrong answer.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline.kafka.admin import TopicState
from pipeline.topology import TopicSpec


@dataclass(frozen=True, slots=True)
class CreateTopic:
    """A topic the cluster does not have."""

    topic: str
    partitions: int
    replicas: int
    configs: Mapping[str, str]
    blocks: bool = True

    def __str__(self) -> str:
        settings = "".join(f", {key}={value}" for key, value in self.configs.items())
        return f"create topic {self.topic}: {self.partitions} partitions, {self.replicas} replicas{settings}"


@dataclass(frozen=True, slots=True)
class RaisePartitions:
    """More partitions for a topic. Keys move with that, so two events of one key may overtake each other."""

    topic: str
    found: int
    wanted: int
    blocks: bool = True

    def __str__(self) -> str:
        return f"raise partitions of {self.topic}: {self.found} -> {self.wanted} (keys move: drain it first)"


@dataclass(frozen=True, slots=True)
class SetConfig:
    """Another value for one setting of a topic."""

    topic: str
    key: str
    found: str | None
    wanted: str
    blocks: bool = False

    def __str__(self) -> str:
        return f"set {self.key} of {self.topic}: {self.found} -> {self.wanted}"


@dataclass(frozen=True, slots=True)
class ChangeTables:
    """Something of the keyspace that a statement can make good: a table, a column, a table option."""

    what: str
    found: str
    wanted: str
    blocks: bool

    def __str__(self) -> str:
        if self.found in ("", "missing"):
            return f"create {self.what}: {self.wanted}".removesuffix(": to exist")
        return f"change {self.what}: {self.found} -> {self.wanted}"


@dataclass(frozen=True, slots=True)
class RegisterSchema:
    """The current schema of a record, which a subject of the schema registry does not hold."""

    subject: str
    record: str
    blocks: bool = True

    def __str__(self) -> str:
        return f"register schema {self.record} under {self.subject}"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """What is there and cannot be changed into what is wanted by a statement."""

    what: str
    found: str
    wanted: str
    remedy: str
    blocks: bool = True

    def __str__(self) -> str:
        return f"{self.what}: there is {self.found}, wanted is {self.wanted}: {self.remedy}"


Change = CreateTopic | RaisePartitions | SetConfig | RegisterSchema | ChangeTables


@dataclass(frozen=True, slots=True)
class TopologyPlan:
    """Changes in the order they are made, and mismatches. Falsy when there is nothing of either."""

    changes: tuple[Change, ...] = ()
    mismatches: tuple[Mismatch, ...] = ()

    def __add__(self, other: "TopologyPlan") -> "TopologyPlan":
        return TopologyPlan(self.changes + other.changes, self.mismatches + other.mismatches)

    def __bool__(self) -> bool:
        return bool(self.changes or self.mismatches)

    @property
    def blocking(self) -> list[str]:
        """What of it a worker must not start with, as sentences."""
        return [str(each) for each in (*self.mismatches, *self.changes) if each.blocks]


def plan_of(steps: Iterator[Change | Mismatch]) -> TopologyPlan:
    """A plan of these steps, in their order."""
    every = list(steps)
    return TopologyPlan(
        tuple(step for step in every if not isinstance(step, Mismatch)),
        tuple(step for step in every if isinstance(step, Mismatch)),
    )


def plan_topics(wanted: Mapping[str, TopicSpec], found: Mapping[str, TopicState]) -> TopologyPlan:
    """What makes the topics that are found into those that are wanted."""
    return plan_of(step for spec in wanted.values() for step in _steps(spec, found.get(spec.name)))


def _steps(spec: TopicSpec, state: TopicState | None) -> Iterator[Change | Mismatch]:
    if state is None:
        yield CreateTopic(spec.name, spec.partitions, spec.replicas, spec.configs)
        return
    if state.partitions < spec.partitions:
        yield RaisePartitions(spec.name, state.partitions, spec.partitions)
    if state.partitions > spec.partitions:
        remedy = "Kafka takes no partition away; raise `partitions` in topics.yaml or in a profile"
        yield _mismatch(spec.name, "partitions", state.partitions, spec.partitions, remedy, blocks=True)
    if state.replicas != spec.replicas:
        remedy = (
            "move them with kafka-reassign-partitions, or change `replicas` in topics.yaml or in a profile"
        )
        yield _mismatch(spec.name, "replicas", state.replicas, spec.replicas, remedy, blocks=False)
    for key, value in spec.configs.items():
        if state.configs.get(key) != value:
            yield SetConfig(spec.name, key, state.configs.get(key), value)


def _mismatch(topic: str, unit: str, found: int, wanted: int, remedy: str, *, blocks: bool) -> Mismatch:
    return Mismatch(f"topic {topic}", f"{found} {unit}", f"{wanted} {unit}", remedy, blocks)

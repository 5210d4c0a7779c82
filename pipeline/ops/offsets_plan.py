"""Where the group of a stage stands, and what moving it would do: `tideline offsets`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from pipeline.control.lag import Consumer, consumers
from pipeline.control.task_weights import Weight, drain_s, most_of, tier_of, weigh
from pipeline.domain.offset_reset import Reset, ToTime, new_offset, next_offset
from pipeline.errors import ConfigError, EngineError
from pipeline.kafka.bounds import Partition
from pipeline.kafka.offsets import Offsets
from pipeline.kafka.spans import Spans
from pipeline.topology import Topology


@dataclass(frozen=True, slots=True)
class Position:
    """A group in one partition. `current`: the next record; `committed` None: it never did."""

    topic: str
    partition: int
    begin: int
    end: int
    committed: int | None

    @property
    def place(self) -> Partition:
        """The partition, as Kafka knows it."""
        return self.topic, self.partition

    @property
    def current(self) -> int:
        """The next record the group processes."""
        return next_offset(self.committed, self.begin, self.end)


@dataclass(frozen=True, slots=True)
class Move:
    """A partition's part of a reset. The weights are None where the stage does not fan out.

    `moved`: of the records between. `waiting`: of all that is to be processed afterwards.
    """

    at: Position
    new: int
    moved: Weight | None = None
    waiting: Weight | None = None

    @property
    def again(self) -> int:
        """Records to be processed again."""
        return max(0, self.at.current - self.new)

    @property
    def skipped(self) -> int:
        """Records never to be processed."""
        return max(0, self.new - self.at.current)

    @property
    def direction(self) -> str:
        """Back | forward | stays."""
        return "back" if self.again else "forward" if self.skipped else "stays"


@dataclass(frozen=True, slots=True)
class ResetPlan:
    """A reset of a stage's group. `drain_s`: until nothing waits, at best and at worst; None: unknown."""

    stage: str
    group: str
    moves: tuple[Move, ...]
    drain_s: tuple[float, float] | None = None

    @property
    def again(self) -> int:
        """Records to be processed again."""
        return sum(move.again for move in self.moves)

    @property
    def skipped(self) -> int:
        """Records never to be processed."""
        return sum(move.skipped for move in self.moves)

    @property
    def waiting(self) -> int:
        """Records to be processed afterwards."""
        return sum(move.at.end - move.new for move in self.moves)

    @property
    def deliveries(self) -> Weight | None:
        """Of the records between: made again, or never."""
        return _total([move.moved for move in self.moves])

    @property
    def writes(self) -> Weight | None:
        """Rows to be written afterwards, at most: dormant readers get none."""
        return _total([move.waiting for move in self.moves])

    def document(self) -> dict[str, object]:
        """What `tideline offsets reset --json` prints; null is unknown."""
        deliveries, writes = self.deliveries, self.writes
        return {
            "stage": self.stage,
            "group": self.group,
            "partitions": [
                asdict(move.at)
                | {"current": move.at.current, "new": move.new, "direction": move.direction}
                | {"records": move.again + move.skipped, "deliveries": move.moved and asdict(move.moved)}
                for move in self.moves
            ],
            "records_again": self.again,
            "records_skipped": self.skipped,
            "records_waiting": self.waiting,
            "deliveries": deliveries and asdict(deliveries),
            "expected_writes": writes and asdict(writes),
            "drain_seconds": self.drain_s,
        }


def _total(weights: Sequence[Weight | None]) -> Weight | None:
    known = [weight for weight in weights if weight is not None]
    return sum(known, Weight()) if known else None


def consumer_of(topology: Topology, stage: str) -> Consumer:
    """Who reads topics in a group under this name. Raises ConfigError when nobody does."""
    known = {one.stage: one for one in consumers(topology, api=False)}
    if stage not in known:
        raise ConfigError(f"no stage {stage} with a consumer group", f"stages: {', '.join(known)}")
    return known[stage]


def places_of(topology: Topology, consumer: Consumer, wanted: Sequence[str]) -> list[Partition]:
    """Those of a stage's partitions that are named, each as TOPIC or TOPIC:P,P…; all when none is.

    Raises ConfigError for what the stage does not read.
    """
    if not wanted:
        return list(consumer.places)
    found: list[Partition] = []
    for text in wanted:
        name, _, numbers = text.partition(":")
        called = topology.topics[name].name if name in topology.topics else name
        named = [place for place in consumer.places if place[0] == called]
        if numbers:
            asked = numbers.split(",")
            named = [place for place in named if str(place[1]) in asked]
            named = named if len(named) == len(set(asked)) else []
        if not named:
            counts = [
                f"{topic} (0-{max(p for t, p in consumer.places if t == topic)})" for topic in consumer.topics
            ]
            raise ConfigError(f"{text}: {consumer.stage} does not read that", f"it reads {', '.join(counts)}")
        found += named
    return list(dict.fromkeys(found))


def standing(consumer: Consumer, places: Sequence[Partition], offsets: Offsets) -> list[Position]:
    """Where the group is now. Raises EngineError when Kafka does not say."""
    committed = offsets.committed({consumer.group: places})
    begins, ends = offsets.begins(places), offsets.ends(places)
    for place in places:
        if (consumer.group, place) not in committed or place not in begins or place not in ends:
            raise EngineError(f"Kafka does not say where {place[0]} {place[1]} is", "tideline status")
    return [
        Position(*place, begins[place], ends[place], committed[consumer.group, place]) for place in places
    ]


def plan(
    topology: Topology,
    consumer: Consumer,
    reset: Reset,
    positions: Sequence[Position],
    reader: Spans,
    row_s: float | None,
) -> ResetPlan:
    """What the reset would do to these positions. `row_s`: seconds a row takes; None: unknown."""
    times: Mapping[Partition, int | None] = {}
    if isinstance(reset, ToTime):
        times = reader.at_time({at.place: reset.at_ms for at in positions})
    moves = tuple(
        Move(at, new_offset(reset, at.current, at.begin, at.end, times.get(at.place))) for at in positions
    )
    tier = tier_of(topology, consumer.stage)
    if tier is None:
        return ResetPlan(consumer.stage, consumer.group, moves)
    weighed = _weighed(moves, reader, most_of(topology, tier))
    made = ResetPlan(consumer.stage, consumer.group, weighed)
    if row_s is None or made.writes is None:
        return made
    return ResetPlan(consumer.stage, consumer.group, weighed, drain_s(made.writes.deliveries, row_s, tier))


def _weighed(moves: Sequence[Move], reader: Spans, most: int) -> tuple[Move, ...]:
    between = {m.at.place: (min(m.new, m.at.current), max(m.new, m.at.current)) for m in moves}
    behind = {m.at.place: (between[m.at.place][1], m.at.end) for m in moves}
    moved, rest = weigh(reader, between, most), weigh(reader, behind, most)
    return tuple(
        Move(
            move.at,
            move.new,
            moved[move.at.place],
            rest[move.at.place] + moved[move.at.place] if move.again else rest[move.at.place],
        )
        for move in moves
    )

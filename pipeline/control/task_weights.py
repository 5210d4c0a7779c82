"""What fan-out tasks weigh: the deliveries they stand for, and how long a tier takes to make them."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.config.names import Names
from pipeline.domain import cost
from pipeline.kafka.bounds import Partition
from pipeline.kafka.spans import Span, Spans
from pipeline.kafka.tail import tail
from pipeline.topology import TierSpec, Topology
from pipeline.wire.codec import CodecError, decode
from pipeline.wire.records import CostSample, FanoutTask

READ = 2_000
"""Tasks of a partition that are read: they take a fraction of a second. The rest counts as these do."""

_SAMPLES = 1_000
"""The newest records of `costs` hold the last of each stage: one a stage, told again when it has moved."""


@dataclass(frozen=True, slots=True)
class Weight:
    """The deliveries of some tasks; `estimated`: not all of them were read, or some did not say."""

    deliveries: int = 0
    estimated: bool = False

    def __add__(self, other: "Weight") -> "Weight":
        return Weight(self.deliveries + other.deliveries, self.estimated or other.estimated)


def tier_of(topology: Topology, stage: str) -> TierSpec | None:
    """The tier that this stage writes; None for stages that do not fan out."""
    kind, _, name = stage.partition(".")
    return topology.tiers.get(name) if kind == "fanout" else None


def most_of(topology: Topology, tier: TierSpec) -> int:
    """The rows that a task of one segment writes at most."""
    size = topology.routing.segment_size
    return size if tier.max_followers is None else min(size, tier.max_followers)


def weigh(
    reader: Spans, spans: Mapping[Partition, Span], most: int, read: int = READ
) -> dict[Partition, Weight]:
    """By partition, what these spans weigh; `most`: of a segment, where a task does not say."""
    looks = {place: (start, min(end, start + read)) for place, (start, end) in spans.items()}
    tasks: dict[Partition, list[Weight]] = defaultdict(list)
    for message in reader.messages(looks):
        tasks[message.topic, message.partition].append(of_task(message.value or b"", most))
    return {place: _scaled(tasks[place], end - start) for place, (start, end) in spans.items()}


def of_task(data: bytes, most: int) -> Weight:
    """What one task weighs; `most`: of a segment, where it does not say."""
    try:
        task = decode(data, FanoutTask)
    except CodecError:
        return Weight()  # a dead letter to be: nothing is delivered
    if task.deliveries:
        return Weight(task.deliveries)
    return Weight((task.last_segment - task.first_segment + 1) * most, estimated=True)


def _scaled(read: list[Weight], records: int) -> Weight:
    known = sum(read, Weight())
    if records <= len(read):
        return known
    return Weight(round(known.deliveries * records / len(read)) if read else 0, estimated=True)


def row_seconds(bootstrap: str, stage: str, names: Names) -> float | None:
    """What a row of the stage took lately, from the call to the store to its answer; None: unknown."""
    name = f"{cost.ROW}@{stage}"
    for message in tail(bootstrap, names.topic("costs"), _SAMPLES).messages:
        if message.key == name.encode() and message.value is not None:
            return decode(message.value, CostSample).value
    return None


def drain_s(deliveries: int, row_s: float, tier: TierSpec) -> tuple[float, float]:
    """Seconds to make so many, when nothing else comes: at best and at worst.

    A worker has `in_flight` batches at once. At best they do not slow each other down, as while the store's
    latency is the limit; at worst they take turns, as while its processors are.
    """
    slowest = deliveries * row_s / tier.workers
    return slowest / tier.in_flight, slowest

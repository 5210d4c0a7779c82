"""Stretches of a stage's topics as work: a record, and for a fan-out task its segments and deliveries.

A task over a range of segments is one record and many pieces of work: a writer does the first and sends the
rest on. So what arrives is counted at the tasks that classify sent, and what waits by all it stands for.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pipeline.kafka.bounds import Partition
from pipeline.kafka.messages import Incoming
from pipeline.kafka.spans import Span, Spans
from pipeline.wire.codec import CodecError, decode
from pipeline.wire.records import FanoutTask

READ = 5_000
"""Records of a partition that are read at most; what lies behind them is taken to be like them."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A record: its `segments`, and their deliveries; 0: not known. `rest`: sent on by a writer."""

    segments: int = 1
    deliveries: int = 0
    rest: bool = False

    def units(self, unit: str) -> float:
        """How much work it stands for."""
        return {"records": 1, "segments": self.segments, "deliveries": self.deliveries}[unit]

    def now(self, unit: str) -> float:
        """How much of it is done with the record itself; what is left comes back as another one."""
        return self.units(unit) / self.segments


@dataclass(slots=True)
class Stretch:
    """The records between two places of each partition. `records`: all of them; `pieces`: those read."""

    records: dict[Partition, int] = field(default_factory=dict)
    pieces: dict[Partition, list[Piece]] = field(default_factory=lambda: defaultdict(list))

    @property
    def total(self) -> int:
        """Records in all partitions."""
        return sum(self.records.values())

    @property
    def estimated(self) -> bool:
        """Whether there are more than were read."""
        return any(count > READ for count in self.records.values())

    @property
    def weighed(self) -> bool:
        """Whether pieces say how many deliveries they stand for; one of an author who has lost all says 0."""
        pieces = [piece for pieces in self.pieces.values() for piece in pieces]
        return not pieces or any(piece.deliveries for piece in pieces)

    def fresh(self, unit: str) -> float:
        """What came from outside the stage."""
        return sum(
            self._scale(place) * sum(piece.units(unit) for piece in pieces if not piece.rest)
            for place, pieces in self.pieces.items()
        )

    def done(self, unit: str) -> float:
        """What was done when these records were."""
        return sum(
            self._scale(place) * sum(piece.now(unit) for piece in pieces)
            for place, pieces in self.pieces.items()
        )

    def by_partition(self, unit: str) -> tuple[float, ...]:
        """What each partition stands for; rests of ranges go to all partitions alike."""
        own = dict.fromkeys(self.records, 0.0)
        rests = 0.0
        for place, pieces in self.pieces.items():
            own[place] = self._scale(place) * sum(piece.now(unit) for piece in pieces)
            rests += self._scale(place) * sum(piece.units(unit) - piece.now(unit) for piece in pieces)
        return tuple(one + rests / len(own) for one in own.values())

    def _scale(self, place: Partition) -> float:
        pieces = self.pieces[place]
        return self.records[place] / len(pieces) if pieces else 0.0


def stretch(reader: Spans | None, between: Mapping[Partition, Span], stage: str) -> Stretch:
    """What is between these places. `reader` None: every record is a piece of work like any other."""
    found = Stretch({place: max(0, end - start) for place, (start, end) in between.items()})
    if reader is None:
        for place, count in found.records.items():
            found.pieces[place] = [Piece()] * min(count, READ)
        return found
    for message in reader.messages(
        {p: (start, min(end, start + READ)) for p, (start, end) in between.items()}
    ):
        found.pieces[message.topic, message.partition].append(_piece(message, stage))
    return found


def _piece(message: Incoming, stage: str) -> Piece:
    """What cannot be read goes to the dead letters, which is work as well."""
    try:
        task = decode(message.value or b"", FanoutTask)
    except CodecError:
        return Piece()
    source = dict(message.headers).get("ce_source", b"").decode(errors="replace")
    return Piece(task.last_segment - task.first_segment + 1, task.deliveries, source.endswith(f"/{stage}"))


def unit_of(stretches: Iterable[Stretch], *, tier: bool) -> str:
    """What a stage's work is counted in: what its time depends on most, as far as the records tell."""
    if not tier:
        return "records"
    return "deliveries" if all(one.weighed for one in stretches) else "segments"

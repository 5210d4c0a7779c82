"""What the controller last said of each stage: topic `pipeline.health`, read from outside.

It says so every second, so a word older than ten is nobody's: the controller is dead, or there is none.
Ages and lag come from the broker itself (`control.lag`) and need no controller.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from pipeline.config.names import HOME, Names
from pipeline.control.lag import StageLag
from pipeline.domain.lag_status import Status
from pipeline.errors import EngineError
from pipeline.kafka.tail import tail
from pipeline.wire.codec import CodecError, decode
from pipeline.wire.records import StageHealth

HEALTH = "pipeline.health"

FRESH_MS = 10_000
"""How old a word may be: ten looks."""

_NEWEST = 200
"""Records read: those of the last seconds, in which every stage has one."""


def newest(bootstrap: str, names: Names = HOME) -> dict[str, StageHealth]:
    """By stage, its last record however old. Raises EngineError when there is no topic, or no answer."""
    found: dict[str, StageHealth] = {}
    for message in reversed(tail(bootstrap, names.topic(HEALTH), _NEWEST).messages):
        try:
            record = decode(message.value or b"", StageHealth)
        except CodecError:
            continue  # of a version to come: the stage is unknown to this one
        found[record.stage] = record
    return found


class Said:
    """What was said lately enough to go by."""

    def __init__(self, records: Iterable[StageHealth], now_ms: int) -> None:
        self._fresh = {one.stage: one for one in records if now_ms - one.at <= FRESH_MS}

    def of(self, stage: str) -> StageHealth | None:
        """The record of a stage; None: nobody knows."""
        return self._fresh.get(stage)

    def status(self, stage: StageLag) -> str:
        """The stage's word: STOP while nobody is in its group. Without one, who has nothing to do is OK, and
        anybody else UNKNOWN.
        """
        if stage.workers == 0:
            return Status.STOP
        record = self.of(stage.stage)
        return _idle(stage.lag == 0) if record is None else record.status

    def since_ms(self, stage: StageLag) -> int | None:
        """Since when it has had its word (ms); None: unknown."""
        record = self.of(stage.stage)
        return (record.since or None) if record is not None else None

    def pending(self, stage: StageLag) -> int | None:
        """The deliveries it has not made; None: unknown, or it makes none."""
        record = self.of(stage.stage)
        return None if record is None else record.pending

    def shards(self, stage: StageLag) -> list[str]:
        """The word of each of its partitions, in their order."""
        record = self.of(stage.stage)
        words = {} if record is None else {(one.topic, one.partition): one.status for one in record.shards}
        return [words.get((one.topic, one.partition), _idle(one.lag == 0)) for one in stage.partitions]


def heard(bootstrap: str, names: Names, stages: Sequence[StageLag], now_ms: int) -> Said:
    """What was said of these stages; nothing where that cannot be read, for ages are right without it."""
    if all(stage.lag is None for stage in stages):
        return Said((), now_ms)  # no answer from Kafka: another one would take its time-out again
    try:
        return Said(newest(bootstrap, names).values(), now_ms)
    except EngineError:
        return Said((), now_ms)


def _idle(idle: bool) -> str:
    return "OK" if idle else "UNKNOWN"


def document(stages: Sequence[StageLag], said: Said, commands: Mapping[str, str]) -> list[dict[str, object]]:
    """What `tideline lag --json` prints: null is unknown, but of `next` that nothing need be done.

    `commands`: what to do next, by stage without a live worker.
    """
    return [
        {
            "stage": stage.stage,
            "group": stage.group,
            "status": said.status(stage),
            "status_since_ms": said.since_ms(stage),
            "workers": stage.workers,
            "next": commands.get(stage.stage),
            "lag": stage.lag,
            "pending_deliveries": said.pending(stage),
            "age_seconds": stage.age_s,
            "lag_budget_seconds": stage.lag_budget_s,
            "budget_spent": stage.spent,
            "unknown_partitions": stage.unknown,
            "partitions": [
                {**asdict(one), "status": status}
                for one, status in zip(stage.partitions, said.shards(stage), strict=True)
            ],
        }
        for stage in stages
    ]

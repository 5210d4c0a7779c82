"""How all stages stand now, look after look: lag from the broker, what waits by weight, words and burn."""

import asyncio
from collections.abc import Callable, Sequence

from pipeline.kafka.backlog import Backlog
from pipeline.kafka.bounds import Partition
from pipeline.kafka.offsets import Offsets
from pipeline.ops.health import Health
from pipeline.ops.lag import Lag, StageLag
from pipeline.ops.task_weights import of_task
from pipeline.records import StageHealth
from pipeline.topology import Topology


class LiveHealth:
    """Callable: one look at every stage. `lags`: what the last look saw."""

    def __init__(self, kafka: str, topology: Topology, *, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._offsets = Offsets(kafka)
        self._lag = Lag(self._offsets, topology, now_ms=now_ms)
        tiers = Lag(
            self._offsets, topology, now_ms=now_ms, only=[f"fanout.{tier}" for tier in topology.tiers]
        )
        most = topology.policy.segment_size
        starts = _starts(tiers.snapshot())
        self._backlog = Backlog(kafka, starts, lambda task: of_task(task, most).deliveries)
        self.health = Health(topology, self._pending)
        self.lags: Sequence[StageLag] = ()

    async def __call__(self) -> list[StageHealth]:
        """How every stage stands, off the event loop."""
        return await asyncio.to_thread(self._look)

    def close(self) -> None:
        """Stop following."""
        self._backlog.close()
        self._offsets.__exit__()

    def _look(self) -> list[StageHealth]:
        self.lags = self._lag.snapshot()
        return self.health.seen(self.lags, self._now_ms())

    def _pending(self, stage: StageLag) -> int | None:
        if not stage.stage.startswith("fanout.") or stage.unknown:
            return None
        ends = {(one.topic, one.partition): one.end or 0 for one in stage.partitions}
        return self._backlog.pending(_starts([stage]), ends)


def _starts(stages: Sequence[StageLag]) -> dict[Partition, int]:
    """By partition, the first record that is not processed, where that is known."""
    return {
        (one.topic, one.partition): one.end - one.lag
        for stage in stages
        for one in stage.partitions
        if one.end is not None and one.lag is not None
    }

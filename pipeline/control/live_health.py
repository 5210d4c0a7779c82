"""How all stages stand now, look after look: lag from the broker, what waits by weight, words and burn."""

import asyncio
from collections.abc import Callable, Sequence

from pipeline.control.health import Health
from pipeline.control.lag import Lag, StageLag
from pipeline.control.task_weights import of_task
from pipeline.kafka.backlog import Backlog
from pipeline.kafka.groups import Members
from pipeline.kafka.offsets import Offsets
from pipeline.path import tier_of
from pipeline.topology import Topology
from pipeline.wire.records import StageHealth


class LiveHealth:
    """Callable: one look at every stage. `lags`: what the last look saw."""

    def __init__(self, kafka: str, topology: Topology, *, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._offsets = Offsets(kafka)
        self._lag = Lag(self._offsets, topology, now_ms=now_ms, members=Members(kafka))
        most = topology.routing.segment_size
        self._backlog = Backlog(kafka, lambda task: of_task(task, most).deliveries)
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
        if tier_of(stage.stage) is None or stage.unknown:
            return None
        ends = {(one.topic, one.partition): one.end or 0 for one in stage.partitions}
        nexts = {(one.topic, one.partition): (one.end or 0) - (one.lag or 0) for one in stage.partitions}
        return self._backlog.pending(nexts, ends)

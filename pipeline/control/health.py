"""How every stage stands, from one look at their lag after the other: what topic `pipeline.health` says.

A partition's word comes from its window of looks (`domain.lag_status`), a stage's from its worst partition,
or from nobody being in its group. A stage with a lag budget also burns it (`domain.burn`), and how long it
was without a worker is kept apart (`domain.outages`). Everything is kept in memory and costs a look next to
nothing; `tests/control/test_health.py` shows what a successor takes over.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from pipeline.control.lag import PartitionLag, StageLag
from pipeline.domain import burn, lag_status
from pipeline.domain.burn import Freshness
from pipeline.domain.lag_status import CommitWindow, LagSample, Status
from pipeline.domain.outages import Outage
from pipeline.path import tier_stage
from pipeline.topology import Topology
from pipeline.wire.records import Burn, ShardHealth, StageHealth

_HANDED_ON_MS = 60_000
"""How long a predecessor's word may be taken: a dead one is missed after 10 s, and a start takes seconds."""


def objective(topology: Topology, stage: str) -> float:
    """The share of its looks at which a stage with a lag budget must be inside it."""
    tiers = {tier_stage(name): tier.objective for name, tier in topology.tiers.items()}
    return tiers.get(stage, burn.OBJECTIVE)


class Health:
    """Keeps the windows of all partitions and the burn of all budgets. Not safe for use by many threads."""

    def __init__(
        self, topology: Topology, pending: Callable[[StageLag], int | None] = lambda _: None
    ) -> None:
        """`pending`: how many deliveries a stage has not made, None when unknown or when it makes none."""
        self._topology, self._pending = topology, pending
        self._windows: dict[tuple[str, str, int], CommitWindow] = {}
        self._freshness: dict[str, Freshness] = {}
        self._outages: dict[str, Outage] = {}
        self._since: dict[str, tuple[Status, int]] = {}
        self._left: dict[str, StageHealth] = {}

    def seen(self, stages: Sequence[StageLag], now_ms: int) -> list[StageHealth]:
        """How the stages stand after this look, in its order."""
        return [self._stage(stage, now_ms) for stage in stages]

    def restore(self, records: Iterable[StageHealth]) -> None:
        """Go on from what the predecessor said last. Call it before the first look.

        Burn goes on from its rates. A partition keeps its word until its new window can say, which takes a
        tier 10 s at most, and a stage the time since when it has had its own, unless they are older than a
        minute. Windows begin anew: what stopped long ago is a STALL then, for nobody has seen it move.
        """
        self._left = {record.stage: record for record in records}

    def _stage(self, stage: StageLag, now_ms: int) -> StageHealth:
        self._take_over(stage.stage, now_ms)
        shards = tuple(self._shard(stage.stage, one, now_ms) for one in stage.partitions)
        rates = self._burn(stage, now_ms)
        status = lag_status.of_group((Status(shard.status) for shard in shards), stage.workers)
        return StageHealth(
            stage=stage.stage,
            status=status,
            lag=stage.lag,
            pending=self._pending(stage),
            age_s=stage.age_s,
            lag_budget_s=stage.lag_budget_s,
            burn=rates,
            alert=burn.alert(rates),
            shards=shards,
            at=now_ms,
            since=self._since_ms(stage.stage, status, now_ms),
            workers=stage.workers,
            outage_s=self._outage_s(stage, now_ms / 1000),
        )

    def _since_ms(self, stage: str, status: Status, now_ms: int) -> int:
        before, since = self._since.get(stage, (status, now_ms))
        self._since[stage] = status, since if lag_status.goes_on(before, status) else now_ms
        return self._since[stage][1]

    def _outage_s(self, stage: StageLag, now_s: float) -> float:
        """How long it was without a live worker and has not caught up; 0 where nothing is owed in time."""
        if stage.lag_budget_s is None:
            return 0.0
        places = ((stage.stage, one.topic, one.partition) for one in stage.partitions)
        standing_s = max((self._windows[place].standing_s(now_s) for place in places), default=0.0)
        before = self._outages.get(stage.stage, Outage())
        after = before.observed(now_s, stage.workers, stage.age_s, standing_s, stage.lag_budget_s)
        self._outages[stage.stage] = after
        return after.seconds

    def _shard(self, stage: str, one: PartitionLag, now_ms: int) -> ShardHealth:
        place, now_s = (stage, one.topic, one.partition), now_ms / 1000
        window = self._windows.get(place, CommitWindow()).add(
            LagSample(now_s, one.committed, one.end, one.lag)
        )
        self._windows[place] = window
        status = lag_status.judge(window, now_s, self._patience_s(stage))
        return ShardHealth(one.topic, one.partition, status, one.lag, one.age_s)

    def _patience_s(self, stage: str) -> float:
        """Repairs stand still on purpose, for a margin or for live tiers: so long as their budget."""
        spec = self._topology.stages.get(stage)
        return lag_status.PATIENCE_S if spec is None or spec.lag_budget is None else spec.lag_budget

    def _burn(self, stage: StageLag, now_ms: int) -> tuple[Burn, ...]:
        """What is known to be late is late; that nothing is late must be known of every partition."""
        if stage.lag_budget_s is None:
            return ()
        age, freshness = stage.age_s, self._freshness.setdefault(stage.stage, Freshness())
        late = age is not None and age > stage.lag_budget_s
        if late or all(one.age_s is not None for one in stage.partitions):
            freshness.saw(now_ms / 1000, late)
        return burn.rates(freshness, objective(self._topology, stage.stage), now_ms / 1000)

    def _take_over(self, stage: str, now_ms: int) -> None:
        """What the predecessor left about this stage, once."""
        left = self._left.pop(stage, None)
        if left is None:
            return
        self._freshness[stage] = burn.restored(left.burn, objective(self._topology, stage), left.at / 1000)
        if now_ms - left.at <= _HANDED_ON_MS:
            self._outages[stage] = Outage(left.outage_s, left.at / 1000, down=left.workers == 0)
            with suppress(ValueError):
                if left.since:  # a version before this one did not say
                    self._since[stage] = Status(left.status), left.since
            for shard in left.shards:
                with suppress(ValueError):  # a word that this version does not know
                    said = CommitWindow(said=Status(shard.status))
                    self._windows.setdefault((stage, shard.topic, shard.partition), said)

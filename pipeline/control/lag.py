"""How far every stage is behind: lag in records, age of the oldest one, share of the lag budget spent.

Everything is read from the broker, so it is right with every worker dead; the one exception is how far the
API has read the topics that it follows without a group, which only the API knows. What could not be read is
None, never 0.

Offsets are not records: a transaction leaves markers, and an aborted one nothing else. A lag is the
difference of two offsets, so an upper bound; but it is 0 where no record waits (`Offsets.origins`). What an
open transaction holds up is not there yet for anybody: ends are last stable offsets.

A snapshot reads every position first and every end after it. Stages acknowledge a record only after all it
causes is in the next topic, so a snapshot without lag means: whatever was published before it began has been
processed by every stage. `tests/control/test_lag.py` shows both on a real Kafka.
"""

import http.client
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import orjson

from pipeline import path
from pipeline.domain import budgets
from pipeline.domain.admission import INPUTS
from pipeline.domain.offset_reset import next_offset
from pipeline.kafka.bounds import Partition
from pipeline.kafka.groups import Members
from pipeline.kafka.offsets import Offsets
from pipeline.path import FOLLOWED, tier_of
from pipeline.topology import Topology

POLL_S = 0.1
"""Between two looks while waiting: a look costs the broker two small requests."""

_API_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """One partition; `committed` is None where the group never did, `oldest_ms` also when nothing waits.

    `lag` and `age_s` are None when unknown, and only then.
    """

    topic: str
    partition: int
    committed: int | None
    end: int | None
    lag: int | None
    oldest_ms: int | None = None
    age_s: float | None = None


@dataclass(frozen=True, slots=True)
class StageLag:
    """One consumer of the path, by partition.

    `lag` and `age_s` are lower bounds while some partitions are unknown, and None rather than 0. `workers`:
    the members of its group; None: unknown, not asked, or it has no group.
    """

    stage: str
    group: str
    lag_budget_s: float | None
    partitions: tuple[PartitionLag, ...]
    workers: int | None = None

    @property
    def unknown(self) -> int:
        """Partitions that could not be read."""
        return sum(one.lag is None for one in self.partitions)

    @property
    def lag(self) -> int | None:
        """Records not processed."""
        known = sum(one.lag or 0 for one in self.partitions)
        return None if self.unknown and not known else known

    @property
    def age_s(self) -> float | None:
        """Seconds since the broker had what the oldest unprocessed record is about; 0 when there is none."""
        worst = max((one.age_s for one in self.partitions if one.age_s is not None), default=0.0)
        return None if not worst and any(one.age_s is None for one in self.partitions) else worst

    @property
    def spent(self) -> float | None:
        """The share of the lag budget that the oldest record has used up; None without a budget."""
        age = self.age_s
        return None if age is None or self.lag_budget_s is None else budgets.spent(age, self.lag_budget_s)

    @property
    def late_since_ms(self) -> int | None:
        """When the oldest unprocessed record had used up the lag budget; None while none is known to have."""
        known = [one.oldest_ms for one in self.partitions if one.oldest_ms is not None]
        if not known or self.lag_budget_s is None or not breached([self]):
            return None
        return min(known) + round(self.lag_budget_s * 1000)


def unprocessed(stages: Sequence[StageLag]) -> int | None:
    """Records not processed by any of these stages; None when one does not say."""
    lags = [stage.lag for stage in stages]
    return None if None in lags or any(s.unknown for s in stages) else sum(lag or 0 for lag in lags)


def settled(stages: Sequence[StageLag]) -> bool:
    """Whether nothing is unprocessed anywhere, and that is known."""
    return unprocessed(stages) == 0


def without_worker(stages: Iterable[StageLag]) -> list[StageLag]:
    """Those that are known to have no live worker."""
    return [stage for stage in stages if stage.workers == 0]


def breached(stages: Iterable[StageLag]) -> bool:
    """Whether any budget is known to be used up."""
    return any((stage.spent or 0) > 1 for stage in stages)


@dataclass(frozen=True, slots=True)
class Consumer:
    """A row: who processes which topics, and by when."""

    stage: str
    group: str
    places: tuple[Partition, ...]
    lag_budget_s: float | None = None

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics, as Kafka knows them."""
        return tuple(dict.fromkeys(topic for topic, _ in self.places))


Positions = Mapping[tuple[str, Partition], int | None]
"""By group ("" for the API) and partition, the next offset; None: never committed; missing: unknown."""

Bounds = Mapping[Partition, int]


class Lag:
    """Looks at every stage and tier of a topology, again and again at little cost."""

    def __init__(
        self,
        offsets: Offsets,
        topology: Topology,
        *,
        now_ms: Callable[[], int],
        topics_read: Callable[[], Mapping[Partition, int]] | None = None,
        members: Members | None = None,
        only: Collection[str] | None = None,
    ) -> None:
        """`topics_read`: how far the API has read what it follows; None: leave its row out. `members`: of
        groups; None: who works is not asked.

        `only`: look at these stages alone.
        """
        self._offsets, self._now_ms, self._topics_read = offsets, now_ms, topics_read
        self._members = members
        found = consumers(topology, api=topics_read is not None)
        self._own = {spec.name for name, spec in topology.topics.items() if name not in INPUTS}
        self._consumers = [one for one in found if only is None or one.stage in only]

    def snapshot(self) -> list[StageLag]:
        """Every stage in path order, the API's view last."""
        asked = self._members and self._members.ask([one.group for one in self._consumers if one.group])
        positions = self._positions()  # before the ends: see above
        ends = self._offsets.ends({place for consumer in self._consumers for place in consumer.places})
        behind = {place for (_, place), at in positions.items() if at != ends.get(place)}
        begins = self._offsets.begins(behind) if behind else {}
        stages = [self._stage(consumer, positions, begins, ends) for consumer in self._consumers]
        workers = asked.members() if asked else {}
        return [replace(stage, workers=workers.get(stage.group)) for stage in stages]

    def wait(self, seconds: float, told: Callable[[list[StageLag]], None]) -> list[StageLag]:
        """Look until nothing is unprocessed or time is up; returns the last look. `told` hears of each."""
        deadline = time.monotonic() + seconds
        while True:
            stages = self.snapshot()
            told(stages)
            if settled(stages) or time.monotonic() >= deadline:
                return stages
            time.sleep(POLL_S)

    def open_transactions(self) -> dict[str, int]:
        """By topic, the records that an open transaction holds up: they are there for nobody yet."""
        places = {place for consumer in self._consumers for place in consumer.places}
        appended = self._offsets.appended(places)  # before the ends: what came since is not held up
        ends, found = self._offsets.ends(places), Counter[str]()
        for place, end in ends.items():
            found[place[0]] += max(0, appended.get(place, end) - end)
        return {topic: records for topic, records in sorted(found.items()) if records}

    def _positions(self) -> Positions:
        groups = {consumer.group: consumer.places for consumer in self._consumers if consumer.group}
        read = self._topics_read() if self._topics_read is not None else {}
        return {
            **self._offsets.committed(groups),
            **{("", place): offset for place, offset in read.items()},
        }

    def _stage(self, consumer: Consumer, positions: Positions, begins: Bounds, ends: Bounds) -> StageLag:
        waits: dict[Partition, int] = {}
        """By partition, the next offset this consumer processes, as far as all of it is known."""
        for place in consumer.places:
            if (consumer.group, place) in positions and place in ends:
                at = positions[consumer.group, place]
                if at == ends[place]:
                    waits[place] = at
                elif place in begins:
                    waits[place] = next_offset(at, begins[place], ends[place])
        waiting = {place: at for place, at in waits.items() if at < ends[place]}
        origins = self._offsets.origins(waiting, ends, self._own)
        now = self._now_ms()
        partitions = []
        for place in consumer.places:
            oldest, empty = origins.get(place), place in origins and origins[place] is None
            lag = 0 if empty else ends[place] - waits[place] if place in waits else None
            partitions.append(
                PartitionLag(
                    topic=place[0],
                    partition=place[1],
                    committed=positions.get((consumer.group, place)),
                    end=ends.get(place),
                    lag=lag,
                    oldest_ms=oldest,
                    age_s=budgets.age_s(oldest, now) if oldest is not None or lag == 0 else None,
                )
            )
        return StageLag(consumer.stage, consumer.group, consumer.lag_budget_s, tuple(partitions))


def consumers(topology: Topology, *, api: bool) -> Iterator[Consumer]:
    """Every consumer in path order; what the API follows comes last."""
    for name in path.names(topology.tiers):
        tier = tier_of(name)
        if tier is not None:
            spec = topology.tiers[tier]
            yield Consumer(name, spec.group, tuple(topology.places([spec.topic])), spec.lag_budget)
        elif (stage := topology.stages.get(name)) is not None and stage.topics:
            yield Consumer(name, stage.group, tuple(topology.places(stage.topics)), stage.lag_budget)
    if api:
        yield Consumer("api", "", tuple(topology.places(FOLLOWED)))


def topics_read(address: Callable[[], str]) -> dict[Partition, int]:
    """How far the API that says so at this address has read the topics it follows; empty when it does not
    answer. The address is another after each start.
    """
    place = urlsplit(address())
    if not place.hostname:
        return {}
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=_API_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        read = orjson.loads(connection.getresponse().read())["read"]
        return {(topic, int(n)): offset for topic, parts in read.items() for n, offset in parts.items()}
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError):
        return {}
    finally:
        connection.close()

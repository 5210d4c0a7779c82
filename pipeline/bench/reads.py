"""Reading measured against a bare driver, and with two faults: one interleaved run on a whole pipeline.

    start → accounts, real graph, follows, posts by the real path → warm → turns → faults

All stages run on the same cores, and posts keep coming while pages are measured. The core of the read path
is that of the API, in this process, with the caches and the deadline of the topology (`reads_contenders`).
*slow-author*: one author's partition takes two seconds. *empty-caches*: all caches are emptied under load.
"""

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import cycle

from pipeline import topology
from pipeline.bench import graph, processes, reads_contenders, reads_faults, reads_figures, reads_world
from pipeline.bench.instance import Pipeline
from pipeline.bench.reads_figures import EmptyCaches, ReadsFigures, SlowAuthorFigures
from pipeline.bench.reads_ground import POSTS_A_SECOND, Ground
from pipeline.bench.reads_load import interleaved, turn
from pipeline.bench.watch import Watch
from pipeline.config.settings import Settings
from pipeline.local import control
from pipeline.local.instance import Instance
from pipeline.query.caches import Sizes
from pipeline.query.timeline import Query
from pipeline.runtime import serving
from pipeline.runtime.resources import resources
from pipeline.telemetry import metrics

PROFILE = "small-graph"
FAULTS = ("slow-author", "empty-caches")

READERS = 200
"""Accounts that are read; more than are read at once, so that no page is asked for twice in a row."""

TURN_S = 2.0
"""Posts that came in the turns of the others meet each reader once at the beginning of a turn."""

AFTER_EMPTYING_S = 11
"""A second longer than the p99 has to recover."""

_DROP_S = 0.05


@dataclass(frozen=True, slots=True)
class ReadsBench:
    """A filled pipeline, and a core of the read path in this process."""

    ground: Ground
    core: Query
    deadline_ms: int
    at_once: int
    seconds: int

    @property
    def readers(self) -> Iterator[int]:
        """Readers without end, in an order that is not that of their ids."""
        ids = list(self.ground.world.readers)
        random.Random(1).shuffle(ids)
        return cycle(ids)

    async def warm(self) -> None:
        """Every page once, so that caches hold what they can."""
        world, ask = self.ground.world, reads_contenders.paging(self.core, None)
        for reader in world.readers:
            for each in (reader, world.pusher(reader), world.puller(reader)):
                await ask(each)

    async def compared(self, running: Instance) -> list[reads_figures.Contender]:
        """All contenders, turn by turn, while posts keep coming."""
        async with (
            reads_contenders.contenders(self.core, self.ground.world, running, self.deadline_ms) as asks,
            self.ground.trickle(),
        ):
            await interleaved(asks, self.readers, self.at_once, 1, TURN_S, lambda words: None)
            rounds = math.ceil(self.seconds / TURN_S)
            turns = await interleaved(asks, self.readers, self.at_once, rounds, TURN_S, self.ground.say)
        return [reads_figures.contender(name, those) for name, those in turns.items()]

    async def slow_author(self) -> SlowAuthorFigures:
        """The newest author of many pages has a slow partition, and no cache holds it for long."""
        self.ground.say("fault: the partition of one author is slow")
        world = self.ground.world
        author = max(world.pulled, key=lambda one: len(world.followers(one)))
        await self.ground.post(author)  # so that every follower's page begins with it
        await self.ground.settled()
        core = reads_faults.slowed(reads_contenders.assembling(self.core), author)

        async def forgetting() -> None:
            while True:
                self.core.load.caches.recent.drop((author,))
                await asyncio.sleep(_DROP_S)

        self.core.load.caches.recent.drop((author,))
        dropping = asyncio.create_task(forgetting())
        try:
            samples = await turn(
                reads_contenders.paging(core, self.deadline_ms), self.readers, self.at_once, self.seconds
            )
        finally:
            dropping.cancel()
        return reads_figures.slow_author(
            samples, author, world.followers(author), reads_faults.DELAY_S * 1000, self.deadline_ms
        )

    async def empty_caches(self) -> EmptyCaches:
        """A third of the way, every cache is emptied. Nothing changes meanwhile: each key is read once."""
        self.ground.say("fault: all caches are emptied")
        await self.warm()
        reads = reads_faults.Reads()
        core = reads_faults.counted(reads_contenders.assembling(self.core), reads)
        before = AFTER_EMPTYING_S / 2
        running = asyncio.create_task(
            turn(
                reads_contenders.paging(core, self.deadline_ms),
                self.readers,
                self.at_once,
                before + AFTER_EMPTYING_S,
            )
        )
        await asyncio.sleep(before)
        reads.of.clear()
        core.load.caches.clear()
        emptied_at = time.perf_counter()
        return reads_figures.empty_caches(await running, emptied_at, reads.of)


async def measure(bench: ReadsBench, running: Instance, only: Collection[str]) -> ReadsFigures:
    """The comparison and the faults; or these faults alone."""
    await bench.warm()
    serving.tune()  # as an API does
    before = _untrusted()
    figures = ReadsFigures(processes.machine(), _workload(bench))
    if not only:
        figures = replace(figures, contenders=await bench.compared(running))
        await bench.ground.settled()
    if not only or "slow-author" in only:
        figures = replace(figures, slow_author=await bench.slow_author())
    if not only or "empty-caches" in only:
        figures = replace(figures, empty_caches=await bench.empty_caches())
    return replace(figures, untrusted=_untrusted() - before)


def run(
    pipeline: Pipeline, *, at_once: int, seconds: int, only: Collection[str], say: Callable[[str], None]
) -> ReadsFigures:
    """The whole bench on this pipeline, which is started and left running."""
    say("starting Kafka, Cassandra and every stage")
    last = ""

    def say_once(words: str) -> None:
        nonlocal last
        if words != last:
            last = words
            say(words)

    running = pipeline.start(PROFILE, say_once)

    async def measured() -> ReadsFigures:
        async with benched(pipeline, running, at_once, seconds, say) as bench:
            # Filling is a burst: authors who are pushed in this comparison would be contained, and pulled.
            await asyncio.to_thread(control.order, running.control, "stop", "controller")
            await bench.ground.fill()
            await asyncio.to_thread(control.order, running.control, "start", "controller")
            return await measure(bench, running, only)

    return asyncio.run(measured())


@asynccontextmanager
async def benched(
    pipeline: Pipeline, running: Instance, at_once: int, seconds: int, say: Callable[[str], None]
) -> AsyncIterator[ReadsBench]:
    """The core of the read path on a running pipeline, as its API has it."""
    spec = topology.load(profile=running.profile)
    settings = Settings(home=pipeline.home, keyspace=running.keyspace)
    world = reads_world.draw(graph.load(), READERS)
    async with (
        resources(settings, running.kafka, running.cassandra, spec) as r,
        Watch(pipeline.home, running, spec) as watch,
    ):
        core, _ = serving.core_of(r, Sizes(**spec.api.caches.model_dump()))
        ground = Ground(pipeline.home, running, r.outbox, watch, world, say)
        yield ReadsBench(ground, core, spec.api.deadline_ms, at_once, seconds)


def _untrusted() -> int:
    """Keys that were not looked up in a cache of this process, as changes had not been heard of in time."""
    samples = (sample for family in metrics.CACHE_READS.collect() for sample in family.samples)
    return round(
        sum(
            one.value
            for one in samples
            if one.labels.get("outcome") == "untrusted" and one.name.endswith("total")
        )
    )


def _workload(bench: ReadsBench) -> dict[str, object]:
    return {
        "readers": READERS,
        "at_once": bench.at_once,
        "pulled_authors": reads_world.PULLED,
        "pushed_authors": reads_world.PUSHED,
        "posts_a_second": POSTS_A_SECOND,
        "seconds_each": bench.seconds,
    }

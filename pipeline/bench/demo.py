"""The demo: a whole pipeline, a real graph, a burst, and an audit of what readers were served.

    start → register readers → import the graph → post, with a burst → wait until nothing is unprocessed →
    audit → verdict

It uses what anybody may use: `tideline run` and `tideline import` as child processes, the topics, the HTTP
API and the metrics. What it published is what the auditor computes the feeds from.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import topology
from pipeline.audit import feeds, from_events
from pipeline.auth.home_keys import tokens_of
from pipeline.auth.tokens import TokenKeys
from pipeline.bench import demo_readers, demo_traffic, graph, probe, processes, verdict
from pipeline.bench.demo_publish import Publisher
from pipeline.bench.demo_traffic import TrafficStep
from pipeline.bench.demo_view import Moment, View
from pipeline.bench.instance import Pipeline
from pipeline.bench.kinds import Kinds
from pipeline.bench.verdict import DemoFigures, Latency
from pipeline.bench.watch import Watch
from pipeline.clock import now_ms
from pipeline.config.settings import Settings
from pipeline.control import lag
from pipeline.domain.audit import Ledger
from pipeline.errors import TidelineError
from pipeline.kafka.outbox import Outbox
from pipeline.local.instance import Instance
from pipeline.ops import dead_letters
from pipeline.path import tier_stage
from pipeline.wire.enums import EventType
from pipeline.wire.records import FollowEvent

PROFILE = "small-graph"

POSTS_A_SECOND = 40.0
"""Besides the burst: some 3,000 rows/s, and 15,000 in the burst. Two cores with all engines are busy then."""

SEED = 20_120_704
"""The day of the announcement whose spreading the graph recorded. Any other seed draws another run."""

IMPORT_PATIENCE_S, SETTLE_PATIENCE_S = 600.0, 120.0
"""How long to wait for the graph, and after the last post, before the verdict is that it never came."""

_LOOK_S = 0.25


def run(pipeline: Pipeline, *, seconds: float, view: View) -> DemoFigures:
    """The whole demo on this pipeline, which is left running; posts for so many seconds."""
    begun = time.monotonic()
    view.say("starting Kafka, Cassandra and every stage")
    running = pipeline.start(PROFILE, lambda words: view.show(Moment(words)))
    view.say(f"everything answers at {running.api}")
    return asyncio.run(_run(pipeline.home, running, seconds, view, begun))


async def _run(home: Path, running: Instance, seconds: float, view: View, begun: float) -> DemoFigures:
    spec = topology.load(profile=running.profile)
    kinds = Kinds(graph.load(), spec)
    steps = demo_traffic.draw(kinds.graph, seconds=seconds, posts_a_second=POSTS_A_SECOND, seed=SEED)
    async with AsyncExitStack() as stack:
        keys = tokens_of(Settings(home=home))
        session = await stack.enter_async_context(feeds.session(keys))
        outbox = await stack.enter_async_context(Outbox(running.kafka))
        demo = Demo(
            running=running,
            kinds=kinds,
            steps=steps,
            watch=await stack.enter_async_context(Watch(home, running, spec)),
            publisher=Publisher(outbox, probe.Probe(session, running.api), kinds, Ledger()),
            view=view,
            keys=keys,
            seconds={"start": time.monotonic() - begun},
        )
        stack.callback(demo.publisher.stop)  # before their session closes
        with demo.timed("register"):
            await demo.register()
        with demo.timed("import"):
            await demo.import_graph(home)
        with demo.timed("traffic"):
            await demo.post()
        with demo.timed("settle"):
            await demo.settle()
        with demo.timed("audit"):
            report = await demo.audited()
        demo.seconds["total"] = time.monotonic() - begun
        return await demo.figures(report)


@dataclass(slots=True)
class Demo:
    """What the phases share; `bench.burst` has two of them on one pipeline."""

    running: Instance
    kinds: Kinds
    steps: Sequence[TrafficStep]
    watch: Watch
    publisher: Publisher
    view: View
    keys: TokenKeys | None
    seconds: dict[str, float]
    moment: Moment = field(default_factory=lambda: Moment(""))

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Keep how long a phase takes."""
        begun = time.monotonic()
        yield
        self.seconds[phase] = time.monotonic() - begun
        self.view.clear()

    async def register(self) -> None:
        """The accounts of all who follow a posting author: the active set. Nothing is pushed to strangers."""
        if any(one.end for stage in await self.watch.stages() for one in stage.partitions):
            raise TidelineError("there are events in this home already", "the demo needs an empty --home")
        readers = demo_readers.active(self.kinds.graph, self.steps)
        self.moment = Moment("readers registered:", total=len(readers))
        await self.publisher.register(readers)

        def processed() -> int:
            return sum(one.committed or 0 for one in self.moment.stages[1].partitions)

        await self._look(self._settled, IMPORT_PATIENCE_S, done=processed)
        self.view.say(f"{len(readers):,} readers are registered")

    async def import_graph(self, home: Path) -> None:
        """The shipped graph, by `tideline import follows`; returns when every edge is in place."""
        follows, at = self.kinds.graph, now_ms()
        for author, readers in follows.followers.items():
            self.publisher.ledger.add(FollowEvent(EventType.FOLLOWED, author, tuple(readers), at))
        events = sum(-(-len(readers) // 1000) for readers in follows.followers.values())
        self.moment = Moment("edges in place:", total=follows.edges)
        sending = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pipeline", "import", "follows", str(graph.SHIPPED)),
            *("--home", str(home), "--at", str(at)),
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        ended = asyncio.create_task(sending.communicate())

        def processed() -> int:
            done = sum(one.committed or 0 for one in self.moment.stages[0].partitions)
            return follows.edges * min(done, events) // events

        try:
            await self._look(ended.done, IMPORT_PATIENCE_S, done=processed)
            if sending.returncode:
                raise TidelineError(f"the import failed: {(await ended)[1].decode(errors='replace')}")
            await self._look(self._settled, IMPORT_PATIENCE_S, done=processed)
        finally:
            if sending.returncode is None:
                sending.kill()
        if not self._settled():
            raise TidelineError(f"the graph was not in place after {IMPORT_PATIENCE_S:.0f} s", "tideline lag")
        self.view.say(f"{follows.edges:,} edges are in place")

    async def post(self, most_probes: int = probe.PROBES_A_KIND) -> None:
        """Publish every step at its time; returns when the last is acknowledged."""
        touched = demo_traffic.touched(self.steps)
        watched = probe.choose(self.steps, self.kinds.graph, touched, self.kinds.of, SEED, most_probes)
        self.moment = Moment("posts sent:", total=self._posts_by_kind().total())
        publishing = asyncio.create_task(self.publisher.publish(self.steps, watched))
        try:
            await self._look(publishing.done, float("inf"), done=lambda: len(self.publisher.post_ids))
        finally:
            publishing.cancel()
        await publishing
        others = len(self.steps) - self.moment.total
        self.view.say(f"{self.moment.total:,} posts and {others:,} other events are published")

    async def settle(self) -> None:
        """Wait until every stage has processed everything, and every probe has an answer."""
        await self._look(self._settled, SETTLE_PATIENCE_S, done=lambda: self.moment.total)
        await asyncio.gather(*self.publisher.probes)

    async def audited(self) -> from_events.AuditReport:
        """Hold what readers are served against what was published."""
        touched = demo_traffic.touched(self.steps)
        readers = demo_readers.stratified(self.kinds.graph, self.steps, touched, self.kinds.of, SEED)
        moment = Moment("readers audited:", total=len(readers))

        def progress(report: from_events.AuditReport) -> None:
            moment.done = report.readers
            self.view.show(moment)

        return await from_events.audit(
            self.running.api,
            readers,
            self.publisher.ledger,
            since_ms=0,
            class_of=self.kinds.class_of,
            progress=progress,
            keys=self.keys,
            timeout_ms=self.kinds.topology.api.deadline_max_ms,
        )

    async def figures(self, report: from_events.AuditReport) -> DemoFigures:
        """What all this measured."""
        rows, counts = self.moment.rows, self._posts_by_kind()
        letters = await asyncio.to_thread(dead_letters.newest, self.running.kafka, 1)
        tiers = {
            name: verdict.TierFigures(
                rows=rows[name],
                lag_budget_s=tier.lag_budget,
                worst_age_s=self.moment.worst_age_s[tier_stage(name)],
                visible=verdict.latency(self.publisher.probe.sightings, [name], counts),
            )
            for name, tier in self.kinds.topology.tiers.items()
        }
        return DemoFigures(
            accounts=len(self.kinds.graph.accounts),
            edges=self.kinds.graph.edges,
            posts=counts.total(),
            events=len(self.steps),
            classes=self._visible(),
            tiers=tiers,
            rows_s=sum(rows.values()) / (self.seconds["traffic"] + self.seconds["settle"]),
            peak_rows_s=self.moment.peak_rows_s,
            unprocessed=lag.unprocessed(self.moment.stages),
            dead_letters=letters.total,
            audit=report,
            seconds=self.seconds,
            machine=processes.machine(),
        )

    async def _look(self, until: Callable[[], bool], patience_s: float, *, done: Callable[[], int]) -> None:
        """Show what is to be seen, at least once, until this is so or patience is over."""
        deadline = time.monotonic() + patience_s
        while True:
            self.moment.lagging(await self.watch.stages())
            self.moment.written(await self.watch.rows(), time.monotonic())
            self.moment.visible = self._visible()
            self.moment.done = done()
            self.view.show(self.moment)
            if until() or time.monotonic() > deadline:
                return
            await asyncio.sleep(_LOOK_S)

    def _settled(self) -> bool:
        return lag.settled(self.moment.stages)

    def _posts_by_kind(self) -> Counter[str]:
        return self.kinds.count(step.fields["author_id"] for step in self.steps if step.publishes)

    def _visible(self) -> dict[str, Latency]:
        posts, seen = self._posts_by_kind(), self.publisher.probe.sightings
        return {name: verdict.latency(seen, kinds, posts) for name, kinds in self.kinds.by_class.items()}

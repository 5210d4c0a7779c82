"""A celebrity's burst while the large tier is throttled: what it costs ordinary authors, and what is done.

    start → register → import → quiet posts → the same with the burst, `fanout.large` throttled →
    wait until all is processed, and all that was contained is released → audit

The controller is that of the pipeline, with the topology's own thresholds. The tier is in
breach once its oldest record stays older than its budget, or was, where containment let none last; when that
was acted upon, the journal says.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline import topology
from pipeline.audit import feeds, from_events
from pipeline.auth.home_keys import tokens_of
from pipeline.bench import demo_traffic, graph, probe, verdict
from pipeline.bench.demo import PROFILE, SEED, Demo
from pipeline.bench.demo_publish import Publisher
from pipeline.bench.demo_view import Moment, View
from pipeline.bench.instance import Pipeline
from pipeline.bench.kinds import Kinds
from pipeline.bench.verdict import Latency
from pipeline.bench.watch import Watch
from pipeline.clock import now_ms
from pipeline.config.settings import Settings
from pipeline.domain.audit import KINDS, Ledger
from pipeline.kafka.outbox import Outbox
from pipeline.local.instance import Instance, find
from pipeline.ops import containment
from pipeline.path import tier_stage
from pipeline.wire.records import JournalEntry

POSTS_A_SECOND = 25.0
"""What two cores carry beside everything else without being late, so that it is the burst that is seen."""

ORDINARY, THROTTLED = "small", "large"
MAX_PROBES = 400
MAX_RATIO, MAX_SECONDS = 1.2, 5.0

BURST = 10
"""Times eight posts, within five seconds."""

_STOPPED_S, _RUNNING_S = 5.8, 0.2  # within the session time-out: it stays in its group
_BREACHED_WITHIN_S = 60.0
_RELEASED_WITHIN_S = 120.0
_LASTS_MS = 1000  # the controller looks once a second: what is over before it need not have seen
_LOOK_S = 0.25


@dataclass(frozen=True, slots=True)
class BurstFigures:
    """Seconds; `acted_s`: from the breach until the tier was shed and an author moved to pull, negative when
    that was before it; None: there was no breach, or nothing was done. `left`: still in force at the end.
    """

    quiet: Latency
    burst: Latency
    worst_age_s: float
    budget_s: float
    acted_s: float | None
    journal: Sequence[JournalEntry]
    left: int
    audit: from_events.AuditReport

    @property
    def ratio(self) -> float | None:
        """The p99 of ordinary authors' posts, in the burst over without it."""
        if self.burst.p99_s is None or not self.quiet.p99_s:
            return None
        return self.burst.p99_s / self.quiet.p99_s

    @property
    def problems(self) -> list[str]:
        """Why the verdict is not good; nothing when it is."""
        found = [f"{kind} {self.audit.found[kind]:,}" for kind in KINDS if self.audit.found[kind]]
        if self.ratio is None or self.ratio > MAX_RATIO or self.burst.never:
            found.append(
                f"ordinary authors: p99 {self.ratio or 0:.2f} times the quiet run, at most {MAX_RATIO}"
            )
        if self.worst_age_s <= self.budget_s:
            found.append(f"no breach: the tier was {self.worst_age_s:.1f} s behind at worst")
        elif self.acted_s is None or self.acted_s > MAX_SECONDS:
            found.append(f"acted {self.acted_s} s after the breach, at most {MAX_SECONDS:g} s")
        if self.left:
            found.append(f"{self.left} containments still in force")
        return found

    def document(self) -> dict[str, Any]:
        """What `--json` writes."""
        from dataclasses import asdict

        said = {"met": not self.problems, "problems": self.problems, "ratio": self.ratio}
        return said | asdict(replace(self, audit=None)) | {"audit": self.audit.document()}  # type: ignore[arg-type]


def lines(found: BurstFigures) -> Iterator[str]:
    """The figures for people."""
    for name, one in (("quiet", found.quiet), ("burst", found.burst)):
        yield (
            f"ordinary authors, {name}: p50 {one.p50_s or 0:.2f} s, p99 {one.p99_s or 0:.2f} s,"
            f" {one.probes} probes, {one.never} never"
        )
    yield f"p99 {found.ratio or 0:.2f} times the quiet run, at most {MAX_RATIO}"
    acted = (
        "nothing was done" if found.acted_s is None else f"contained {found.acted_s:+.1f} s from the breach"
    )
    yield f"{THROTTLED}: {found.worst_age_s:.1f} s behind at worst, budget {found.budget_s:g} s; {acted}"
    for entry in found.journal:
        if entry.event != "extended":
            clock = time.strftime("%H:%M:%S", time.localtime(entry.at / 1000))
            yield f"  {clock} {entry.event:<8} {entry.kind} {entry.target}"
    yield f"audit: {found.audit.readers} readers, {found.audit.posts:,} posts"
    yield from (f"NOT MET: {problem}" for problem in found.problems)
    yield "" if found.problems else "met"


def run(pipeline: Pipeline, *, seconds: float, view: View) -> BurstFigures:
    """The whole run on this pipeline, which is started and left running; each phase posts for so long."""
    running = pipeline.start(PROFILE, lambda words: view.show(Moment(words)))
    view.say(f"everything answers at {running.api}")
    return asyncio.run(_run(pipeline.home, running, seconds, view))


async def _run(home: Path, running: Instance, seconds: float, view: View) -> BurstFigures:
    spec = topology.load(profile=running.profile)
    kinds, keys, ledger = Kinds(graph.load(), spec), tokens_of(Settings(home=home)), Ledger()
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(feeds.session(keys))
        outbox = await stack.enter_async_context(Outbox(running.kafka))
        watch = await stack.enter_async_context(Watch(home, running, spec))

        def phase(seed: int, burst_by: Sequence[int]) -> Demo:
            steps = demo_traffic.draw(
                kinds.graph, seconds=seconds, posts_a_second=POSTS_A_SECOND, seed=seed, burst_by=burst_by
            )
            publisher = Publisher(outbox, probe.Probe(session, running.api), kinds, ledger)
            stack.callback(publisher.stop)
            return Demo(running, kinds, steps, watch, publisher, view, keys, {})

        quiet, loud = phase(SEED, []), phase(SEED + 1, [_celebrity(kinds)] * BURST)
        await replace(quiet, steps=[*quiet.steps, *loud.steps]).register()
        await quiet.import_graph(home)
        view.say("quiet")
        await quiet.post(MAX_PROBES)
        await quiet.settle()
        view.say("burst")
        began = now_ms()
        async with _throttled(home), _breach(watch, spec.tiers[THROTTLED].lag_budget) as breach:
            await loud.post(MAX_PROBES)
            await _acted(breach)
        await loud.settle()
        view.say("waiting for the release")
        left = await _released(running.kafka)
        entries = [one for one in containment.journal(running.kafka, 10_000) if one.at >= began]
        report = await replace(loud, steps=[*quiet.steps, *loud.steps]).audited()
        return BurstFigures(
            _ordinary(quiet),
            _ordinary(loud),
            breach.worst_s,
            spec.tiers[THROTTLED].lag_budget,
            _acted_s(entries, breach.at_ms or breach.first_ms),
            entries,
            left,
            report,
        )


def _celebrity(kinds: Kinds) -> int:
    """The author with the largest audience of those who are pushed to all of it."""
    return next(a for a in kinds.graph.largest(len(kinds.graph.followers)) if kinds.of(a) == THROTTLED)


def _ordinary(phase: Demo) -> Latency:
    counts = phase.kinds.count(step.fields["author_id"] for step in phase.steps if step.publishes)
    return verdict.latency(phase.publisher.probe.sightings, [ORDINARY], counts)


def _acted_s(entries: Sequence[JournalEntry], breach_ms: int | None) -> float | None:
    started = [one for one in entries if one.event == "started"]
    shed = [one.at for one in started if (one.kind, one.target) == ("shed", THROTTLED)]
    pulled = [one.at for one in started if one.kind == "pull"]
    if breach_ms is None or not shed or not pulled:
        return None
    return (max(min(shed), min(pulled)) - breach_ms) / 1000


@asynccontextmanager
async def _throttled(home: Path) -> AsyncIterator[None]:
    """The writer of the large tier runs a thirtieth of the time."""
    pid = next(one.pid or 0 for one in find(home).workers if one.stage == tier_stage(THROTTLED))

    async def stop_and_go() -> None:
        while True:
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(_STOPPED_S)
            os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(_RUNNING_S)

    going = asyncio.create_task(stop_and_go())
    try:
        yield
    finally:
        going.cancel()
        await asyncio.wait({going})
        os.kill(pid, signal.SIGCONT)


async def _acted(breach: "_Breach") -> None:
    """Wait until the breach was long enough ago to have been acted upon, or will not come."""
    deadline = now_ms() + 1000 * _BREACHED_WITHIN_S
    while True:
        at = deadline if breach.at_ms is None else breach.at_ms + 1000 * MAX_SECONDS
        if now_ms() >= at:
            return
        await asyncio.sleep(_LOOK_S)


@dataclass(slots=True)
class _Breach:
    first_ms: int | None = None
    at_ms: int | None = None
    worst_s: float = 0.0


@asynccontextmanager
async def _breach(watch: Watch, budget_s: float) -> AsyncIterator[_Breach]:
    """When the tier was first older than its budget, and since when it stayed so, looked at besides."""
    found = _Breach()

    async def look() -> None:
        since: int | None = None
        while True:
            for one in await watch.stages():
                if one.stage == tier_stage(THROTTLED) and one.age_s is not None:
                    found.worst_s = max(found.worst_s, one.age_s)
                    since = (since or now_ms()) if one.age_s > budget_s else None
                    found.first_ms = found.first_ms or since
                    if since is not None and found.at_ms is None and now_ms() - since >= _LASTS_MS:
                        found.at_ms = since
            await asyncio.sleep(_LOOK_S)

    looking = asyncio.create_task(look())
    try:
        yield found
    finally:
        looking.cancel()
        await asyncio.wait({looking})


async def _released(kafka: str) -> int:
    """Wait until nothing is in force; returns how much is, when patience is over."""
    deadline = time.monotonic() + _RELEASED_WITHIN_S
    while True:
        left = len(await asyncio.to_thread(containment.read, kafka, now_ms=now_ms()))
        if not left or time.monotonic() > deadline:
            return left
        await asyncio.sleep(_LOOK_S)

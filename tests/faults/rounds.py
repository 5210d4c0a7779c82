"""Rounds of faults under traffic, each followed by a check of every feed: what a run of the verifier is."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from threading import Event as Flag
from threading import Thread

import orjson

from pipeline.domain.containment import CONTROLLER
from pipeline.kafka.quotas import Quotas
from pipeline.kafka.view import whole
from pipeline.ops import containment, routing_settings
from pipeline.wire.codec import encode
from pipeline.wire.records import ActivityEvent, Containment, RoutingSettings
from tests.engines import events
from tests.engines.events import Event
from tests.engines.harness import Instance
from tests.faults import verify
from tests.faults.by_hand import Operator
from tests.faults.chaos import Chaos
from tests.faults.examples import Example, explain
from tests.faults.plan import Fault, Planner
from tests.faults.workload import Workload, World, producer_of
from tests.waiting import eventually

STEP_S = 0.25
THRESHOLDS_EVERY = 36
"""Steps: every 9 s."""

ACT_EVERY = 24
"""Steps: every 6 s something is contained by hand, or released."""

LET_GO_S = 90
"""After the last round: `hold_seconds` of 30, a controller who was killed last, and a busy machine."""

SETTLE_S = 240
"""After the last fault: engines on busy cores come back, partitions of the killed are free after 10 s."""

EXAMPLES = 5
"""Wrong deliveries of each kind that are explained."""


@dataclass
class Report:
    """What a run did and found."""

    seed: int
    rounds: int = 0
    minutes: float = 0.0
    events: int = 0
    checked: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    thresholds: int = 0
    by_hand: Counter[str] = field(default_factory=Counter)
    journal: Counter[str] = field(default_factory=Counter)
    """What the controller did."""
    left_in_force: list[str] = field(default_factory=list)
    """Kind and target of what was still on the topic `containment` at the end, and quotas at the broker."""
    dead_letters: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    examples: list[Example] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether every feed was right, nothing became a dead letter, and nothing is contained for ever."""
        return not self.wrong.total() and not self.dead_letters and not self.left_in_force

    def document(self) -> dict[str, object]:
        """The report as plain values."""
        kills = {kind: self.faults[kind] for kind in ("kill", "terminate")}
        return {
            "seed": self.seed,
            "minutes": round(self.minutes, 1),
            "rounds": self.rounds,
            "events": self.events,
            "deliveries_checked": self.checked,
            "kills": sum(kills.values()),
            "sigkill": kills["kill"],
            "sigterm": kills["terminate"],
            "kills_by_stage": dict(sorted(self.killed.items())),
            "faults": dict(sorted(self.faults.items())),
            "threshold_changes": self.thresholds,
            "by_hand": dict(sorted(self.by_hand.items())),
            "controller": dict(sorted(self.journal.items())),
            **{
                kind: self.wrong[kind]
                for kind in ("missing", "duplicates", "forbidden", "misordered", "stale")
            },
            "dead_letters": self.dead_letters,
            "left_in_force": self.left_in_force,
            "clean": self.clean,
        }


class Run:
    """One instance, one world, and round after round of both."""

    def __init__(self, instance: Instance, seed: int, world: World, say: Callable[[str], None]) -> None:
        self.instance, self._say = instance, say
        self.workload = Workload(seed, world)
        self.report = Report(seed)
        self.stages = [*dict.fromkeys(worker["stage"] for worker in instance.description()["workers"])]
        self.planner = Planner(seed, self.stages)
        self.operator = Operator(instance, seed, self.workload.authors)
        self._begin = time.monotonic()

    def open(self) -> None:
        """The world before the first fault."""
        self.publish(self.workload.opening())
        self.instance.settle(SETTLE_S)

    def round(self, chaos: Chaos, seconds: float, engine_faults: int) -> verify.Found:
        """The next planned round, with an operator at work."""
        return self.play(chaos, self.planner.round(seconds, engine_faults), seconds, self.operator.act)

    def end(self) -> None:
        """After the last round: the operator takes back what he did, and the controller lets go by itself."""
        self.operator.end()
        with suppress(AssertionError):
            eventually(lambda: not self._contained(), LET_GO_S)
        self.report.left_in_force = self._contained()
        told = containment.journal(self.instance.kafka, 100_000)
        self.report.journal = Counter(one.event for one in told if one.by == CONTROLLER)

    def _contained(self) -> list[str]:
        """All that is there, also what nobody goes by any more, and what the broker was told."""
        kafka = self.instance.kafka
        records = [f"{one.kind} {one.target}" for one in whole(kafka, "containment", Containment)]
        return sorted([*records, *(f"quota {name}" for name in asyncio.run(Quotas(kafka).all()))])

    def play(
        self,
        chaos: Chaos,
        faults: Sequence[Fault],
        seconds: float,
        by_hand: Callable[[], None] = lambda: None,
    ) -> verify.Found:
        """Traffic and these faults for so long, then calm, then a check of every feed."""
        began = time.monotonic()
        over, failed = Flag(), []
        breaking = Thread(
            target=keeping(failed, lambda: chaos.run(sorted(faults), seconds, over)), name="chaos"
        )
        breaking.start()
        try:
            self._traffic(seconds, over, by_hand)
        finally:
            breaking.join()
        if failed:
            raise failed[0]
        chaos.heal()
        calm = time.monotonic()
        last = self._settle()
        settled = time.monotonic()
        found = verify.check(self.instance, self.workload.readers, self.workload.model)
        self._note(chaos, found)
        done = time.monotonic()
        self._say(
            f"round {self.report.rounds}: {calm - began:.0f} s of faults, settled in {settled - calm:.0f} s (last: {last}), "
            f"{found.checked} deliveries on {found.pages} pages in {done - settled:.0f} s; "
            f"so far {self.report.checked} deliveries, {chaos.killed.total()} kills, {dict(self.report.wrong)} wrong"
        )
        if not found.clean:
            self._say(f"for example {orjson.dumps(self.report.examples[-1].document()).decode()}")
        return found

    def _settle(self) -> str:
        """Until everything is processed; returns who was last."""
        seen: list[list[str]] = []
        self.instance.settle(SETTLE_S, lambda stages: seen.append([s.stage for s in stages if s.lag != 0]))
        return ", ".join(next((stages for stages in reversed(seen) if stages), ["nobody"]))

    def _traffic(self, seconds: float, over: Flag, by_hand: Callable[[], None]) -> None:
        """A step each STEP_S, and what a stopped broker held up as soon as it goes on; to the end of the faults.

        So a seed draws as many events in a round on any machine, unless its engines take longer than the round.
        """
        begin, steps = time.monotonic(), round(seconds / STEP_S)
        for step in range(steps):
            if step % THRESHOLDS_EVERY == 0:
                self._set(*self.workload.thresholds())
            if step % ACT_EVERY == ACT_EVERY // 2:
                by_hand()
            self.publish(self.workload.step(self.workload.amount()))
            time.sleep(max(0.0, begin + (step + 1) * STEP_S - time.monotonic()))
        over.wait()

    def publish(self, said: Sequence[Event]) -> None:
        """What the workload drew, each post by its producer."""
        internal = [event for event in said if event["type"] == "lapsed"]
        for producer, together in groupby((event for event in said if event not in internal), _producer):
            self.instance.publish(*together, source=producer)
        for event in internal:
            record = ActivityEvent("lapsed", event["reader_id"], event["at"])
            self.instance.send("reader.marks", encode(record), b"%d" % event["reader_id"])
        self.instance.flush()
        self.report.events += len(said)

    def _set(self, push_below: int, pull_above: int) -> None:
        """As `tideline routing set` does, without a process for it."""
        settings = RoutingSettings(push_below, pull_above, events.now())
        asyncio.run(routing_settings.write(self.instance.kafka, settings))
        self.report.thresholds += 1

    def _note(self, chaos: Chaos, found: verify.Found) -> None:
        report = self.report
        report.rounds += 1
        report.minutes = (time.monotonic() - self._begin) / 60
        report.checked += found.checked
        report.faults, report.killed, report.by_hand = chaos.counts, chaos.killed, self.operator.done
        report.dead_letters = sum(self.instance.ends("dead.letters").values())
        for kind, wrong in found.wrong.items():
            report.wrong[kind] += len(wrong)
            for reader, post in wrong[:EXAMPLES]:
                report.examples.append(explain(self.instance, self.workload, kind, reader, post))


def _producer(event: Event) -> str:
    return producer_of(event["author_id"]) if event["topic"] == "posts" else "tests/faults"


def keeping(failed: list[BaseException], work: Callable[[], None]) -> Callable[[], None]:
    """The work, with what it raises kept for another thread."""

    def kept() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    return kept


def seed_of(given: str) -> int:
    """The seed that was asked for, or a new one."""
    return int(given) if given else random.SystemRandom().randrange(1, 1_000_000)

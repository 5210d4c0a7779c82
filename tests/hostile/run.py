"""A quiet round and a hostile one on the same instance, and what the second cost anybody.

Ordinary traffic is that of the fault suite, with its model. Verdict, after the hostile round:

- no stage was restarted, and memory is bounded;
- every ordinary feed is right, and the audit of the instance itself finds nothing;
- what had to be refused is a dead letter with one of its reasons; what had not to be is none, and nothing else is;
- posts that were late, or came in odd headers, are there for who asks for them;
- no answer over HTTP was a 5xx;
- the time from publish to written of each tier at p99, as a ratio of the quiet round's.
"""

import json
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from threading import Event as Flag
from threading import Thread

import psutil
from confluent_kafka import Message

from tests.engines import events
from tests.engines.harness import Instance
from tests.faults import verify
from tests.faults.rounds import Run, keeping
from tests.faults.workload import World
from tests.hostile.mutants import Fate, Mutant, Mutants
from tests.hostile.sender import Place, Sender
from tests.hostile.web import Garbage

RATE = 200
"""Hostile events a second, of which a tenth are requests over HTTP."""

STEP_S = 0.25
ORDINARY = 8
"""Ordinary events a step."""

TRANSACTION_EVERY, OPEN_EVERY, BOMB_EVERY = 2, 120, 60
"""Steps."""

SETTLE_S = 240.0
"""At least, and as long as a round: repairs wait while tiers are behind, and a long round leaves many."""

GROWN_BYTES = 200 * 1024 * 1024
"""A worker may be larger by so much than in the quiet round: a bomb that is unpacked, and a full batch of others."""

MAX_RATIO = 1.2
ENOUGH = 200
"""Segments written in a round below which its p99 is chance."""

LOOKED_AT = 40
EXAMPLES = 10
_ERRORS = "__streams.errors."
_WRITTEN = 'tideline_publish_to_written_seconds_bucket{le="'

Buckets = dict[str, Counter[float]]
"""By tier, how many segments were written within so many seconds."""


@dataclass
class Report:
    """What a run did and found."""

    seed: int
    seconds: float
    sent: Counter[str] = field(default_factory=Counter)
    kinds: int = 0
    not_taken: dict[str, int] = field(default_factory=dict)
    http: Counter[int] = field(default_factory=Counter)
    letters: Counter[str] = field(default_factory=Counter)
    """By reason."""
    ordinary: int = 0
    checked: int = 0
    p99_s: dict[str, tuple[float, float]] = field(default_factory=dict)
    """By tier: quiet, hostile."""
    grown: dict[str, int] = field(default_factory=dict)
    """By stage, MiB by which its largest worker was larger than in the quiet round."""
    problems: list[str] = field(default_factory=list)

    @property
    def ratios(self) -> dict[str, float]:
        """By tier, what the hostile round cost."""
        return {tier: after / before for tier, (before, after) in self.p99_s.items()}

    def document(self) -> dict[str, object]:
        """As plain values."""
        return {
            "seed": self.seed,
            "seconds": self.seconds,
            "hostile": dict(sorted(self.sent.items())),
            "kinds": self.kinds,
            "not_taken_by_the_broker": self.not_taken,
            "http": {str(status): number for status, number in sorted(self.http.items())},
            "dead_letters": dict(self.letters.most_common()),
            "ordinary_events": self.ordinary,
            "deliveries_checked": self.checked,
            "p99_s": {
                tier: [round(before, 3), round(after, 3)] for tier, (before, after) in self.p99_s.items()
            },
            "p99_ratio": {tier: round(ratio, 2) for tier, ratio in self.ratios.items()},
            "grown_mib": self.grown,
            "problems": self.problems,
            "clean": not self.problems,
        }


class Hostile:
    """One instance, one world; `run` has two rounds of so many seconds."""

    def __init__(
        self, instance: Instance, seed: int, world: World, seconds: float, say: Callable[[str], None]
    ) -> None:
        self.instance, self.seconds, self._say = instance, seconds, say
        self.traffic = Run(instance, seed, world, say)
        self.report = Report(seed, seconds)
        self._posts: list[int] = []
        self._quiet_posts = 0
        self._since = instance.ends("dead.letters")

    def run(self, *, ratios: bool) -> Report:
        """Both rounds and the verdict. `ratios`: whether the times of tiers are part of it, or only told."""
        self.traffic.open()
        restarts, before = self._restarts(), self._written()
        with Memory(self.instance) as quiet:
            self._ordinary()
            self.instance.settle(max(SETTLE_S, self.seconds))
        between, self._quiet_posts = self._written(), len(self._posts)
        self._say(f"quiet round over; {self.report.ordinary} ordinary events")
        with Memory(self.instance) as hostile:
            sent = self._hostile_round()
            self.instance.settle(max(SETTLE_S, self.seconds))
        self._p99(before, between, self._written(), ratios=ratios)
        self._memory(quiet, hostile)
        self._problem(self._restarts() - restarts, "stages were restarted")
        self._reconcile(sent)
        self._posts_that_are_there(sent)
        self._feeds()
        return self.report

    # Rounds

    def _ordinary(self) -> None:
        """A step each STEP_S for so long; on a busy machine it is fewer."""
        for _ in self._steps():
            made = self.traffic.workload.step(ORDINARY)
            self._posts += [each["post_id"] for each in made if each["type"] == "published"]
            self.traffic.publish(made)
            self.report.ordinary += len(made)

    def _steps(self) -> Iterator[int]:
        """Until the round is over; what is late is not caught up."""
        begin = time.monotonic()
        for step in range(round(self.seconds / STEP_S)):
            if time.monotonic() > begin + self.seconds:
                return
            yield step
            time.sleep(max(0.0, begin + (step + 1) * STEP_S - time.monotonic()))

    def _hostile_round(self) -> dict[Place, Mutant]:
        """Strangers do not wait for each other, nor the ordinary for them."""
        sender = Sender(self.instance.kafka, self.report.seed)
        garbage = Garbage(self.instance.api, self.report.seed)
        over, failed = Flag(), list[BaseException]()
        works = (
            lambda: _asking(garbage, over),
            lambda: self._flood(sender),
            lambda: self._transactions(sender),
        )
        strangers = [Thread(target=keeping(failed, work), name="stranger") for work in works]
        for stranger in strangers:
            stranger.start()
        try:
            self._ordinary()
        finally:
            over.set()
            for stranger in strangers:
                stranger.join()
            sender.close()
        if failed:
            raise failed[0]
        self.report.sent = Counter(mutant.fate.value for mutant in sender.sent.values())
        self.report.kinds = len({mutant.kind for mutant in sender.sent.values()})
        self.report.not_taken, self.report.http = sender.refused, garbage.answers
        self._problem(garbage.errors, f"answers over HTTP were errors of the server: {garbage.answers}")
        return sender.sent

    def _flood(self, sender: Sender) -> None:
        mutants = Mutants(self.report.seed, events.clock_ms, self._victim)
        drawn = iter(mutants)
        for step in self._steps():
            sender.send(islice(drawn, round(RATE * 0.9 * STEP_S)))
            if step % BOMB_EVERY == BOMB_EVERY // 2:
                sender.send_compressed(mutants.bomb())

    def _transactions(self, sender: Sender) -> None:
        drawn = iter(Mutants(self.report.seed + 1, events.clock_ms, self._victim))
        for step in self._steps():
            if step % TRANSACTION_EVERY == 0:
                sender.transaction(islice(drawn, 5))
            if step % OPEN_EVERY == OPEN_EVERY // 3:
                sender.leave_open(next(one for one in drawn if one.topic == "activity"))

    def _victim(self, kind: str) -> int | None:
        """The newest post, perhaps ahead of it; to be published by another only once it is there.

        An id belongs to whoever publishes it first (docs/ordering.md), and nobody knows one before that.
        """
        there = self._posts[: self._quiet_posts] if kind == "published" else self._posts
        return there[-1] if there else None

    # Verdict

    def _problem(self, wrong: object, text: str) -> None:
        if wrong:
            self.report.problems.append(f"{wrong} {text}" if isinstance(wrong, int) else text)

    def _restarts(self) -> int:
        return sum(worker["restarts"] for worker in self.instance.description()["workers"])

    def _reconcile(self, sent: Mapping[Place, Mutant]) -> None:
        """What was sent against the dead letters."""
        letters = dict(map(_letter, self._letters()))
        self.report.letters = Counter(reason for reason, _ in letters.values())
        wrong: dict[str, list[str]] = defaultdict(list)
        for place, mutant in sent.items():
            reason, detail = letters.pop(place, ("", ""))
            told = f"{mutant.kind} at {place}: {reason or 'no dead letter'} {detail}"
            match mutant.fate:
                case Fate.REFUSED if not reason:
                    wrong["had to be refused and were not"].append(told)
                case Fate.REFUSED if mutant.reasons and reason not in mutant.reasons:
                    wrong["were refused for another reason"].append(told)
                case Fate.TAKEN | Fate.UNSEEN if reason:
                    wrong[f"were {mutant.fate.value} to be, and are dead letters"].append(told)
        for origin, (reason, detail) in letters.items():
            wrong["dead letters are of nothing hostile"].append(f"{origin}: {reason} {detail}")
        for what, examples in wrong.items():
            self._problem(len(examples), f"{what}: {'; '.join(examples[:EXAMPLES])}"[:3000])

    def _letters(self) -> Sequence[Message]:
        return self.instance.messages(self._since)

    def _posts_that_are_there(self, sent: Mapping[Place, Mutant]) -> None:
        posts = [mutant for mutant in sent.values() if mutant.post is not None and mutant.fate is Fate.TAKEN]
        lacking = []
        for mutant in posts[:: max(1, len(posts) // LOOKED_AT)]:
            post, author = mutant.post or (0, 0)
            if self.instance.get(f"/v1/posts/{post}?reader_id={author}").status != 200:
                lacking.append(f"{mutant.kind} {post} of {author}")
        self._problem(len(lacking), f"posts that were taken are not there: {lacking[:EXAMPLES]}")

    def _feeds(self) -> None:
        found = verify.check(self.instance, self.traffic.workload.readers, self.traffic.workload.model)
        self.report.checked = found.checked
        for kind, wrong in found.wrong.items():
            self._problem(len(wrong), f"ordinary deliveries {kind}: {wrong[:EXAMPLES]}")
        done = self.instance.command("audit", "--readers", "60", "--json")
        clean = done.returncode == 0 and json.loads(done.stdout)["clean"]
        self._problem(not clean, f"the audit is not clean: {done.stdout[:2000]} {done.stderr[-500:]}")

    def _memory(self, quiet: "Memory", hostile: "Memory") -> None:
        for stage, most in hostile.most.items():
            grown = most - quiet.most.get(stage, 0)
            self.report.grown[stage] = grown >> 20
            self._problem(grown > GROWN_BYTES, f"{stage} grew by {grown >> 20} MiB to {most >> 20}")

    def _p99(self, before: Buckets, between: Buckets, after: Buckets, *, ratios: bool) -> None:
        for tier in after:
            quiet, hostile = _less(between[tier], before[tier]), _less(after[tier], between[tier])
            if min(quiet[float("inf")], hostile[float("inf")]) >= ENOUGH:
                self.report.p99_s[tier] = (_p99_of(quiet), _p99_of(hostile))
        for tier, ratio in self.report.ratios.items():
            told = f"{tier}: p99 {ratio:.2f} times that of the quiet round, at most {MAX_RATIO}"
            self._say(told)
            self._problem(ratios and ratio > MAX_RATIO, told)

    def _written(self) -> Buckets:
        found: Buckets = {f"{tier}": Counter() for tier in self.instance.topology.tiers}
        for target in json.loads((self.instance.home / "metrics" / "targets.json").read_text()):
            if target["labels"]["worker"].startswith("fanout."):
                for tier, le, number in _samples(target["targets"][0]):
                    found[tier][le] += number
        return found


class Memory:
    """The largest that the workers of each stage were, looked at twice a second. A context manager."""

    def __init__(self, instance: Instance) -> None:
        self._instance, self._over = instance, Flag()
        self._looking = Thread(target=self._look, name="memory")
        self.most: dict[str, int] = {}

    def __enter__(self) -> "Memory":
        self._looking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._looking.join()

    def _look(self) -> None:
        while not self._over.wait(0.5):
            for worker in self._instance.description()["workers"]:
                with suppress(psutil.Error):
                    if worker["pid"] is None:
                        continue
                    size = psutil.Process(worker["pid"]).memory_info().rss
                    self.most[worker["stage"]] = max(size, self.most.get(worker["stage"], 0))


def _asking(garbage: Garbage, over: Flag) -> None:
    while not over.wait(1 / (RATE * 0.1)):
        garbage.ask()


def _letter(message: Message) -> tuple[Place, tuple[str, str]]:
    """Where a dead letter is from, and its reason and detail."""
    told = {
        name: (value or b"").decode() for name, value in message.headers() or () if name.startswith(_ERRORS)
    }
    place = told[_ERRORS + "topic"], int(told[_ERRORS + "partition"]), int(told[_ERRORS + "offset"])
    return place, (told[_ERRORS + "exception"], f"{told[_ERRORS + 'message']} (key {message.key()!r:.60})")


def _samples(address: str) -> Iterator[tuple[str, float, int]]:
    """Of one worker: tier, bucket, count."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(_WRITTEN):
                labels, _, number = line.rpartition(" ")
                le, tier = labels.removeprefix(_WRITTEN).split('",tier="')
                yield tier.removesuffix('"}'), float(le), round(float(number))


def _less(later: Counter[float], earlier: Counter[float]) -> Counter[float]:
    return Counter({le: number - earlier[le] for le, number in later.items()})


def _p99_of(buckets: Counter[float]) -> float:
    """By Prometheus' rule: between the ends of the bucket that it is in."""
    wanted, below, under = 0.99 * buckets[float("inf")], 0.0, 0
    for le in sorted(buckets):
        if buckets[le] >= wanted:
            if le == float("inf"):
                return below
            return below + (le - below) * (wanted - under) / max(buckets[le] - under, 1)
        below, under = le, buckets[le]
    return below

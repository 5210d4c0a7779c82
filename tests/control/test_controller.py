"""The controller: what it sees is told, what it does is in force and in the journal, and one of two acts."""

from types import SimpleNamespace

from pipeline.control.controller import Classified, Controller, announced, seen_of
from pipeline.control.throttle import Throttle
from pipeline.domain.arrivals import Arrivals
from pipeline.domain.budgets import Tier
from pipeline.domain.containment import OPERATOR, Kind
from pipeline.domain.control import ContainmentChange, Rules, TierSample
from pipeline.domain.snowflake import first_id
from pipeline.errors import EngineError
from pipeline.kafka.emit import Emit
from pipeline.wire.codec import decode
from pipeline.wire.records import AuthorClass, ClassifiedPost, Containment, JournalEntry, StageHealth
from tests.stages.fakes import MemoryQuotas, RecordingOutbox

NOW = 1_700_000_000_000
RULES = {"large": Rules(10.0, 0.5, 0.8, 0.9, 1.0, 5.0, 30.0, 0.2, 6, None)}
TIERS = [Tier("small", 10, 2.0), Tier("large", None, 10.0)]


def health(stage, age_s, pending=None, workers=1, outage_s=0.0):
    return StageHealth(
        stage, "WARN", 1, pending, age_s, 10.0, (), "", (), NOW, workers=workers, outage_s=outage_s
    )


class World:
    """Two controllers on one set of topics; what one has written the other one sees."""

    def __init__(self):
        self.outbox, self.age_s, self.now, self.told = RecordingOutbox(), 0.0, NOW, []
        self.workers, self.outage_s = 1, 0.0
        self.arrivals, self.quotas = Arrivals(), MemoryQuotas()
        self.one, self.other = self.controller(True), self.controller(False)

    def controller(self, leads):
        async def look():
            large = health("fanout.large", self.age_s, 700, self.workers, self.outage_s)
            return [health("classify", 99.0), large]

        return Controller(
            look=look,
            in_force=SimpleNamespace(values=self.in_force),
            arrivals=self.arrivals,
            throttle=Throttle(self.quotas),
            rules=RULES,
            leads=lambda: leads,
            emit=Emit(self.outbox, "controller"),
            clock=self,
            told=lambda healths, in_force: self.told.append((len(healths), len(in_force))),
        )

    def now_ms(self):
        return self.now

    def in_force(self):
        newest = {m.key: m.value for m in self.outbox.sent if m.topic == "containment"}
        return [decode(value, Containment) for value in newest.values() if value is not None]

    async def put(self, record):
        """As `tideline contain` does."""
        await self.one.emit.all(announced(self.one.emit, ContainmentChange("started", record), NOW))

    def journal(self):
        entries = [
            decode(m.value, JournalEntry) for m in self.outbox.sent if m.topic == "containment.journal"
        ]
        return [(one.event, one.kind, one.target) for one in entries if one.event != "extended"]


async def test_a_breach_is_acted_upon_and_everything_taken_back_and_the_journal_tells():
    world = World()
    for author in (7, 7, 7, 8):
        post = ClassifiedPost(first_id(NOW), author, NOW, "public", "eu", AuthorClass.PUSH, 9_000)
        Classified(world.arrivals, TIERS, lambda: world.now).put(b"", post)

    world.age_s = 12.0
    await world.one.step()
    assert {(one.kind, one.target) for one in world.in_force()} == {
        *(("shed", "large"), ("pull", "7"), ("pull", "8")),
        *(("defer", "backfill"), ("defer", "retract")),
    }
    world.age_s = 1.0
    world.now += 31_000
    await world.one.step()

    assert world.in_force() == []
    story = world.journal()
    assert [event for event, *_ in story] == ["started"] * 5 + ["released"] * 5
    assert set(story[5:]) == {("released", *rest) for _, *rest in story[:5]}


async def test_nobody_is_contained_for_a_dead_worker_neither_while_it_is_dead_nor_while_what_waited_is_done():
    world = World()
    post = ClassifiedPost(first_id(NOW), 7, NOW, "public", "eu", AuthorClass.PUSH, 9_000)
    Classified(world.arrivals, TIERS, lambda: world.now).put(b"", post)

    world.age_s, world.workers, world.outage_s = 60.0, 0, 60.0
    assert await world.one.step() == []
    world.workers = 1
    assert await world.one.step() == []
    world.outage_s = 0.0
    await world.one.step()

    assert {one.kind for one in world.in_force()} == {"shed", "pull", "defer", "narrow"}


async def test_who_does_not_lead_looks_and_tells_and_writes_nothing():
    world = World()
    world.age_s = 60.0

    assert await world.other.step() == []
    assert (world.outbox.sent, world.told) == ([], [(2, 0)])


async def test_a_second_one_that_takes_over_changes_nothing():
    world = World()
    world.age_s = 12.0
    await world.one.step()
    before = world.in_force()

    assert await world.controller(True).step() == []
    assert world.in_force() == before


async def test_the_health_of_every_stage_is_told_by_its_name():
    world = World()
    await world.one.step()

    assert [m.key for m in world.outbox.sent if m.topic == "pipeline.health"] == [
        b"classify",
        b"fanout.large",
    ]


def test_tiers_are_what_is_acted_for():
    assert seen_of([health("classify", 99.0), health("fanout.large", None, 700)]) == {
        "large": TierSample(None, 700, 1)
    }


def test_what_is_pulled_makes_no_work():
    arrivals = Arrivals()
    post = ClassifiedPost(first_id(NOW), 7, NOW, "public", "", AuthorClass.PULL, 9_000_000)
    Classified(arrivals, TIERS, lambda: NOW).put(b"", post)
    Classified(arrivals, TIERS, lambda: NOW).put(b"", None)

    assert arrivals.hot(NOW / 1000, 0.0) == []


def test_posts_that_claim_to_be_old_make_work_of_now():
    """Else who sends a burst of ids of an hour ago is no part of it, and others are contained for it."""
    arrivals = Arrivals()
    post = ClassifiedPost(first_id(NOW - 3_600_000), 7, NOW, "public", "", AuthorClass.PUSH, 9_000)
    Classified(arrivals, TIERS, lambda: NOW).put(b"", post)

    assert [(one.target, one.share) for one in arrivals.hot(NOW / 1000, 0.5)] == [("7", 1.0)]


def throttled(user, until=0):
    return Containment(Kind.THROTTLE, user, AuthorClass.PULL, 0, "", OPERATOR, NOW, until, "", 4_096)


async def test_a_user_whom_an_operator_slows_is_let_go_before_the_record_of_it():
    world = World()
    await world.put(throttled("news", until=NOW + 1_000))
    await world.one.step()
    assert world.quotas.rates == {"news": 4_096.0}

    world.now += 31_000
    world.quotas.fault = EngineError("kafka: away")
    await world.one.step()
    assert [one.kind for one in world.in_force()] == ["throttle"], "or its quota would be forgotten"
    world.quotas.fault = None
    await world.controller(True).step()

    assert (world.quotas.rates, world.in_force()) == ({}, [])
    assert [event for event, kind, _ in world.journal() if kind == "throttle"] == ["started", "expired"]


async def test_whoever_a_post_says_has_produced_it_is_not_slowed():
    world = World()
    post = ClassifiedPost(first_id(NOW), 7, NOW, "public", "", AuthorClass.PUSH, 9_000, "somebody else")
    Classified(world.arrivals, TIERS, lambda: world.now).put(b"", post)
    world.age_s = 12.0
    for _ in range(2):
        await world.one.step()

    assert {one.kind for one in world.in_force()} == {"shed", "pull", "defer"}
    assert world.quotas.rates == {}


async def test_when_the_broker_does_not_let_us_slow_users_all_else_is_done():
    world = World()
    await world.put(throttled("news"))
    world.quotas.fault = EngineError("kafka: not authorised")
    world.age_s = 12.0
    await world.one.step()

    assert {one.kind for one in world.in_force()} == {"throttle", "shed", "defer"}

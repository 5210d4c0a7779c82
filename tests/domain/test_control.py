"""The controller's step: it acts at once, holds while a tier is not well, and lets go of everything after."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.containment import CONTROLLER, OPERATOR, Kind, held, holds, key_of
from pipeline.domain.control import Hot, Rules, TierSample, asks_who, broker_quotas, decide
from pipeline.wire.records import AuthorClass, Containment

PARTIAL, PULL = AuthorClass.PARTIAL, AuthorClass.PULL
NOW, HOLD = 1_700_000_000_000, 10
RULES = Rules(10.0, 0.5, 0.8, 0.9, 1.0, 5.0, HOLD, 0.2, 6, 1_000)
TIERS = {"small": dataclasses.replace(RULES, lag_budget_s=2.0), "large": RULES}
HOT = [
    Hot("large", Kind.PULL, "7", 0.6),
    Hot("large", Kind.PULL, "8", 0.1),
    Hot("large", Kind.PACE, "eu", 0.7),
]


class World:
    """What is in force, second by second."""

    def __init__(self, *records):
        self.in_force = {key_of(one): one for one in records}
        self.now, self.story = NOW, []

    def step(self, age_s=0.0, pending=0, hot=HOT, small=0.0, heard=None):
        """`heard`: what the controller goes by, where it has not heard of everything."""
        seen = {"large": TierSample(age_s, pending), "small": TierSample(small, 0)}
        changes = decide(self.in_force if heard is None else heard, seen, hot, TIERS, self.now)
        for change in changes:
            record = change.record
            if change.over:
                self.in_force.pop(key_of(record), None)
            else:
                self.in_force[key_of(record)] = record
            self.story.append((change.event, f"{record.kind}/{record.target}"))
        if heard is None:
            again = decide(self.in_force, seen, hot, TIERS, self.now)
            assert again == [], "a second controller would do more"
        self.now += 1_000
        return changes

    def holds(self):
        return {
            f"{one.kind}/{one.target}": one.author_class
            for one in self.in_force.values()
            if holds(one, self.now)
        }


def test_the_ladder():
    """What is done at each share of the budget of 10 s, with one author who makes most of the work."""
    ladder = {
        7.9: {},
        8.0: {"shed/large": PARTIAL},
        9.0: {"shed/large": PARTIAL, "rate/7": PULL, "pace/eu": PULL},
        10.0: {
            "shed/large": PARTIAL,
            "pull/7": PULL,
            "pace/eu": PULL,
            "defer/backfill": PULL,
            "defer/retract": PULL,
        },
    }
    for age_s, wanted in ladder.items():
        world = World()
        world.step(age_s)
        assert world.holds() == wanted
    world.step(50.0)
    assert world.holds() == wanted | {"narrow/reads": PULL}


def test_a_full_queue_sheds_every_push_of_the_tier_also_when_cold_readers_are_shed_already():
    world = World()
    world.step(8.0)
    world.step(8.0, pending=1_001)
    assert world.holds() == {"shed/large": PULL}

    world.step(8.0)  # emptier: what is stricter stays until it ends
    assert world.holds() == {"shed/large": PULL}


def test_the_story_of_a_burst():
    """It rises, it falls, and everything that was done is undone, once."""
    world = World()
    for age_s in (1.0, 6.0, 12.0, 12.0, 8.0, 4.0, *[1.0] * 11):
        world.step(age_s)

    assert world.in_force == {}
    events = [event for event in world.story if event[0] != "extended"]
    keys = ["shed/large", "pace/eu", "pull/7", "defer/backfill", "defer/retract"]
    assert sorted(events) == sorted([("started", key) for key in keys] + [("released", key) for key in keys])


def test_what_ended_while_no_controller_lived_is_told_before_it_is_done_again():
    world = World()
    world.step(8.0)
    world.now += 60_000
    world.step(8.0)

    assert world.story == [(event, "shed/large") for event in ("started", "released", "started")]


def test_a_tier_is_not_blamed_for_another():
    world = World()
    world.step(1.0, small=1.7)

    assert world.holds() == {"shed/small": PARTIAL}


ages = st.sampled_from([None, 0.0, 4.9, 5.0, 7.9, 8.0, 9.5, 10.0, 60.0])


@given(st.lists(st.tuples(ages, st.sampled_from([None, 0, 600, 1_001])), min_size=1, max_size=60))
def test_nothing_is_dropped_while_the_tier_is_not_well_and_nothing_outlives_it(looks):
    """Not well: at `release` of the budget or of the bound, or unknown."""
    world, well_for = World(), 0
    for age_s, pending in looks:
        before = world.holds()
        world.step(age_s, pending)
        well = age_s is not None and age_s < 5 and not (pending is not None and pending > 500)
        well_for = well_for + 1 if well else 0
        if not well:
            assert world.holds().keys() >= before.keys()
        if age_s is None and (pending is None or pending <= 1_000):
            assert world.holds().keys() <= before.keys(), "it acts on what it does not know"
        if well_for > HOLD:
            assert world.holds() == {}
        for record in world.in_force.values():
            assert record.by == CONTROLLER and record.tier == "large"
            assert record.since <= world.now and record.until <= world.now + HOLD * 1000


@given(st.lists(ages, min_size=1, max_size=40), st.sampled_from([0, NOW + 3_000, NOW + 90_000]))
def test_what_an_operator_did_stays_as_it_is_until_it_ends(looks, until):
    mine = Containment("pull", "7", PULL, 0, "launch party", OPERATOR, NOW, until)
    world = World(mine)
    for age_s in looks:
        world.step(age_s)
        if until == 0 or world.now - 1_000 < until:
            assert world.in_force[key_of(mine)] == mine
            assert ("started", "pull/7") not in world.story
    assert (("expired", "pull/7") in world.story) == (0 < until <= world.now - 1_000)


@given(st.lists(st.tuples(ages, st.booleans()), min_size=1, max_size=40), st.data())
def test_a_controller_who_has_not_heard_yet_takes_nothing_from_an_operator(looks, data):
    """It decides by a look at the topic from before the operator's last act, and writes after it."""
    world, mine = World(), {}
    for age_s, acts in looks:
        heard = dict(world.in_force)
        if acts:
            kind, target = data.draw(
                st.sampled_from([("shed", "large"), ("pull", "7"), ("defer", "retract")])
            )
            record = Containment(kind, target, PULL, 0, "by hand", OPERATOR, world.now, 0)
            world.in_force[key_of(record)] = mine[kind, target] = record
        world.step(age_s, heard=heard)
        for kind, target in mine:
            assert held(world.in_force.get, kind, target, world.now) == mine[kind, target]


throttles = st.builds(
    Containment,
    kind=st.sampled_from([Kind.THROTTLE, Kind.THROTTLE, Kind.SHED]),
    target=st.sampled_from(["news", "web", "shop"]),
    author_class=st.just(PULL),
    rate_per_minute=st.just(0),
    cause=st.just(""),
    by=st.sampled_from([CONTROLLER, OPERATOR]),
    since=st.just(NOW),
    until=st.sampled_from([0, NOW - 1, NOW, NOW + 1]),
    bytes_per_second=st.sampled_from([1_000, 2_000]),
)
quotas = st.dictionaries(st.sampled_from(["news", "web", "other"]), st.sampled_from([1_000.0, 5.0]))


@given(st.lists(throttles, unique_by=key_of), quotas)
def test_the_quotas_of_the_broker_are_what_is_in_force_and_those_of_others_stay(records, known):
    changes = broker_quotas(records, known, NOW)

    after = {name: rate for name, rate in {**known, **changes}.items() if rate is not None}
    for name in ("news", "web", "shop", "other"):
        ours = [one for one in records if (one.kind, one.target) == (Kind.THROTTLE, name)]
        holding = sorted(
            (one.by != OPERATOR, one.bytes_per_second) for one in ours if one.until in (0, NOW + 1)
        )
        if holding:
            assert after[name] == holding[0][1]  # an operator's before the controller's
        elif ours:
            assert name not in after
        else:
            assert after.get(name) == known.get(name)
    assert broker_quotas(records, after, NOW) == {}


@given(st.sampled_from([None, 0.0, 7.9, 8.9, 9.0, 60.0]), st.sampled_from([None, 1.6, 1.79, 1.8]))
def test_nobody_is_looked_for_unless_it_makes_a_difference(age_s, small):
    seen = {"large": TierSample(age_s, 0), "small": TierSample(small, 0)}
    about = [dataclasses.replace(one, tier=tier) for one in HOT for tier in TIERS]

    with_them, without = (decide({}, seen, hot, TIERS, NOW) for hot in (about, []))
    assert asks_who(seen, TIERS) == (with_them != without)


samples = st.builds(
    TierSample,
    age_s=ages,
    pending=st.sampled_from([None, 0, 1_001, 10**6]),
    workers=st.sampled_from([None, 0, 1]),
    outage_s=st.sampled_from([0.0, 7.0, 100.0]),
)


@given(samples, samples, st.lists(st.tuples(ages, st.sampled_from([0, 1_001])), max_size=5))
def test_nobody_is_contained_for_what_a_dead_worker_does(large, small, before):
    """Nothing is started for a tier without a live worker, and what it had is not kept."""
    world = World()
    for age_s, pending in before:
        world.step(age_s, pending)
    had = dict(world.in_force)
    seen = {"large": large, "small": small}
    changes = decide(had, seen, [*HOT, Hot("small", Kind.PULL, "9", 1.0)], TIERS, world.now)

    for change in changes:
        if not change.over:
            assert seen[change.record.tier].workers != 0
    alone = {tier: one if one.workers == 0 else TierSample(0.0, 0) for tier, one in seen.items()}
    assert not asks_who(alone, TIERS)


@given(samples)
def test_what_a_tier_is_late_by_for_want_of_a_worker_does_not_count(large):
    """It is treated as one that is late by the rest."""
    less = None if large.age_s is None else max(large.age_s - large.outage_s, 0.0)
    rest = dataclasses.replace(large, age_s=less, outage_s=0.0)
    if large.outage_s and (less or 0) < 8:
        rest = dataclasses.replace(rest, pending=None)  # what piled up meanwhile

    changes, without = (decide({}, {"large": one}, HOT, TIERS, NOW) for one in (large, rest))
    assert changes == without


def test_a_queue_that_piled_up_without_a_worker_is_not_shed_but_one_that_grows_on_is():
    piled, growing = (TierSample(age_s, 5_000, 1, 60.0) for age_s in (61.0, 69.0))

    assert decide({}, {"large": piled}, HOT, TIERS, NOW) == []
    [*_, shed] = decide({}, {"large": growing}, (), TIERS, NOW)
    assert (shed.record.kind, shed.record.author_class) == ("shed", PULL)

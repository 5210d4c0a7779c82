"""How stages stand, from looks a second apart; and what a successor of the controller goes on from."""

from dataclasses import replace

import pytest

from pipeline import topology
from pipeline.control.health import Health, objective
from pipeline.control.lag import PartitionLag, StageLag
from pipeline.wire.codec import decode, encode
from pipeline.wire.records import Burn, ShardHealth, StageHealth

TOPOLOGY = topology.load()
START_MS = 1_767_225_600_000


def partition(number, committed, lag, age=0.0):
    return PartitionLag("fanout.small", number, committed, committed + lag, lag, None, age)


def unread(number):
    return PartitionLag("fanout.small", number, None, None, None)


def small(*partitions):
    """The tier `small`, whose budget is 2 s."""
    return StageLag("fanout.small", "tideline.fanout.small", 2.0, partitions)


def watch(health, seconds, look, start=0):
    """What is said last of so many looks, a second apart; `look(second)` is the tier then."""
    for second in range(start, start + seconds):
        [said] = health.seen([look(second)], START_MS + second * 1000)
    return said


def test_a_stage_says_what_was_seen_of_it():
    health = Health(TOPOLOGY, pending=lambda stage: stage.lag and stage.lag * 1000)

    said = watch(health, 1, lambda _: small(partition(0, 5, 3, 1.5), partition(1, 9, 0)))

    assert said == StageHealth(
        stage="fanout.small",
        status="UNKNOWN",
        lag=3,
        pending=3000,
        age_s=1.5,
        lag_budget_s=2.0,
        burn=tuple(Burn(window, None) for window in (300, 1800, 3600, 7200, 21600, 86400, 259200)),
        alert="",
        shards=(
            ShardHealth("fanout.small", 0, "UNKNOWN", 3, 1.5),
            ShardHealth("fanout.small", 1, "OK", 0, 0.0),
        ),
        at=START_MS,
        since=START_MS,
    )
    assert decode(encode(said), StageHealth) == said


def test_a_stage_takes_the_word_of_its_worst_partition():
    """One goes on, one stands still, one cannot be read."""
    said = watch(Health(TOPOLOGY), 12, lambda n: small(partition(0, n, 0), partition(1, 5, 3), unread(2)))

    assert [shard.status for shard in said.shards] == ["OK", "STALL", "UNKNOWN"]
    assert (said.status, said.lag) == ("STALL", 3)


def test_a_stage_that_cannot_be_read_is_unknown_and_none_of_it_is_0():
    said = watch(Health(TOPOLOGY), 300, lambda _: small(unread(0), unread(1)))

    assert (said.status, said.lag, said.age_s, said.alert) == ("UNKNOWN", None, None, "")
    assert {one.rate for one in said.burn} == {None}


def test_a_budget_that_stays_broken_pages():
    """5 minutes and an hour are always late; half of the hour has been seen after 29 minutes and a second."""
    late = lambda _: small(partition(0, 5, 3, 2.1))  # noqa: E731
    health = Health(TOPOLOGY)

    assert watch(health, 29 * 60, late).alert == ""
    assert watch(health, 61, late, start=29 * 60).alert == "page"


def test_an_age_at_the_budget_is_in_time():
    said = watch(Health(TOPOLOGY), 300, lambda _: small(partition(0, 5, 3, 2.0)))

    assert said.burn[0] == Burn(300, 0.0)


@pytest.mark.parametrize(("age", "rate"), [(2.1, pytest.approx(100)), (1.9, None)])
def test_late_is_known_from_one_partition_and_in_time_only_from_all(age, rate):
    said = watch(Health(TOPOLOGY), 300, lambda _: small(partition(0, 5, 3, age), unread(1)))

    assert said.burn[0].rate == rate


def test_a_stage_without_a_budget_burns_none():
    said = watch(Health(TOPOLOGY), 1, lambda _: replace(small(partition(0, 5, 3)), lag_budget_s=None))

    assert (said.burn, said.alert) == ((), "")


def test_a_repair_may_stand_still_within_its_budget():
    """It waits on purpose; 300 s are its budget in the shipped topology."""
    look = lambda _: replace(small(partition(0, 5, 3)), stage="backfill", lag_budget_s=300.0)  # noqa: E731
    health = Health(TOPOLOGY)

    assert watch(health, 301, look).status == "WARN"
    assert watch(health, 1, look, start=301).status == "STALL"


def test_a_topic_that_was_made_anew_is_judged_anew():
    """Lag grew until its offsets went back to the beginning, and nothing did go back."""
    health = Health(TOPOLOGY)

    assert watch(health, 10, lambda n: small(partition(0, 50 + n, 1 + n))).status == "WARN"
    assert watch(health, 1, lambda _: small(partition(0, 0, 2)), start=10).status == "UNKNOWN"


def stopped(n):
    """It commits for 5 s, and then no more."""
    return small(partition(0, min(n, 5), 40, 9.0))


def test_a_successor_goes_on_from_words_and_rates():
    """A controller is killed after half an hour; another acts 12 s later and knows what it knew."""
    before = watch(Health(TOPOLOGY), 1801, stopped)
    successor = Health(TOPOLOGY)
    successor.restore([before])

    after = watch(successor, 1, stopped, start=1812)

    assert (before.status, before.alert) == ("STOP", "page")
    assert (after.status, after.alert) == ("STOP", "page")
    assert [one.rate for one in after.burn] == pytest.approx([one.rate for one in before.burn])


def test_a_stage_says_since_when_it_has_its_word():
    """It keeps up for 20 s, then commits for 5 s more and stops: its window is well until it is a STOP."""
    health = Health(TOPOLOGY)

    said = [watch(health, 1, lambda n: small(partition(0, n, 0)), start=n) for n in range(20)]
    said += [watch(health, 1, lambda n: small(partition(0, min(n, 25), 40)), start=n) for n in range(20, 60)]

    words = dict.fromkeys((one.status, one.since) for one in said)
    first = {word: next(one.at for one in said if one.status == word) for word, _ in words}
    assert [word for word, _ in words] == ["OK", "STOP"]
    assert [since for _, since in words] == [START_MS, first["STOP"]]


def test_a_word_that_comes_back_begins_anew():
    health = Health(TOPOLOGY)
    lags = [0, None, 0, 0]

    said = [
        watch(health, 1, lambda _: small(unread(0) if lag is None else partition(0, 5, lag)), start=n)  # noqa: B023
        for n, lag in enumerate(lags)
    ]

    assert [(one.status, one.since - START_MS) for one in said] == [
        ("OK", 0),
        ("UNKNOWN", 1000),
        ("OK", 2000),
        ("OK", 2000),
    ]


def test_a_successor_goes_on_from_since_when_it_has_been_so():
    """Though what its predecessor saw stop, and called a STOP, is a STALL to who has never seen it move."""
    before = watch(Health(TOPOLOGY), 1801, stopped)
    successor = Health(TOPOLOGY)
    successor.restore([decode(encode(before), StageHealth)])

    looks = range(START_MS + 1_812_000, START_MS + 1_842_000, 1_010)  # a look takes its time, too
    after = [one for at in looks for one in successor.seen([stopped(99)], at)]

    assert START_MS < before.since < before.at
    assert [one.status for one in (after[0], after[-1])] == ["STOP", "STALL"]
    assert {one.since for one in after} == {before.since}


@pytest.mark.parametrize(("gap", "kept"), [(60, True), (61, False)])
def test_since_when_is_taken_over_with_the_word_and_no_later(gap, kept):
    """Nobody knows what was in between; of a predecessor that did not say it, nothing is known either."""
    idle = lambda _: small(partition(0, 5, 0))  # noqa: E731
    before = watch(Health(TOPOLOGY), 100, idle)
    successor, of_old = Health(TOPOLOGY), Health(TOPOLOGY)
    successor.restore([before])
    of_old.restore([replace(before, since=0)])

    after, anew = (watch(one, 1, idle, start=99 + gap) for one in (successor, of_old))

    assert before.since == START_MS
    assert after.since == (START_MS if kept else after.at)
    assert anew.since == anew.at


def test_a_word_of_long_ago_is_not_taken_and_rates_are():
    before = watch(Health(TOPOLOGY), 1801, stopped)
    successor = Health(TOPOLOGY)
    successor.restore([before])

    after = watch(successor, 1, stopped, start=1801 + 60)

    assert after.status == "UNKNOWN"
    assert after.burn[2].rate == pytest.approx(100)


def test_what_a_predecessor_of_another_version_says_does_no_harm():
    """A word, a stage and a partition that this version does not know."""
    odd = StageHealth(
        "fanout.small", "LOST", 1, None, 1.0, 2.0, (), "", (ShardHealth("x", 7, "LOST", 1, 1.0),), START_MS
    )
    health = Health(TOPOLOGY)
    health.restore([odd, replace(odd, stage="fanout.huge")])

    assert watch(health, 1, lambda _: small(partition(0, 5, 0))).status == "OK"


def test_objectives_are_those_of_the_tiers():
    tiers = {name: tier.model_copy(update={"objective": 0.95}) for name, tier in TOPOLOGY.tiers.items()}

    assert objective(replace(TOPOLOGY, tiers=tiers), "fanout.large") == 0.95
    assert objective(TOPOLOGY, "retract") == 0.99


def without_worker(*partitions):
    return replace(small(*partitions), workers=0)


def test_a_stage_without_a_live_worker_is_a_stop_also_when_nothing_waits():
    said = watch(Health(TOPOLOGY), 1, lambda _: without_worker(partition(0, 5, 0), partition(1, 9, 0)))

    assert (said.status, said.workers) == ("STOP", 0)
    assert {shard.status for shard in said.shards} == {"OK"}


def test_how_long_a_stage_had_no_worker_counts_from_its_last_commit_until_it_has_caught_up():
    """It was killed at second 5 and left its group at 15; at 45 a worker is back, at 60 nothing waits."""

    def look(second):
        stage = small(partition(0, 5, 3 * (second >= 5), max(second - 5.0, 0.0)))
        if second >= 60:
            return replace(small(partition(0, 8, 0)), workers=1)
        return replace(stage, workers=0 if 15 <= second < 45 else 1)

    health = Health(TOPOLOGY)
    assert watch(health, 15, look).outage_s == 0
    assert watch(health, 1, look, start=15).outage_s == 10
    assert watch(health, 30, look, start=16).outage_s == 40
    assert watch(health, 15, look, start=46).outage_s == 0


def test_a_successor_goes_on_with_an_outage_that_its_predecessor_saw():
    health = Health(TOPOLOGY)
    left = watch(health, 10, lambda n: without_worker(partition(0, 5, 3, n + 100.0)))
    after = Health(TOPOLOGY)
    after.restore([decode(encode(left), StageHealth)])

    said = watch(after, 1, lambda n: replace(small(partition(0, 5, 3, n + 100.0)), workers=1), start=15)
    assert (left.outage_s, said.outage_s) == (109.0, 115.0)

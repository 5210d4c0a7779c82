"""`tideline replay`: what it says it would do, and that a stage is back at work whatever goes wrong."""

import pytest

from pipeline import topology
from pipeline.errors import ConfigError, EngineError, TidelineError
from pipeline.ops.replay import Target, plan, refuse_strangers, replay

TARGET = Target("classify", "tideline.classify", ("posts",), 10, 0)
LOADED = topology.load(profile="small-graph")


class Broker:
    """Offsets as a broker gives them: by topic, the first and the next record, and where the group stands."""

    def __init__(self, **topics):
        self.topics = {name.replace("_", "."): bounds for name, bounds in topics.items()}

    def _of(self, places, number):
        return {place: self.topics[place[0]][number] for place in places if place[0] in self.topics}

    def begins(self, places):
        return self._of(places, 0)

    def ends(self, places):
        return self._of(places, 1)

    def committed(self, groups):
        return {
            (group, place): at
            for group, places in groups.items()
            for place, at in self._of(places, 2).items()
        }


class Groups:
    """A group that has members for so many looks, and may refuse to be moved; `journal` is shared."""

    def __init__(self, journal, *, looks=0, refusal=None):
        self.journal, self.looks, self.refusal = journal, looks, refusal

    def has_members(self, group):
        self.looks -= 1
        return self.looks >= 0

    def rewind(self, group, topics):
        if self.refusal is not None:
            raise self.refusal
        self.journal.append(("rewind", group, *topics))


def orders(journal, *, failing=()):
    def order(verb, stage):
        if verb in failing:
            raise TidelineError(f"{verb} failed")
        journal.append((verb, stage))

    return order


def test_all_is_every_stage_that_writes_tables_in_path_order():
    """The query stage answers requests: nobody waits for an answer to an old one."""
    found = [target.stage for target in plan(LOADED, Broker(), [])]

    tiers = [f"fanout.{name}" for name in LOADED.tiers]
    before = ["graph", "readers", "counters", "moderation", "classify"]
    assert found == [*before, *tiers, "backfill", "retract"]


def test_named_stages_come_in_path_order_also_the_query():
    found = plan(LOADED, Broker(), ["query", "fanout.small", "graph"])

    assert [target.stage for target in found] == ["graph", "fanout.small", "query"]


@pytest.mark.parametrize("name", ["api", "nonsense"])
def test_what_reads_no_topic_in_a_group_cannot_be_replayed(name):
    with pytest.raises(ConfigError, match=f"no stage {name} to replay"):
        plan(LOADED, Broker(), ["graph", name])


@pytest.mark.parametrize(
    ("bounds", "again", "waiting"),
    [
        ((5, 20, 15), 10, 5),
        ((5, 20, None), 0, 15),  # never committed
        ((5, 20, 3), 0, 15),  # retention has passed it
        ((5, 20, 25), 0, 15),  # no longer there: it begins anew, as `lag` says
        ((5, 5, 5), 0, 0),
    ],
)
def test_the_records_that_are_there_are_counted(bounds, again, waiting):
    """In each of the four partitions: what the group has done, and what it has not."""
    (target,) = plan(LOADED, Broker(posts=bounds), ["classify"])

    assert (target.again, target.waiting, target.rows_at_most) == (4 * again, 4 * waiting, None)


def test_what_cannot_be_read_is_unknown_and_not_0():
    """Also when only one of a stage's topics is."""
    (target,) = plan(LOADED, Broker(accounts=(0, 5, 5)), ["readers"])

    assert (target.again, target.waiting) == (None, None)


@pytest.mark.parametrize(("tier", "most"), [("small", 50), ("medium", 300), ("large", 1_000)])
def test_a_task_writes_one_segment_at_most_and_no_more_than_the_tiers_audience(tier, most):
    (target,) = plan(LOADED, Broker(**{f"fanout_{tier}": (0, 3, 2)}), [f"fanout.{tier}"])

    assert target.rows_at_most == 8 * 3 * most


def test_a_stage_is_stopped_moved_and_started():
    """Not moved before the last member has left the group."""
    journal = []

    replay(TARGET, Groups(journal, looks=3), orders(journal))

    assert journal == [
        ("stop", "classify"),
        ("rewind", "tideline.classify", "posts"),
        ("start", "classify"),
    ]


def test_without_workers_of_ours_the_group_is_only_moved():
    journal = []

    replay(TARGET, Groups(journal), None)

    assert journal == [("rewind", "tideline.classify", "posts")]


@pytest.mark.parametrize(
    "error", [EngineError("no", "look there"), RuntimeError("a bug"), KeyboardInterrupt()]
)
def test_a_stage_whose_group_cannot_be_moved_is_started_again(error):
    """Whatever the reason, an interrupt too."""
    journal = []

    with pytest.raises(type(error)):
        replay(TARGET, Groups(journal, refusal=error), orders(journal))

    assert journal == [("stop", "classify"), ("start", "classify")]


def test_the_failure_says_what_became_of_the_data():
    with pytest.raises(EngineError) as failed:
        replay(TARGET, Groups([], refusal=EngineError("no", "look there")), orders([]))

    assert failed.value.message == (
        "classify was not replayed: no; it goes on where it was, and nothing is lost: what was not acknowledged"
        " comes again"
    )
    assert failed.value.hint == "look there"


def test_members_that_do_not_leave_are_refused_and_the_stage_goes_on():
    """Workers of somebody else, in the same group."""
    journal = []

    with pytest.raises(EngineError, match="still has members"):
        replay(TARGET, Groups(journal, looks=10_000), orders(journal), leaving_s=0.05)

    assert journal == [("stop", "classify"), ("start", "classify")]


@pytest.mark.parametrize("refusal", [None, EngineError("no")])
def test_a_stage_that_does_not_start_again_is_named_with_the_command_that_starts_it(refusal):
    with pytest.raises(EngineError, match="its workers were not started again") as failed:
        replay(TARGET, Groups([], refusal=refusal), orders([], failing=["start"]))

    assert failed.value.hint == "tideline stage start classify"


def test_groups_that_strangers_work_in_are_named():
    with pytest.raises(EngineError, match=r"active in tideline\.classify$") as refused:
        refuse_strangers([TARGET], Groups([], looks=1))

    assert "tideline worker classify" in refused.value.hint
    refuse_strangers([TARGET], Groups([]))

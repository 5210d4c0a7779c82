"""What `tideline offsets reset` says it would do, and what it refuses."""

import pytest

from pipeline import topology
from pipeline.control.task_weights import READ, Weight, drain_s, weigh
from pipeline.domain.offset_reset import ShiftBy, ToEarliest, ToLatest, ToOffset, ToTime
from pipeline.errors import ConfigError, EngineError, TidelineError
from pipeline.kafka.messages import Incoming
from pipeline.ops.offsets_plan import Position, consumer_of, places_of, plan, standing
from pipeline.ops.offsets_reset import execute, lost, refuse_active, refuse_skipping
from pipeline.wire.codec import encode
from pipeline.wire.records import AuthorClass, FanoutTask

LOADED = topology.load(profile="small-graph")
LARGE, CLASSIFY = consumer_of(LOADED, "fanout.large"), consumer_of(LOADED, "classify")
INBOX = LOADED.of("notifications")


def task(deliveries, first=0, last=0):
    return encode(FanoutTask(1, 2, AuthorClass.PUSH, first, last, 0, deliveries))


class Reader:
    """Records by partition, from offset 0 on; a record of value n is of time n. `read`: how many were."""

    def __init__(self, **values):
        self.values = {("fanout.large", int(name[1:])): of for name, of in values.items()}
        self.read = 0

    def messages(self, spans):
        for place, (start, end) in spans.items():
            for offset in range(start, end):
                self.read += 1
                yield Incoming(*place, offset, b"", self.values[place][offset], (), 0)

    def at_time(self, partitions):
        return {place: None if at > 99 else at for place, at in partitions.items()}


def at(partition, begin, end, committed, topic="fanout.large"):
    return Position(topic, partition, begin, end, committed)


def planned(reset, *positions, reader=None, row_s=None, consumer=LARGE):
    return plan(LOADED, consumer, reset, positions, reader or Reader(p0=[task(10)] * 100), row_s)


def test_back_is_what_is_processed_again_and_what_it_delivers():
    made = planned(ShiftBy(-3), at(0, 0, 10, 8), reader=Reader(p0=[task(n) for n in range(1, 11)]))

    (move,) = made.moves
    assert (move.new, move.direction, made.again, made.skipped, made.waiting) == (5, "back", 3, 0, 5)
    assert made.deliveries == Weight(6 + 7 + 8)
    assert made.writes == Weight(6 + 7 + 8 + 9 + 10)


def test_forward_is_what_is_never_processed():
    made = planned(ShiftBy(1), at(0, 0, 10, 8), reader=Reader(p0=[task(n) for n in range(1, 11)]))

    (move,) = made.moves
    assert (move.direction, made.again, made.skipped, made.waiting) == ("forward", 0, 1, 1)
    assert (made.deliveries, made.writes) == (Weight(9), Weight(10))


def test_partitions_may_move_in_different_directions():
    made = planned(
        ToOffset(5),
        at(0, 0, 10, 8),
        at(1, 0, 10, 2),
        at(2, 0, 10, 5),
        reader=Reader(**{f"p{number}": [task(10)] * 10 for number in range(3)}),
    )

    assert [move.direction for move in made.moves] == ["back", "forward", "stays"]
    assert (made.again, made.skipped, made.deliveries) == (3, 3, Weight(60))


@pytest.mark.parametrize(
    ("reset", "new"), [(ToEarliest(), 2), (ToLatest(), 10), (ToTime(7), 7), (ToTime(1), 2), (ToTime(100), 10)]
)
def test_each_word_finds_its_place(reset, new):
    (move,) = planned(reset, at(0, 2, 10, 5)).moves

    assert move.new == new


def test_a_group_that_never_committed_stands_at_the_beginning():
    made = planned(ToEarliest(), at(0, 3, 10, None))

    assert (made.moves[0].direction, made.waiting) == ("stays", 7)


def test_of_many_tasks_some_are_read_and_the_rest_counts_as_they_do():
    reader = Reader(p0=[task(7)] * (READ * 3))

    weight = weigh(reader, {("fanout.large", 0): (0, READ * 3)}, 1000)[("fanout.large", 0)]

    assert weight == Weight(7 * READ * 3, estimated=True)
    assert reader.read == READ


@pytest.mark.parametrize(
    ("value", "weight"),
    [
        (task(5), Weight(5)),
        (task(0), Weight(1000, estimated=True)),
        (task(0, 3, 5), Weight(3000, estimated=True)),
        (b"garbage", Weight(0)),
    ],
)
def test_a_task_that_does_not_say_counts_as_full_segments(value, weight):
    """Tasks of before tasks said what they weigh; what is no task delivers nothing."""
    assert weigh(Reader(p0=[value]), {("fanout.large", 0): (0, 1)}, 1000) == {("fanout.large", 0): weight}


def test_the_drain_time_is_between_batches_that_overlap_and_batches_that_take_turns():
    """One worker of four batches; 10,000 rows of 0.4 ms."""
    tier = LOADED.tiers["large"]
    made = planned(ToEarliest(), at(0, 0, 100, 100), reader=Reader(p0=[task(100)] * 100), row_s=0.0004)

    assert (tier.workers, tier.in_flight) == (1, 4)
    assert made.drain_s == drain_s(10_000, 0.0004, tier) == pytest.approx((1.0, 4.0))
    assert planned(ToEarliest(), at(0, 0, 100, 100)).drain_s is None


def test_stages_that_do_not_fan_out_have_no_deliveries():
    made = planned(ToEarliest(), at(0, 0, 10, 8, "posts"), consumer=CLASSIFY, row_s=1.0)

    assert (made.again, made.deliveries, made.writes, made.drain_s) == (8, None, None, None)


def test_the_document_has_null_for_what_is_unknown_and_never_0():
    said = planned(ToEarliest(), at(0, 0, 10, 8, "posts"), consumer=CLASSIFY).document()

    assert {name for name, value in said.items() if value is None} == {
        "deliveries",
        "expected_writes",
        "drain_seconds",
    }
    assert said["partitions"] == [
        {
            "topic": "posts",
            "partition": 0,
            "begin": 0,
            "end": 10,
            "committed": 8,
            "current": 8,
            "new": 0,
            "direction": "back",
            "records": 8,
            "deliveries": None,
        }
    ]


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        (
            [],
            [
                (topic, n)
                for topic in ("accounts", "notifications.activity", "notifications.reader.marks")
                for n in range(4)
            ],
        ),
        (["accounts"], [("accounts", n) for n in range(4)]),
        (["activity:2,0"], [("notifications.activity", 0), ("notifications.activity", 2)]),
        (["notifications.activity:3", "accounts:1"], [("notifications.activity", 3), ("accounts", 1)]),
    ],
)
def test_partitions_are_named_as_kafkas_own_tool_has_them(wanted, places):
    """Topics as the code calls them, or as Kafka does."""
    assert places_of(INBOX, consumer_of(INBOX, "readers"), wanted) == places


@pytest.mark.parametrize("wanted", ["posts", "accounts:4", "accounts:0,x", "accounts:0,,1", "accounts:-1"])
def test_partitions_that_a_stage_does_not_read_are_refused(wanted):
    with pytest.raises(ConfigError, match="does not read that") as refused:
        places_of(INBOX, consumer_of(INBOX, "readers"), ["accounts", wanted])

    assert (
        refused.value.hint
        == "it reads accounts (0-3), notifications.activity (0-3), notifications.reader.marks (0-3)"
    )


@pytest.mark.parametrize("stage", ["api", "nonsense", "auditor"])
def test_a_stage_without_a_group_is_refused_by_name(stage):
    with pytest.raises(ConfigError, match=f"no stage {stage}"):
        consumer_of(LOADED, stage)


class Offsets:
    """Answers but for one question."""

    def __init__(self, silent=""):
        self.silent = silent

    def committed(self, groups):
        return {} if self.silent == "committed" else {(g, p): 1 for g, ps in groups.items() for p in ps}

    def begins(self, places):
        return {} if self.silent == "begins" else dict.fromkeys(places, 0)

    def ends(self, places):
        return {} if self.silent == "ends" else dict.fromkeys(places, 2)


@pytest.mark.parametrize("silent", ["committed", "begins", "ends"])
def test_nobody_moves_what_they_do_not_see(silent):
    places = CLASSIFY.places[:1]
    assert standing(CLASSIFY, places, Offsets()) == [at(0, 0, 2, 1, "posts")]

    with pytest.raises(EngineError, match="does not say where posts 0 is"):
        standing(CLASSIFY, places, Offsets(silent))


class Groups:
    def __init__(self, active=False):
        self.active, self.moved = active, []

    def has_members(self, group):
        return self.active

    def move(self, group, to):
        self.moved.append((group, to))


def test_an_active_group_is_refused_with_what_to_do():
    made = planned(ToEarliest(), at(0, 0, 10, 8))

    with pytest.raises(EngineError, match=r"tideline\.fanout\.large is active") as refused:
        refuse_active(made, "feed/fanout.large", Groups(active=True))

    assert "`tideline stage stop feed/fanout.large` first" in refused.value.hint
    refuse_active(made, "fanout.large", Groups())


def test_skipping_is_refused_with_what_readers_would_lack():
    made = planned(ToLatest(), at(0, 0, 10, 8))

    with pytest.raises(
        TidelineError, match=r"2 tasks \(20 deliveries\) would never be processed: readers would"
    ) as no:
        refuse_skipping(made)

    assert "--skip-records" in no.value.hint
    refuse_skipping(planned(ToEarliest(), at(0, 0, 10, 8)))


def test_what_is_skipped_is_called_what_it_is():
    posts = planned(ToLatest(), at(0, 0, 10, 8, "posts"), consumer=CLASSIFY)
    about = planned(ToLatest(), at(0, 0, 1, 0), reader=Reader(p0=[task(0)]))

    assert lost(posts).startswith("2 posts would never")
    assert lost(about).startswith("1 tasks (about 1,000 deliveries) would never")


def test_the_group_is_moved_to_where_the_plan_says():
    groups = Groups()

    execute(
        planned(
            ToOffset(4), at(0, 0, 10, 8), at(1, 5, 10, 7), reader=Reader(p0=[task(1)] * 10, p1=[task(1)] * 10)
        ),
        groups,
    )

    assert groups.moved == [(LARGE.group, {("fanout.large", 0): 4, ("fanout.large", 1): 5})]

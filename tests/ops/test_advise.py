"""`tideline advise`: stretches of topics weighed as work, and a stage seen on a real Kafka."""

import threading
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer, Producer

from pipeline.cli import _advice_shown as shown
from pipeline.domain.capacity import Load, advise
from pipeline.kafka.messages import Incoming
from pipeline.ops.advise import StageSample, WorkRate, _busy, _Look, _speed, seen
from pipeline.ops.advise_work import READ, Piece, Stretch, stretch, unit_of
from pipeline.wire.codec import encode
from pipeline.wire.records import AuthorClass, CostSample, FanoutTask
from tests.control.test_lag import Bench, now_ms
from tests.waiting import eventually

STAGE = "fanout.large"
P0, P1 = ("fanout.large", 0), ("fanout.large", 1)


def task(first, last, deliveries=0):
    return encode(FanoutTask(9, 7, AuthorClass.PUSH, first, last, 0, deliveries))


class Recorded:
    """In the place of `Spans`: messages as they were put, from their offset on."""

    def __init__(self, *messages):
        self.held = [
            Incoming(topic, partition, offset, b"7", value, [("ce_source", b"tideline/" + source)], 5)
            for (topic, partition), offset, value, source in messages
        ]

    def messages(self, between):
        for one in self.held:
            start, end = between[one.topic, one.partition]
            if start <= one.offset < end:
                yield one


def test_a_range_of_segments_is_work_of_which_its_record_does_one():
    reader = Recorded((P0, 0, task(0, 3, 4_000), b"classify"), (P1, 0, task(4, 4, 500), b"classify"))

    found = stretch(reader, {P0: (0, 1), P1: (0, 1)}, STAGE)

    assert (found.total, found.weighed) == (2, True)
    assert (found.fresh("segments"), found.done("segments")) == (5, 2)
    assert (found.fresh("deliveries"), found.done("deliveries")) == (4_500, 1_500)
    assert found.by_partition("deliveries") == (1_000 + 1_500, 500 + 1_500)  # three rests go anywhere


def test_what_a_writer_sent_on_did_not_arrive_but_waits():
    reader = Recorded((P0, 0, task(1, 3, 3_000), b"fanout.large"), (P0, 1, task(0, 0, 10), b"classify"))

    found = stretch(reader, {P0: (0, 2)}, STAGE)

    assert (found.fresh("segments"), sum(found.by_partition("segments"))) == (1, 4)


def test_tasks_that_do_not_say_what_they_weigh_are_counted_in_segments():
    known = stretch(Recorded((P0, 0, task(0, 0, 10), b"classify")), {P0: (0, 1)}, STAGE)
    unknown = stretch(Recorded((P0, 0, task(0, 0), b"classify")), {P0: (0, 1)}, STAGE)

    assert unit_of([known], tier=True) == "deliveries"
    assert unit_of([known, unknown], tier=True) == "segments"
    assert unit_of([known], tier=False) == "records"


def test_bytes_that_are_no_task_are_work_too():
    found = stretch(Recorded((P0, 0, b"\x00garbage", b"stranger")), {P0: (0, 1)}, STAGE)

    assert found.pieces[P0] == [Piece(1, 0, False)]


def test_what_lies_behind_the_records_that_were_read_is_taken_to_be_like_them():
    found = Stretch({P0: 2 * READ, P1: 0}, {P0: [Piece(2, 20)] * READ})

    assert found.estimated
    assert found.fresh("deliveries") == 2 * READ * 20
    assert sum(found.by_partition("segments")) == 2 * READ * 2


def test_records_of_other_stages_are_not_read():
    found = stretch(None, {P0: (10, 13), P1: (5, 5)}, "classify")

    assert (found.total, found.by_partition("records"), found.fresh("records")) == (3, (3, 0), 3)


def looks(*committed, end=1_000):
    """One every quarter of a second."""
    return [_Look(number / 4, {P0: at}, {P0: end}) for number, at in enumerate(committed)]


def test_lumps_of_commits_are_measured_from_one_to_another():
    """
    ::

        looks      0    0    64   64   64   64   128  128  128  128  192
                             └────────── 128 in two seconds ──────────┘
        first and last look alone: 192 in 2.5 s, a fifth too many
    """
    assert _speed(looks(0, 0, 64, 64, 64, 64, 128, 128, 128, 128, 192)) == 64
    assert _speed(looks(0, 0, 64, 64, 128)) == 0


def test_a_worker_that_ran_dry_is_not_measured():
    assert _busy(looks(0, 50, 100, 150))
    assert not _busy(looks(0, 50, 100, 150, end=160))


@pytest.fixture
def path(engines):
    """All topics there, all empty."""
    made = Bench(engines.kafka)
    made.create()
    with made.offsets:
        yield made


@contextmanager
def worker(path, every_s):
    """A member of the tier's group that commits a record at a time, `every_s` apart."""
    over = threading.Event()

    def work():
        consumer = Consumer(
            {
                "bootstrap.servers": path.kafka,
                "group.id": path.name("tideline.fanout.large"),
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        consumer.subscribe([path.name(STAGE)])
        while not over.is_set():
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                over.wait(every_s)
                consumer.commit(message, asynchronous=False)
        consumer.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def put(path, topic, *values, source=b"classify"):
    producer = Producer({"bootstrap.servers": path.kafka})
    for number, value in enumerate(values):
        producer.produce(
            path.name(topic), value, partition=number % 2, headers=[("ce_source", b"tideline/" + source)]
        )
    assert producer.flush(30) == 0


def looked(path, seconds=1.0, cpus=None):
    heard = []
    found = seen(
        path.kafka,
        path.topology,
        seconds=seconds,
        over_s=60,
        within_s=1,
        now_ms=now_ms(),
        cpus_in_use=lambda: cpus,
        told=heard.append,
    )
    assert heard[-1] == seconds
    return {one.stage: one for one in found}


def test_a_tier_is_seen_with_what_waits_what_arrives_and_what_a_worker_does(path):
    put(path, STAGE, *(task(0, 0, 100) for _ in range(600)))

    with worker(path, 0.02):
        eventually(lambda: (path.stage(STAGE).partitions[0].committed or 0) > 0, 30)
        found = looked(path, 3.0)[STAGE]

    assert (found.workers, found.partitions, found.unit, found.source) == (1, 2, "deliveries", "measured")
    assert 20 < found.moved.records < 50  # at most one each 20 ms
    assert found.service == pytest.approx(found.moved.records * 100)
    assert sum(found.backlog_units) == found.backlog * 100
    assert found.arrives == WorkRate(0, 0)
    assert found.arrived.units == pytest.approx(600 * 100 / 60, rel=0.2)
    assert found.advice.options[0].seconds == pytest.approx(sum(found.backlog_units) / found.service)


def test_without_a_worker_the_measured_cost_of_a_row_is_gone_by(path):
    put(path, STAGE, *(task(0, 0, 100) for _ in range(10)))
    nothing = looked(path)[STAGE]
    put(path, "costs", encode(CostSample(f"row_seconds@{STAGE}", 0.01, 5)))

    found = looked(path)[STAGE]

    assert (nothing.service, nothing.advice) == (None, None)
    assert shown.document(nothing, "start it")["says"] == ["no live worker, 10 records wait: start it"]
    assert (found.service, found.source, found.workers) == (100, "cost", 0)
    assert [one.seconds for one in found.advice.options] == [10, 5]


def test_every_stage_is_seen_and_one_with_nothing_to_do_says_so(path):
    put(path, "posts", b"x")

    found = looked(path)

    assert {"graph", "classify", "backfill", "fanout.small", "query"} <= set(found)
    assert (found["classify"].backlog, found["classify"].unit) == (1, "records")
    said = list(shown.lines(found["classify"], 60, "start it"))
    assert said[0] == "classify: no live worker, 1 records wait: start it"
    assert not any("nothing to go by" in line for line in said)


def overload(**changes):
    load = Load((600.0,) * 4, 0, 10, 1, changes.get("headroom"))
    given = {
        "stage": STAGE,
        "lag_budget_s": 30.0,
        "unit": "segments",
        "workers": 1,
        "partitions": 4,
        "arrives": WorkRate(0, 0),
        "arrived": WorkRate(40, 40),
        "moved": WorkRate(10, 10),
        "service": 10.0,
        "source": "measured",
        "backlog": 2_400,
        "backlog_units": (600.0,) * 4,
        "estimated": False,
        "headroom": None,
        "advice": advise(load, 50, 30.0),
    }
    return StageSample(**given | changes)


def test_the_sums_are_written_out():
    assert list(shown.lines(overload(), 60, None)) == [
        "fanout.large: 1 worker on 4 partitions",
        "  arrives   0.0 records/s, 0.0 segments/s; in the last 60 s 40.0 records/s, 40.0 segments/s",
        "  done      10.0 records/s, 10.0 segments/s",
        "  a worker  10.0 segments/s, as it did in the sample",
        "  waits     2,400 records, 2,400 segments",
        "  drains    with 1 worker, all 4 partitions: 2,400 / (10.0/s - 0.0/s) = 240.0 s",
        "  drains    with 2 workers, 2 of 4 partitions: 1,200 / (10.0/s - 0.0/s) = 120.0 s",
        "  drains    with 4 workers, 1 of 4 partitions: 600 / (10.0/s - 0.0/s) = 60.0 s",
        "  advice    4 workers (tiers.yaml: large.workers): it drains in 60 s",
        "  advice    5 partitions, a worker each, next time; what waits now stays where it is",
        "  advice    a burst like this one holds a lag_budget of 60 s, not of 30 s",
    ]


def test_a_machine_without_room_for_more_says_so():
    document = shown.document(overload(headroom=1.0), None)

    assert document["advice"]["workers"] is None
    assert [one["workers"] for one in document["drains"]] == [1]
    assert any("CPUs are in use" in said for said in document["says"])


def test_a_stage_without_a_live_worker_says_that_first_and_then_what_its_workers_would_do():
    dead = overload(workers=0, source="cost")

    assert next(shown.lines(dead, 60, "tideline stage start fanout.large")) == (
        "fanout.large: no live worker, 2,400 records wait: tideline stage start fanout.large"
    )
    assert shown.document(dead, "tideline status")["next"] == "tideline status"
    idle = overload(workers=0, backlog=0, backlog_units=(0.0,) * 4, advice=None, service=None)
    assert list(shown.lines(idle, 60, "tideline status")) == ["fanout.large: no live worker: tideline status"]

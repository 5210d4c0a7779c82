"""Costs: what is measured, and how it is told."""

import asyncio
from contextlib import suppress

import pytest

from pipeline.control.costs import SETTLED_S, SPAN_S, MeanCost, MeasuredTimelines, ReadRate, tell
from pipeline.domain.cost import COLD
from pipeline.kafka.emit import Emit
from pipeline.store.memory import memory_stores
from pipeline.store.values import Push, TimelineEntry
from pipeline.wire.codec import decode
from pipeline.wire.records import CostSample
from tests import exported
from tests.stages.fakes import Fault, RecordingOutbox
from tests.twin import Clock
from tests.waiting import eventually_async


def test_a_mean_is_unknown_before_the_first_unit_that_counts():
    """What a process begins with does not, and a push that wrote nothing measures nothing."""
    cost = MeanCost(memory=1_000)
    cost.observe(30.0, COLD)
    cost.observe(3.0, 0)

    assert cost() is None
    cost.observe(3.0, 2)
    assert cost() == 1.5


def test_a_rate_of_reads_is_told_once_it_has_settled():
    """Two readers, six pages in the first minute: a page each twenty seconds."""
    clock = Clock()
    rate = ReadRate(clock.monotonic_s)
    for reader in (1, 2, 1, 1, 2, 2):
        rate.saw(reader)

    clock.now += 1000 * (SETTLED_S - 1)
    assert rate() is None
    clock.now += 1000
    assert rate() == pytest.approx(1 / 20)


def test_the_longer_the_span_the_truer_the_rate_and_each_full_span_replaces_the_one_before():
    clock = Clock()
    rate = ReadRate(clock.monotonic_s)
    rate.saw(1)
    clock.now += 1000 * SPAN_S
    assert rate() == pytest.approx(1 / SPAN_S)

    for _ in range(10):
        rate.saw(2)
    clock.now += 1000 * SETTLED_S
    assert rate() == pytest.approx(1 / SPAN_S), "a minute says less than an hour"
    clock.now += 1000 * SPAN_S
    assert rate() == pytest.approx(10 / (SPAN_S + SETTLED_S))


def test_without_readers_there_is_no_rate():
    clock = Clock()
    rate = ReadRate(clock.monotonic_s)
    clock.now += 2000 * SPAN_S

    assert rate() is None


class Impatient(Clock):
    """A clock on which nobody sleeps."""

    async def sleep(self, seconds):
        await asyncio.sleep(0)


class Rows:
    """What is told of the cost of rows."""

    def __init__(self):
        self.told = []

    def observe(self, seconds, rows):
        self.told.append((seconds >= 0, rows))


async def test_what_the_rows_of_a_batch_took_is_measured_together():
    """Two pushes, three rows; a batch whose rows are all too old wrote none. Reads and removals as they are."""
    rows, store = Rows(), memory_stores().timelines
    entry, old = TimelineEntry(5, 7, 0, 1, 1000), TimelineEntry(4, 7, 0, 1, 0)
    measured = MeasuredTimelines(store, rows)

    assert await measured.push([Push([1, 2], [entry]), Push([3], [entry])]) == 3
    assert await measured.push([Push([1], [old])]) == 0

    assert rows.told == [(True, 3), (True, 0)]
    assert await measured.timeline(3, 0, 9, 9) == await store.timeline(3, 0, 9, 9) != []


class Telling:
    """`tell` on an outbox, without a pause, while the context lasts."""

    def __init__(self, values, fault=None):
        self.outbox, self.values = RecordingOutbox(), values
        self.emit = Emit((fault or Fault()).wrap(self.outbox), "fanout.small")

    async def __aenter__(self):
        measures = {name: (lambda name=name: self.values[name]) for name in self.values}
        self.task = asyncio.create_task(tell(measures, self.emit, Impatient(77)))
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    def told(self):
        return [decode(message.value, CostSample) for message in self.outbox.sent]


async def test_what_was_measured_is_told_under_its_name_and_only_when_it_has_moved():
    async with Telling({"row_seconds@fanout.small": 1.0, "pull_seconds@api": None}) as telling:
        await eventually_async(lambda: telling.told())
        telling.values["row_seconds@fanout.small"] = 1.1
        for _ in range(20):
            await asyncio.sleep(0)
        telling.values["row_seconds@fanout.small"] = 2.0
        await eventually_async(lambda: len(telling.told()) > 1)

    assert telling.told() == [
        CostSample("row_seconds@fanout.small", 1.0, 77),
        CostSample("row_seconds@fanout.small", 2.0, 77),
    ]
    assert {(message.topic, message.key) for message in telling.outbox.sent} == {
        ("costs", b"row_seconds@fanout.small")
    }


async def test_a_broker_that_is_away_costs_nobody_anything():
    """What could not be told is told once it is back."""
    fault = Fault(at=1)
    async with Telling({"row_seconds@fanout.small": 1.0}, fault) as telling:
        await eventually_async(lambda: len(fault.calls) > 3)
        assert telling.told() == []
        fault.at = 0
        await eventually_async(lambda: telling.told())


async def test_what_was_measured_is_exported_by_stage():
    """The mean as it is now, also when it has moved too little to be told again; a rate is no cost."""
    measured = {"row_seconds@fanout.small": 1.0, "pull_seconds@api": 0.5, "reads_per_second@api": 7.0}
    async with Telling(measured) as telling:
        await eventually_async(lambda: telling.told())
        telling.values["row_seconds@fanout.small"] = 1.1
        await eventually_async(
            lambda: exported.value("tideline_row_cost_seconds", stage="fanout.small") == 1.1
        )

    assert exported.value("tideline_pull_cost_seconds", stage="api") == 0.5

"""Costs: what is measured, and how it is told."""

import asyncio
from contextlib import suppress

import pytest

from pipeline.control.costs import SETTLED_S, SPAN_S, MeanCost, ReadRate, tell
from pipeline.domain.cost import COLD
from pipeline.kafka.emit import Emit
from pipeline.wire.codec import decode
from pipeline.wire.records import CostSample
from tests import exported
from tests.stages.fakes import Fault, RecordingOutbox
from tests.stages.writer import Clock
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
    rate = ReadRate(clock)
    for reader in (1, 2, 1, 1, 2, 2):
        rate.saw(reader)

    clock.now += SETTLED_S - 1
    assert rate() is None
    clock.now += 1
    assert rate() == pytest.approx(1 / 20)


def test_the_longer_the_span_the_truer_the_rate_and_each_full_span_replaces_the_one_before():
    clock = Clock()
    rate = ReadRate(clock)
    rate.saw(1)
    clock.now += SPAN_S
    assert rate() == pytest.approx(1 / SPAN_S)

    for _ in range(10):
        rate.saw(2)
    clock.now += SETTLED_S
    assert rate() == pytest.approx(1 / SPAN_S), "a minute says less than an hour"
    clock.now += SPAN_S
    assert rate() == pytest.approx(10 / (SPAN_S + SETTLED_S))


def test_without_readers_there_is_no_rate():
    clock = Clock()
    rate = ReadRate(clock)
    clock.now += 2 * SPAN_S

    assert rate() is None


class Telling:
    """`tell` on an outbox, at no pause, while the context lasts."""

    def __init__(self, values, fault=None):
        self.outbox, self.values = RecordingOutbox(), values
        self.emit = Emit((fault or Fault()).wrap(self.outbox), "fanout.small")

    async def __aenter__(self):
        measures = {name: (lambda name=name: self.values[name]) for name in self.values}
        self.task = asyncio.create_task(tell(measures, self.emit, lambda: 77, every_s=0))
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

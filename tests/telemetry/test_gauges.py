"""Gauges with a memory: nothing is exported that was not told last."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge

from pipeline.telemetry.gauges import Exactly, GreatestValue

series = st.dictionaries(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), st.floats(0, 9))


def shown(registry):
    return {tuple(s.labels.values()): s.value for family in registry.collect() for s in family.samples}


@given(st.lists(series, min_size=1))
def test_the_series_are_those_told_last(told):
    registry = CollectorRegistry()
    gauge = Exactly(Gauge("g", "g", ["p", "q"], registry=registry))

    for values in told:
        gauge.show(values)

    assert shown(registry) == told[-1]


def test_a_series_that_stays_is_there_all_the_time():
    """A scrape in the middle must not see it gone."""
    registry = CollectorRegistry()
    gauge = Gauge("g", "g", ["p"], registry=registry)
    exactly = Exactly(gauge)
    exactly.show({("stays",): 1, ("goes",): 1})
    seen, remove = [], gauge.remove
    gauge.remove = lambda *labels: (seen.append(set(shown(registry))), remove(*labels))

    exactly.show({("stays",): 2})

    assert seen == [{("stays",), ("goes",)}]
    assert shown(registry) == {("stays",): 2}


@pytest.mark.parametrize(("told", "kept"), [([], {}), ([3], {("a",): 3}), ([3, 5, 4], {("a",): 5})])
def test_the_newest_is_the_greatest(told, kept):
    registry = CollectorRegistry()
    newest = GreatestValue(Gauge("g", "g", ["p"], registry=registry), "a")

    for value in told:
        newest.saw(value)

    assert shown(registry) == kept

"""Metrics: the module, the page of the docs and what a process exports are one and the same."""

import importlib
import re
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram

from pipeline import topology
from pipeline.telemetry import metrics
from tests import exported

TOP = Path(__file__).parents[2]
DEFINED = {
    name: metric for name, metric in vars(metrics).items() if isinstance(metric, Counter | Gauge | Histogram)
}
UNITS = {"counter": "_total", "histogram": ("_seconds", "_width")}


def test_what_is_exported_is_what_the_module_describes():
    """By name and type, with every stage imported: nobody makes a metric of their own."""
    importlib.import_module("pipeline.runtime.worker")

    assert exported.families() == {one.name: one.kind for one in metrics.DESCRIBED}


def test_labels_are_those_described():
    assert [tuple(metric._labelnames) for metric in DEFINED.values()] == [
        one.labels for one in metrics.DESCRIBED
    ]


def test_the_page_of_the_docs_is_that_of_the_module():
    """`make observability` writes it."""
    assert (TOP / "docs" / "metrics.md").read_text() == metrics.page()


@pytest.mark.parametrize("name", DEFINED)
def test_every_metric_is_told_by_somebody(name):
    sources = (path.read_text() for path in (TOP / "pipeline").rglob("*.py") if path.name != "metrics.py")

    assert any(re.search(rf"\bmetrics\.{name}\b", source) for source in sources)


@pytest.mark.parametrize("one", metrics.DESCRIBED, ids=lambda one: one.name)
def test_names_say_what_they_are(one):
    """Counters alone end in _total; what is timed is in seconds; no name says `age`."""
    assert one.name.endswith(UNITS.get(one.kind, ""))
    assert one.name.endswith("_total") == (one.kind == "counter")
    assert "_age" not in one.name and "milli" not in one.name


def budgets():
    """Every lag budget of the shipped topology, of each profile and of each domain."""
    profiles = [path.stem for path in (TOP / "topology" / "profiles").glob("*.yaml")]
    for profile in ["default", *profiles]:
        home = topology.load(TOP / "topology", profile)
        for one in (home, *home.domains.values()):
            for spec in (*one.stages.values(), *one.tiers.values()):
                if spec.lag_budget is not None:
                    yield spec.lag_budget


def test_a_bucket_ends_at_every_lag_budget():
    """What met a budget is counted by the bucket that ends there, and by nothing else."""
    assert set(budgets()) == {2, 5, 10, 30, 300, 3600}
    assert set(budgets()) <= set(metrics.LAG_BUCKETS)


@pytest.mark.parametrize("name", ["PUBLISH_TO_WRITTEN", "PUBLISH_TO_VISIBLE"])
def test_freshness_is_measured_in_those_buckets(name):
    assert DEFINED[name]._upper_bounds[:-1] == [float(edge) for edge in metrics.LAG_BUCKETS]

"""The shipped dashboards: every metric and label they ask for exists, and Grafana can lay them out."""

import json
import re

import pytest
import yaml

from pipeline.ops.observability import dashboards
from pipeline.telemetry import metrics
from tests.observability.names import OF_SLOTH, series, unknown
from tests.observability.test_rules import RECORDED, SHIPPED

FILES = sorted((SHIPPED / "dashboards").glob("*.json"))
PANELS = [panel for file in FILES for panel in json.loads(file.read_text())["panels"]]
TARGETS = [target for panel in PANELS for target in panel["targets"]]
KNOWN = series() | dict.fromkeys(RECORDED, OF_SLOTH)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target["expr"][:60])
def test_every_metric_and_label_of_a_chart_exists(target):
    assert unknown(target["expr"], KNOWN) == []


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target["expr"][:60])
def test_the_names_of_lines_are_made_of_labels_that_the_query_keeps(target):
    wanted = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
    kept = {name for inside in re.findall(r"by \(([^)]*)\)", target["expr"]) for name in inside.split(", ")}

    assert wanted <= kept | (OF_SLOTH if "slo:" in target["expr"] else set())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_panels_have_their_own_id_and_place(file):
    board = json.loads(file.read_text())
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]

    assert len(set(places)) == len(places) == len({panel["id"] for panel in board["panels"]})
    assert board["uid"] == f"tideline-{file.stem}"


def test_every_chart_asks_the_source_that_is_provisioned():
    source = yaml.safe_load((SHIPPED / "grafana/datasources/tideline.yml").read_text())["datasources"][0]

    assert (source["type"], source["uid"]) == (dashboards.SOURCE["type"], dashboards.SOURCE["uid"])
    assert all(target["datasource"] == dashboards.SOURCE for target in TARGETS)


def test_every_metric_of_the_product_is_on_a_dashboard_or_in_a_rule():
    """What nobody looks at need not be measured. The names of kafka-lag-exporter are for others' dashboards."""
    files = [*FILES, SHIPPED / "rules" / "tideline.yml"]
    text = "".join(file.read_text() for file in files)

    unseen = {
        one.name for one in metrics.DESCRIBED if not re.search(rf"\b{one.name}(_bucket|_count)?\b", text)
    }
    assert unseen == {"kafka_consumergroup_group_lag_seconds", "kafka_partition_latest_offset"}

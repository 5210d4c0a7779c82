"""The shipped rules: as the topology says, of metrics that exist, each tested by promtool firing and silent."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from pipeline import topology
from pipeline.errors import ConfigError
from pipeline.ops.observability import files, slo_rules
from tests.observability import promtool
from tests.observability.names import OF_SLOTH, series, unknown

TOP = Path(__file__).parents[2]
SHIPPED = TOP / "topology" / "observability"
FILE = SHIPPED / "rules" / "tideline.yml"
RULES = [rule for group in yaml.safe_load(FILE.read_text())["groups"] for rule in group["rules"]]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
ALERTS = {rule["alert"] for rule in RULES if "alert" in rule}
TESTS = sorted(Path(__file__).parent.glob("*.test.yml"))


def test_the_shipped_files_are_those_of_the_shipped_topology():
    """`make observability` writes them."""
    rendered = files.files(topology.load(TOP / "topology"))

    assert {name: (SHIPPED / name).read_text() for name in rendered} == rendered
    shipped = {str(path.relative_to(SHIPPED)) for path in SHIPPED.glob("[rd]*s/*")}
    assert shipped == rendered.keys()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_every_metric_and_label_of_a_rule_exists(rule):
    """Whoever renames a metric in pipeline/telemetry/metrics.py hears of it here."""
    known = series() | dict.fromkeys(RECORDED, OF_SLOTH)

    assert unknown(rule["expr"], known) == []


def test_a_renamed_metric_or_label_is_noticed():
    known = series()

    assert unknown("rate(tideline_rows_total[5m])", known) == [("tideline_rows_total", [])]
    assert unknown('tideline_fanout_rows_total{shard="1"}', known) == [
        ("tideline_fanout_rows_total", ["shard"])
    ]
    assert unknown("sum by (shard) (tideline_fanout_rows_total)", known) == [("", ["shard"])]
    assert unknown("sum by (tier, domain) (tideline_fanout_rows_total)", known) == []


@pytest.mark.parametrize("profile", ["default", "small-graph"])
def test_a_tier_is_held_to_the_budget_and_the_objective_of_its_topology(profile):
    """The large tier: 30 s by default, 10 s in the profile; 10 s in the domain of both."""
    rendered = files.files(topology.load(TOP / "topology", profile))["rules/tideline.yml"]
    edges = set(re.findall(r'domain="(\w+)",tier="large",le="([\d.]+)"', rendered))

    assert edges == {("home", "30.0" if profile == "default" else "10.0"), ("notifications", "10.0")}
    assert f"profile {profile};" in rendered.splitlines()[0]


def with_tier(**changes):
    whole = topology.load(TOP / "topology")
    whole.tiers["small"] = whole.tiers["small"].model_copy(update=changes)
    return whole


def test_the_objective_is_that_of_the_tier():
    small, *_ = slo_rules.groups(with_tier(objective=0.995))
    by_name = {rule.get("record") or rule["alert"]: rule for rule in small["rules"]}

    assert by_name["slo:objective:ratio"]["expr"] == "vector(0.995)"
    assert by_name["slo:error_budget:ratio"]["expr"] == "vector(0.005)"
    assert "> (14.4 * 0.005)" in by_name["TierBurnsFast"]["expr"]


def test_burn_rates_and_windows_are_those_of_the_workbook():
    """Each limit stands in both windows of its pair."""
    found = re.findall(
        r"ratio_rate(\w+){sloth_id=\"home-fanout-small\"}\) > \(([\d.]+) \* 0.01\)", FILE.read_text()
    )

    assert found == [
        *[("5m", "14.4"), ("1h", "14.4"), ("30m", "6"), ("6h", "6")],
        *[("2h", "3"), ("1d", "3"), ("6h", "1"), ("3d", "1")],
    ]


def test_a_budget_that_no_bucket_ends_at_is_refused():
    """Its freshness is not counted, and a near bucket would be a lie."""
    with pytest.raises(ConfigError, match=r"tier small: freshness is not counted at 7 s") as caught:
        files.files(with_tier(lag_budget=7))

    assert "2, 5, 10, 30" in caught.value.hint


def test_every_alert_says_how_grave_it_is_what_is_wrong_and_what_to_read():
    for rule in (rule for rule in RULES if "alert" in rule):
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"


def test_the_runbook_has_a_section_for_every_alert_and_for_no_other():
    """Its heading is the alert's name, so that the link in the alert leads there."""
    headings = re.findall(r"^## ([A-Z][a-z]+[A-Z]\w+)$", (TOP / slo_rules.RUNBOOK).read_text(), re.MULTILINE)

    assert sorted(headings) == sorted(ALERTS)


@pytest.fixture(scope="module")
def tool():
    return promtool.find()


def test_promtool_takes_the_rules(tool):
    checked = subprocess.run([tool, "check", "rules", FILE], capture_output=True, text=True)

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(RULES)} rules found" in checked.stdout


def test_promtool_takes_the_configuration(tool):
    command = [tool, "check", "config", "--syntax-only", SHIPPED / "prometheus.yml"]
    checked = subprocess.run(command, capture_output=True, text=True)

    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("file", TESTS, ids=lambda path: path.name.partition(".")[0])
def test_alerts_speak_and_keep_quiet_when_they_should(tool, file):
    tested = subprocess.run(
        [tool, "test", "rules", file.name], cwd=file.parent, capture_output=True, text=True
    )

    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_is_tested_firing_and_silent():
    cases = [
        (case["alertname"], bool(case["exp_alerts"]))
        for file in TESTS
        for test in yaml.safe_load(file.read_text())["tests"]
        for case in test.get("alert_rule_test", [])
    ]

    assert {name for name, fires in cases if fires} == ALERTS
    assert {name for name, fires in cases if not fires} == ALERTS

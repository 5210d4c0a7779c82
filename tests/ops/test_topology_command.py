"""`tideline topology validate` and `observability`, which need no engine."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from pipeline.cli import topology as command
from pipeline.config import shipped
from pipeline.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(shipped.folder("topology"), tmp_path / "topology"))


def run(folder: Path, *words: str) -> Any:
    app = typer.Typer()
    command.register(app)
    return CliRunner().invoke(app, ["topology", *words], env={"TIDELINE_TOPOLOGY": str(folder)})


def validate(folder: Path, *words: str) -> Any:
    return run(folder, "validate", *words)


def test_a_valid_folder_is_said_to_be_valid(folder: Path) -> None:
    result = validate(folder, "--profile", "small-graph")

    assert result.exit_code == 0
    assert result.stdout.startswith(f"{folder}, profile small-graph: valid: 30 topics, ")
    assert json.loads(validate(folder, "--json").stdout) == {"valid": True, "problems": []}


def test_every_problem_is_told(folder: Path) -> None:
    file = folder / "routing.yaml"
    file.write_text(file.read_text().replace("push_below: 100000", "push_belo: 100000"))

    result = validate(folder, "--json")

    assert result.exit_code != 0
    assert isinstance(result.exception, ConfigError)  # `tideline` itself turns it into words and exit code 1
    told = json.loads(result.stdout)
    assert told["valid"] is False
    assert [problem.split(": ", 1)[1] for problem in told["problems"]] == [
        "routing.push_below: is missing",
        "routing.push_belo: unknown key, known are push_below, pull_above, hysteresis, cost_floor, window_days,"
        " margin_seconds, clock_ahead_seconds, dormant_after_days, segment_size,"
        " tasks_per_post, cap, hold_records, hold_ratio",
    ]


def test_a_model_that_is_not_installed_is_a_problem(folder: Path) -> None:
    file = folder / "ranking.yaml"
    file.write_text(file.read_text().replace("model: weighted ", "model: of-dreams"))

    result = validate(folder, "--json")

    assert json.loads(result.stdout) == {"valid": False, "problems": ["ranking.model: no model of-dreams"]}


def test_what_watches_a_topology_is_written_into_a_folder(folder: Path, tmp_path: Path) -> None:
    """With the budgets of the profile; the files are told."""
    new = tmp_path / "new"

    result = run(folder, "observability", str(new), "--profile", "small-graph", "--json")

    written = [Path(path) for path in json.loads(result.stdout)["written"]]
    assert sorted(path.relative_to(new).parts[0] for path in written) == [*["dashboards"] * 4, "rules"]
    assert 'domain="home",tier="large",le="10.0"' in (new / "rules" / "tideline.yml").read_text()


def test_a_budget_that_is_not_counted_is_an_error_in_words(folder: Path, tmp_path: Path) -> None:
    file = folder / "tiers.yaml"
    file.write_text(file.read_text().replace("lag_budget: 30,", "lag_budget: 31,"))

    result = run(folder, "observability", str(tmp_path / "new"))

    assert isinstance(result.exception, ConfigError)
    assert "tier large: freshness is not counted at 31 s" in result.exception.message
    assert not (tmp_path / "new").exists()

"""`tideline audit` where nobody can be asked, and what it says of findings."""

import pytest
from typer.testing import CliRunner

from pipeline import cli
from pipeline.audit.live import Tally
from pipeline.audit.verdicts import Found, Verdict
from pipeline.cli import audit
from pipeline.domain.audit import Finding
from pipeline.errors import TidelineError


def run(*arguments):
    return CliRunner().invoke(cli.build(), ["audit", *arguments])


@pytest.mark.parametrize("readers", ["0", "-1", "some", "1.5", ""])
def test_a_number_of_readers_that_is_none_is_wrong_usage(readers, tmp_path):
    assert run("--readers", readers, "--home", str(tmp_path)).exit_code == 2


def test_without_an_instance_nobody_can_be_asked(tmp_path, monkeypatch):
    monkeypatch.delenv("TIDELINE_API", raising=False)

    failed = run("--home", str(tmp_path))

    assert failed.exit_code == 1
    assert isinstance(failed.exception, TidelineError)
    assert "tideline run" in failed.exception.hint


def tally(*findings):
    made = Tally()
    made.add(Verdict(1, 1, 0, {("push", "active", "push"): 3}, findings, 0.1))
    return made


def found(kind):
    return Found(7, Finding(kind, 5, 10, "push", "why"), "push", "active", "small")


@pytest.fixture
def says(monkeypatch):
    """Run the command with this tally."""

    def run_with(made, *arguments):
        async def audited(*_):
            return made

        monkeypatch.setattr(audit, "_audited", audited)
        return run(*arguments)

    return run_with


def test_clean_is_exit_0_and_a_line_for_each_place(says):
    done = says(tally())

    assert done.exit_code == 0
    assert done.stdout.splitlines()[1].split()[:4] == ["push", "active", "push", "3"]
    assert done.stderr == "1 readers, 3 posts: clean\n"


def test_a_fault_is_exit_3_with_an_example_and_the_next_command(says):
    done = says(tally(found("row_missing"), found("row_left")))

    assert done.exit_code == 3
    assert done.stdout.splitlines()[2:] == [
        "reader 7: row missing: post 5 of author 10 (why); push path;"
        " see fanout.small or timeline_by_reader: tideline rebuild 7"
    ]
    assert done.stderr == "1 readers, 3 posts: 1 findings\n"


def test_rows_that_are_left_over_are_exit_0(says):
    assert says(tally(found("row_left"))).exit_code == 0


def test_json_is_one_document_on_stdout(says):
    done = says(tally(found("missing")), "--json")

    assert done.exit_code == 3
    assert done.stdout.startswith("{") and done.stdout.count("\n") == 1

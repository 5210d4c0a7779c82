"""What every command prints: ids as text in JSON, and nothing that drives the terminal."""

import ast
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cli._tables import Table
from pipeline.cli.running import echo, json_text, print_table
from pipeline.wire.records import FanoutTask, PageChange, RepairTask
from tests.engines.json_ids import numbers_that_lose_digits

HOSTILE = "hi \x1b]0;owned\x07 \x1b[2J \u202e end\nforged \ud800"
CLI = Path(__file__).parents[2] / "pipeline" / "cli"


def json_values():
    """Values as documents of commands are made of."""
    leaves = st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.floats() | st.text()
    names = st.sampled_from(["post_id", "author_id", "follower_ids", "ids", "posts", "at", "examples"])
    return st.recursive(
        leaves, lambda inner: st.lists(inner) | st.dictionaries(names, inner) | st.tuples(inner, inner)
    )


@settings(deadline=None)
@given(json_values())
def test_no_number_of_any_document_loses_digits_in_a_double(value):
    """As jq and JavaScript read it."""
    text = json_text(value)

    assert list(numbers_that_lose_digits(json.loads(text))) == []
    assert json.loads(json_text(value, indented=True)) == json.loads(text)


@dataclass(frozen=True)
class Finding:
    """As `audit` has them."""

    kind: str
    post_id: int


def test_ids_are_text_whatever_their_size_and_place():
    """In dataclasses, lists and mappings; counts, times and flags stay what they are."""
    document = {
        "reader_id": 7,
        "follower_ids": (1, 2**60),
        "examples": [Finding("missing", 2**63 - 1)],
        "posts": 5,
        "at": 1_800_000_000_000,
        "imported": True,
        "author_id": None,
        "lag": 2**53 + 1,
    }

    assert json.loads(json_text(document)) == {
        "reader_id": "7",
        "follower_ids": ["1", str(2**60)],
        "examples": [{"kind": "missing", "post_id": str(2**63 - 1)}],
        "posts": 5,
        "at": 1_800_000_000_000,
        "imported": True,
        "author_id": None,
        "lag": str(2**53 + 1),
    }


@pytest.mark.parametrize(
    "record",
    [
        FanoutTask(2**62, 9, "push", 0, 3, 0),
        RepairTask(9, (7, 2**62), 0, 0, 1, 2**62, 1_800_000_000_000, 0, 9),
        PageChange("reader", (7, 2**62), 1_800_000_000_000),
    ],
)
def test_ids_in_records_are_text(record):
    """As `dlq show` has them, under whatever name."""
    found = json.loads(json_text(record))

    for name in ("post_id", "author_id", "reader_ids", "lo", "hi", "after_author", "ids"):
        if name in found:
            given = found[name] if isinstance(found[name], list) else [found[name]]
            assert all(isinstance(one, str) for one in given), name


def test_text_that_is_no_unicode_is_json_all_the_same():
    assert json.loads(json_text({"\ud800": "\udfff", "b": b"\xff"})) == {
        "\\ud800": "\\udfff",
        "b": "\\xff",
    }


@pytest.mark.parametrize("err", [False, True])
def test_no_line_drives_the_terminal_or_is_two(capsys, err):
    echo(HOSTILE, "next", err=err)

    shown = capsys.readouterr()[err]
    assert [line.isprintable() for line in shown.splitlines()] == [True, True]
    assert shown.splitlines()[1] == "next"


def test_no_cell_of_a_table_drives_the_terminal_or_is_markup(capsys):
    table = Table("body", "more")
    table.add_row(HOSTILE, "[bold]x[/bold]", style="red")

    print_table(table)

    shown = capsys.readouterr().out
    assert all(line.isprintable() for line in shown.splitlines())
    assert "\\x1b]0;owned" in shown
    assert "[bold]x[/bold]" in shown


def calls_and_imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)
        elif isinstance(node, ast.ImportFrom):
            yield f"{node.module}:{','.join(name.name for name in node.names)}"


@pytest.mark.parametrize("path", sorted(CLI.glob("*.py")), ids=lambda path: path.name)
def test_every_command_prints_through_these(path):
    """Whoever prints otherwise prints what a stranger wrote."""
    used = set(calls_and_imports(path))

    if path.name != "running.py":
        assert used.isdisjoint({"typer.echo", "print", "orjson.dumps", "json.dumps", "click.echo"})
    if path.name not in ("_tables.py", "running.py", "_reads_shown.py"):
        assert "rich.table:Table" not in used

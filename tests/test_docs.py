"""What the documents show works: commands parse, and the events to produce are events."""

import json
import re
import shlex
from pathlib import Path

import pytest
import typer

from pipeline import path
from pipeline.cli import build
from pipeline.domain.intake import Accepted, parse

REPOSITORY = Path(__file__).parents[1]
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
YEAR_MS = 365 * 86_400_000
NOW_MS = 1_800_000_000_000


def blocks(page):
    """The lines of a page's code blocks."""
    return [
        line
        for block in re.findall(r"^```\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
        for line in block.splitlines()
    ]


def commands(page):
    """The commands of a page that are written out whole, as a shell would split them."""
    for line in blocks(page):
        command, _, _ = line.partition("#")
        if command.startswith("tideline ") and not set("|[…") & set(command):
            yield shlex.join(shlex.split(line, comments=True)[1:])


SHOWN = [(page.name, line) for page in PAGES for line in commands(page)]


def test_there_are_commands_to_be_looked_at():
    assert len([name for name, _ in SHOWN if name == "README.md"]) >= 4
    assert len([name for name, _ in SHOWN if name == "operate.md"]) >= 15


@pytest.mark.parametrize(("page", "line"), SHOWN)
def test_a_command_that_is_shown_is_one(page, line):
    """With its arguments and options; it is not run."""
    found, words = typer.main.get_command(build()), shlex.split(line)
    while hasattr(found, "commands"):
        assert words and words[0] in found.commands, line
        found, words = found.commands[words[0]], words[1:]

    found.make_context(found.name, words)


def events():
    """The lines to publish."""
    pages = REPOSITORY / "README.md", REPOSITORY / "docs" / "produce.md"
    return [json.loads(line) for page in pages for line in blocks(page) if line.startswith('{"topic"')]


@pytest.mark.parametrize("now_ms", [NOW_MS, NOW_MS + YEAR_MS, NOW_MS + 10 * YEAR_MS])
def test_an_event_that_is_shown_is_one_of_now_whenever_it_is_sent(now_ms):
    shown = events()

    found = [parse(event, default_topic=None, now_ms=now_ms) for event in shown]

    assert len(found) == 3 + 5
    for event in found:
        assert isinstance(event, Accepted)
        assert event.record.at == now_ms


def test_readme_is_a_page_and_leads_to_every_other():
    text = (REPOSITORY / "README.md").read_text()

    assert len(text.splitlines()) <= 130
    for door in ("produce", "read", "operate", "runbook", "extend", "architecture", "performance"):
        assert f"(docs/{door}.md)" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_to_a_file(page):
    text = page.read_text()

    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), target
    for named in re.findall(r"`((?:pipeline|topology|schemas|tests|docs)/[a-z_\d./]+\.\w+)`", text):
        assert (REPOSITORY / named).exists(), named


def test_the_path_is_shown_as_it_is():
    """`pipeline/path.py` says it; after a change there, paste what `picture` and `table` give."""
    assert "\n".join(path.picture()) in (REPOSITORY / "README.md").read_text()
    assert "\n".join(path.table()) in (REPOSITORY / "docs" / "architecture.md").read_text()

"""A line of the log is one event, whatever strangers have put in it."""

import json
import logging
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.telemetry.logs import OneLine, logfmt

PAIR = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^\s"=]*)(?: |$)')
"""A field as readers of logfmt take one."""


def fields(line):
    """The fields of a line; fails when it holds anything else."""
    found, at = {}, 0
    while at < len(line):
        match = PAIR.match(line, at)
        assert match, line[at:]
        assert match[1] not in found
        found[match[1]] = json.loads(match[2], strict=False) if match[2].startswith('"') else match[2]
        at = match.end()
    return found


@pytest.mark.parametrize(
    "detail",
    [
        "x\nevent=stage.stopped level=error",
        'x" level=critical event="forged',
        'he"y',
        "back\\slash",
        "a=b",
        "\x1b[2J",
        "\r\n",
        "",
        " ",
    ],
)
def test_a_detail_neither_breaks_nor_forges_a_line(detail):
    line = logfmt(None, "", {"reason": "codec", "detail": detail, "event": "dead.letter", "level": "warning"})

    assert line.isprintable()
    found = fields(line)
    assert found == {"level": "warning", "event": "dead.letter", "reason": "codec", "detail": detail}
    assert list(found) == ["level", "event", "reason", "detail"]


@given(st.text(), st.text())
def test_any_text_comes_back_as_it_was(first, second):
    line = logfmt(None, "", {"event": "x", "first": first, "second": second})

    assert line.isprintable()
    assert fields(line) == {"event": "x", "first": first, "second": second}


def test_words_numbers_and_nothing_are_not_quoted():
    event = {"event": "stage.waiting", "topic": "posts", "offset": 7, "ok": True, "none": None, "s": 0.5}

    assert logfmt(None, "", event) == "event=stage.waiting topic=posts offset=7 ok=true none= s=0.5"


def test_other_libraries_log_a_line_an_event_tracebacks_too():
    try:
        raise ValueError("a\nb\x1b[0m")
    except ValueError:
        record = logging.LogRecord("faust", logging.ERROR, "", 0, "%s", ("c\nd",), sys.exc_info())

    line = OneLine("%(levelname)s %(name)s: %(message)s").format(record)

    assert line.isprintable()
    assert line.startswith("ERROR faust: c\\nd")
    assert "a\\nb\\x1b[0m" in line

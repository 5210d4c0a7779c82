"""What strangers wrote drives no terminal, and what they wrote harmlessly is shown as it is."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.telemetry.printable import one_line, plain

OVERRIDES = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
CONTROLS = "".join(map(chr, [*range(32), *range(0x7F, 0xA0)]))


@pytest.mark.parametrize("one", [*CONTROLS, *OVERRIDES, "\ud800", "\u2028", "\u2029", "\u200e", "\ufeff"])
def test_what_a_terminal_may_obey_is_escaped(one):
    """Controls of both sets, overrides of direction, lone surrogates, line ends of Unicode."""
    shown = one_line(f"a{one}b")

    assert one not in shown
    assert shown.startswith("a\\") and shown.endswith("b")


@pytest.mark.parametrize("text", ["", "hello", "Grüße 😀", "日本語", "👩\u200d👧", "a\\b", 'q"q'])
def test_ordinary_text_is_as_it_was(text):
    assert one_line(text) == plain(text) == text


@given(st.text(st.characters(exclude_categories=())))
def test_nothing_that_is_shown_is_of_the_kinds_that_do_something(text):
    """By category of Unicode: control, format (but for the two joiners), surrogate, separators of lines."""
    shown = one_line(text)

    assert {unicodedata.category(c) for c in shown if c not in "\u200c\u200d"}.isdisjoint(
        {"Cc", "Cf", "Cs", "Zl", "Zp"}
    )
    assert plain(text).split("\n") == [one_line(line) for line in text.split("\n")]

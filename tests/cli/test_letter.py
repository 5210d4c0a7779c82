"""What `tideline dlq show` prints of a letter."""

from pipeline.cli import _letter
from pipeline.cli.running import echo
from pipeline.kafka.dead_letters import dead_letter
from pipeline.wire.records import LetterDone
from tests.ops.letters import kept, refused


def test_a_stranger_cannot_steer_the_terminal(capsys):
    """Escape sequences in a reason, a header or a topic are shown, not obeyed."""
    letter = kept(1, dead_letter(refused(b"\x1b[2J", detail="\x1b]0;owned\x07", topic="\x1b[31m")))

    echo(*_letter.lines_of(letter, None, "no record"))

    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "\\x1b]0;owned\\x07" in text
    assert "000000  1b 5b 32 4a" in text


def test_what_became_of_a_letter_is_told_with_its_reason():
    letter = kept(1, done=LetterDone("dropped", "a test of ours", "operator", 0, 0), value=None)

    text = "\n".join(_letter.lines_of(letter, None, ""))

    assert text.startswith("letter   1@1, dropped, kept ")
    assert "by operator: a test of ours" in text
    assert text.endswith("no value: a tombstone")


def test_long_bytes_are_shown_up_to_a_length():
    text = "\n".join(_letter.lines_of(kept(1, value=bytes(5000)), None, "garbage"))

    assert "5,000 bytes; garbage" in text
    assert text.endswith("… 3,976 more bytes, --json has them")

"""What may be asked of a timeline, and the reason for what may not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.cursor import Cursor, seal
from pipeline.domain.page_request import BadRequest, PageRequest, parse

KEY, NOW = b"k" * 32, 1_700_000_000_000
LARGEST = 2**63 - 1


def ask(**parts):
    """A request as a client gives it, with defaults for what it leaves out."""
    given_parts = {"reader_id": "1", "limit": None, "cursor": None, "mode": None, "explain": None} | parts
    return parse(**given_parts, now_ms=NOW, cursor_keys=[KEY])


def test_only_the_reader_must_be_named():
    """Twenty posts of the newest, as of now, without explanations."""
    assert ask(reader_id="42") == PageRequest(42, 20, False, Cursor("latest", NOW, LARGEST))


@pytest.mark.parametrize(
    ("text", "reader"),
    [
        ("0", None),
        ("1", 1),
        ("9223372036854775807", LARGEST),
        ("9223372036854775808", None),
        ("10000000000000000000", None),
        ("", None),
        ("-1", None),
        ("+1", None),
        (" 1", None),
        ("1_0", None),
        ("1.0", None),
        ("1e3", None),
        ("٣", None),
        ("²", None),
        ("9" * 5_000, None),
    ],
)
def test_a_reader_is_a_decimal_above_zero(text, reader):
    """Of 63 bits, in plain digits."""
    found = ask(reader_id=text)

    assert getattr(found, "reader_id", None) == reader
    assert reader or found == BadRequest("reader_id", f"must be an integer from 1 to {LARGEST}")


@pytest.mark.parametrize(
    ("text", "limit"),
    [("0", None), ("1", 1), ("99", 99), ("100", 100), ("101", None), ("ten", None), ("", None)],
)
def test_a_page_has_one_to_a_hundred_posts(text, limit):
    """More is refused, not cut."""
    found = ask(limit=text)

    assert getattr(found, "limit", None) == limit
    assert limit or found == BadRequest("limit", "must be an integer from 1 to 100")


@pytest.mark.parametrize(
    ("mode", "found"),
    [
        (None, "latest"),
        ("latest", "latest"),
        ("ranked", "ranked"),
        ("", None),
        ("Latest", None),
        ("best", None),
    ],
)
def test_the_mode_is_latest_or_ranked(mode, found):
    """The order of time, unless the best is wanted."""
    asked = ask(mode=mode)

    assert found == (asked.place.mode if isinstance(asked, PageRequest) else None)
    assert found or asked == BadRequest("mode", "must be latest or ranked")


@pytest.mark.parametrize(("text", "explain"), [(None, False), ("0", False), ("1", True)])
def test_explanations_come_when_asked_for(text, explain):
    """With a 1, and with nothing else."""
    assert ask(explain=text).explain is explain


@pytest.mark.parametrize("text", ["", "2", "true", "yes"])
def test_explain_is_zero_or_one(text):
    """Anything else is a mistake that should not pass as no."""
    assert ask(explain=text) == BadRequest("explain", "must be 0 or 1")


def test_a_cursor_brings_its_place_and_its_time():
    """The session goes on as of when it began, below the last post it showed."""
    token = seal(Cursor("latest", NOW - 5_000, 77), 1, [KEY])

    assert ask(cursor=token, limit="5") == PageRequest(1, 5, False, Cursor("latest", NOW - 5_000, 77))


@pytest.mark.parametrize(("mode", "fits"), [(None, True), ("ranked", True), ("latest", False)])
def test_a_session_stays_in_its_mode(mode, fits):
    """The cursor says it; who says another one is told."""
    place = Cursor("ranked", NOW, 77, 7, 20, (90, 80))

    found = ask(cursor=seal(place, 1, [KEY]), mode=mode)

    assert (found == PageRequest(1, 20, False, place)) == fits
    assert fits or found == BadRequest("mode", "the cursor is of a session in mode ranked")


@pytest.mark.parametrize("token", ["", "x", "A" * 46, seal(Cursor("latest", NOW, 77), 2, [KEY])])
def test_a_cursor_that_is_not_the_readers_is_refused(token):
    """Empty, cut, forged, or another reader's."""
    assert getattr(ask(cursor=token), "field", None) == "cursor"


texts = st.none() | st.text()


@given(st.text(), texts, texts, texts, texts)
def test_no_text_raises(reader_id, limit, cursor, mode, explain):
    """A stranger's parts are a request or a reason."""
    found = ask(reader_id=reader_id, limit=limit, cursor=cursor, mode=mode, explain=explain)

    assert isinstance(found, PageRequest | BadRequest)

"""A place in a feed: what `seal` made for a reader comes back, and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.cursor import Cursor, CursorError, seal, unseal
from tests.domain.examples import at_least

KEY = b"k" * 32
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
int64 = st.integers(-(2**63), 2**63 - 1)
reader_ids = st.integers(1, 2**63 - 1)
cursors = st.builds(Cursor, st.just("latest"), int64, int64, st.integers(0, 2**32 - 1))


def refused(token, reader=1, key=KEY):
    """True for CursorError; any other exception is the test's failure."""
    try:
        unseal(token, reader, key)
    except CursorError:
        return True
    return False


@given(cursors, reader_ids, st.binary(min_size=1, max_size=64))
def test_a_cursor_comes_back_as_it_went(cursor, reader, key):
    """For its reader and with its key."""
    assert unseal(seal(cursor, reader, key), reader, key) == cursor


@given(cursors, reader_ids)
def test_a_token_is_plain_text_for_a_url(cursor, reader):
    """Nothing in it needs an escape, and its length never varies."""
    token = seal(cursor, reader, KEY)

    assert set(token) <= set(ALPHABET)
    assert len(token) == 51


@given(cursors, reader_ids, reader_ids)
def test_another_readers_cursor_is_refused(cursor, reader, other):
    """Unless the other reader is the same one."""
    assert refused(seal(cursor, reader, KEY), other) == (reader != other)


@given(cursors, st.binary(max_size=64).filter(lambda key: key.rstrip(b"\0") != KEY))
def test_a_cursor_of_another_key_is_refused(cursor, key):
    """A token made elsewhere is not ours."""
    assert refused(seal(cursor, 1, key))


@given(cursors, st.data())
def test_any_changed_character_is_refused(cursor, data):
    """Also in the last one, of which base64 leaves four bits unused."""
    token = seal(cursor, 1, KEY)
    at = data.draw(st.integers(0, len(token) - 1) | st.just(len(token) - 1))
    changed = data.draw(st.sampled_from(ALPHABET + "+/=").filter(lambda one: one != token[at]))

    assert refused(token[:at] + changed + token[at + 1 :])


@given(cursors)
def test_every_truncation_is_refused(cursor):
    """From the front and from the back."""
    token = seal(cursor, 1, KEY)

    assert all(refused(token[:end]) and refused(token[-end:]) for end in range(1, len(token)))


@given(cursors, st.text(max_size=8).filter(bool) | st.sampled_from(["=", "==", "A", "AA", "AAAA", "\n", " "]))
def test_anything_added_is_refused(cursor, more):
    """Padding and white space too: there is one token for a place, not many."""
    token = seal(cursor, 1, KEY)

    assert refused(token + more)
    assert refused(more + token)


@at_least(1_000)
@given(st.text() | st.text(alphabet=ALPHABET) | st.text(alphabet=ALPHABET, min_size=46, max_size=46))
def test_no_text_raises_anything_but_cursor_error(text):
    """Letters of any script, lone surrogates, forged tokens of the right length."""
    assert refused(text)


@pytest.mark.parametrize("length", [127, 128, 129, 10**6])
def test_a_long_text_is_refused(length):
    """Before anything is decoded."""
    assert refused("A" * length)

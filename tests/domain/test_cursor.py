"""A place in a feed: what `seal` made for a reader comes back, and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.cursor import MAX_SHOWN, VALID_MS, Cursor, CursorError, derived, seal, unseal
from tests.domain.examples import at_least

KEY, OTHER, NOW = b"k" * 32, b"o" * 32, 1_700_000_000_000
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
int64 = st.integers(-(2**63), 2**63 - 1)
reader_ids = st.integers(1, 2**63 - 1)
cursors = st.builds(
    Cursor,
    st.sampled_from(["latest", "ranked"]),
    st.integers(NOW - VALID_MS, NOW + 1_000),
    int64,
    int64,
    st.integers(0, 2**32 - 1),
    st.lists(int64, max_size=40).map(tuple),
)


def refused(token, reader=1, *keys):
    """True for CursorError; any other exception is the test's failure."""
    try:
        unseal(token, reader, keys or (KEY,), NOW)
    except CursorError:
        return True
    return False


@given(cursors, reader_ids, st.binary(min_size=1, max_size=64))
def test_a_cursor_comes_back_as_it_went(cursor, reader, key):
    """For its reader and with its key."""
    assert unseal(seal(cursor, reader, [key]), reader, [key], NOW) == cursor


@given(cursors, reader_ids)
def test_a_token_is_plain_text_for_a_url(cursor, reader):
    """Nothing in it needs an escape; eight bytes more for each post that a ranked session has shown."""
    token = seal(cursor, reader, [KEY])

    assert set(token) <= set(ALPHABET)
    assert len(token) == -(-(46 + 8 * len(cursor.shown)) * 4 // 3)


@pytest.mark.parametrize(("age_ms", "valid"), [(VALID_MS - 1, True), (VALID_MS, True), (VALID_MS + 1, False)])
def test_a_session_ends_after_a_day(age_ms, valid):
    """Counted from its first page."""
    token = seal(Cursor("latest", NOW - age_ms, 77), 1, [KEY])

    assert refused(token) != valid


def test_the_longest_cursor_is_accepted():
    """A round that has shown as much as a cursor can name."""
    longest = Cursor("ranked", NOW, 2**63 - 1, 1, 2**32 - 1, tuple(range(MAX_SHOWN)))

    assert unseal(seal(longest, 1, [KEY]), 1, [KEY], NOW) == longest


@given(cursors, reader_ids, reader_ids)
def test_another_readers_cursor_is_refused(cursor, reader, other):
    """Unless the other reader is the same one."""
    assert refused(seal(cursor, reader, [KEY]), other) == (reader != other)


@given(cursors, st.binary(max_size=64).filter(lambda key: key.rstrip(b"\0") != KEY))
def test_a_cursor_of_another_key_is_refused(cursor, key):
    """A token made elsewhere is not ours."""
    assert refused(seal(cursor, 1, [key]))


@given(cursors, reader_ids)
def test_a_key_is_changed_without_a_cursor_refused(cursor, reader):
    """
    ::

        every API   old          new signs, old verifies       new
        cursors     of old ├─────────────────────────────┤ refused
                                 of new ├────────────────────────
    """
    before, after = seal(cursor, reader, [OTHER]), seal(cursor, reader, [KEY, OTHER])

    assert unseal(before, reader, [KEY, OTHER], NOW) == cursor
    assert unseal(after, reader, [KEY], NOW) == cursor
    assert refused(before, reader, KEY)
    assert refused(after, reader, OTHER)


def test_a_secret_makes_other_keys_for_other_domains():
    """And none is the secret itself, which may sign tokens as well."""
    made = {derived(KEY, ""), derived(KEY, "notifications"), derived(OTHER, ""), KEY, OTHER}

    assert len(made) == 5


@given(cursors, st.data())
def test_any_changed_character_is_refused(cursor, data):
    """Also in the last one, of which base64 leaves four bits unused."""
    token = seal(cursor, 1, [KEY])
    at = data.draw(st.integers(0, len(token) - 1) | st.just(len(token) - 1))
    changed = data.draw(st.sampled_from(ALPHABET + "+/=").filter(lambda one: one != token[at]))

    assert refused(token[:at] + changed + token[at + 1 :])


@given(cursors)
def test_every_truncation_is_refused(cursor):
    """From the front and from the back."""
    token = seal(cursor, 1, [KEY])

    assert all(refused(token[:end]) and refused(token[-end:]) for end in range(1, len(token)))


@given(cursors, st.text(max_size=8).filter(bool) | st.sampled_from(["=", "==", "A", "AA", "AAAA", "\n", " "]))
def test_anything_added_is_refused(cursor, more):
    """Padding and white space too: there is one token for a place, not many."""
    token = seal(cursor, 1, [KEY])

    assert refused(token + more)
    assert refused(more + token)


@at_least(1_000)
@given(st.text() | st.text(alphabet=ALPHABET) | st.text(alphabet=ALPHABET, min_size=46, max_size=46))
def test_no_text_raises_anything_but_cursor_error(text):
    """Letters of any script, lone surrogates, forged tokens of the right length."""
    assert refused(text)


@pytest.mark.parametrize("length", [127, 128, 129, 20_000, 10**6])
def test_a_long_text_is_refused(length):
    """Before anything is decoded."""
    assert refused("A" * length)

"""Ids made of what a post says: the same for the same post, of its millisecond, one after another to try."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain import snowflake
from pipeline.domain.made_ids import ATTEMPTS, chain, digest_of, digest_of_event, post_id_of
from pipeline.wire.records import PostEvent

T, MAX = 1_800_000_000_000, 2**63 - 1

authors, times, texts = st.integers(1, MAX), st.integers(0, 2**41 - 1), st.text(max_size=20)


@given(authors, times, texts, st.integers(0, ATTEMPTS))
def test_every_made_id_is_an_id_of_its_millisecond(author_id, ms, body, attempt):
    """At every attempt."""
    at = snowflake.EPOCH_MS + ms
    made = post_id_of(digest_of(author_id, at, body, ()), at, attempt)

    assert 0 < made <= MAX
    assert snowflake.time_ms(made) == at


def test_no_post_gets_the_id_0():
    """The empty post of this author in the first millisecond has a hash of 22 zeros."""
    digest = digest_of(1_182_246, snowflake.EPOCH_MS, "", ())

    assert post_id_of(digest, snowflake.EPOCH_MS) == 1


def test_the_order_in_which_a_map_was_written_is_no_part_of_a_post():
    assert digest_of(9, T, "", ({"a": "1", "b": "2"},)) == digest_of(9, T, "", ({"b": "2", "a": "1"},))


@pytest.mark.parametrize(
    "other",
    [
        (8, T, "ab", ()),
        (9, T + 1, "ab", ()),
        (9, T, "a", ({"b": ""},)),
        (9, T, "ab", ({"a": ""},)),
    ],
)
def test_other_posts_have_other_digests(other):
    """Another author, time, text or picture; texts are not run together."""
    assert digest_of(*other) != digest_of(9, T, "ab", ())


@given(authors, texts)
def test_a_post_has_one_chain_from_wherever_it_is_entered(author_id, body):
    """What publish sends is its first id; where the id is another's, the next is the same on every replay."""
    digest = digest_of(author_id, T, body, ())
    ids = [*chain(post_id_of(digest, T), digest)]

    assert ids == [post_id_of(digest, T, attempt) for attempt in range(ATTEMPTS)]
    assert [*chain(ids[3], digest)] == ids[3:]
    assert [*chain(snowflake.first_id(T + 1) - 1, 5)][1:] == [post_id_of(5, T, n) for n in range(ATTEMPTS)]


@given(authors, texts, st.integers(-5_000, 5_000))
def test_a_digest_does_not_change_when_the_time_of_the_event_is_moved(author_id, body, by_ms):
    """Admission counts an event that is ahead as of the broker's time."""
    digest = digest_of(author_id, T, body, ())
    event = PostEvent("published", post_id_of(digest, T), author_id, T + by_ms, body=body, made=True)

    assert digest_of_event(event) == digest

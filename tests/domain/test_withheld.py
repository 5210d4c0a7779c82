"""What a reader gets who asks for one post: more than a feed shows, and nothing that moderation forbids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.visibility import withheld_because
from tests.domain.test_visibility import hidden_because

SHOWN = {
    "own": False,
    "reader_region": "eu",
    "visibility": "public",
    "protected": False,
    "deleted": False,
    "taken_down": frozenset(),
    "suspended": False,
    "blocked": False,
    "followed": False,
}
facts = st.fixed_dictionaries(
    {
        "own": st.booleans(),
        "reader_region": st.sampled_from(["", "eu", "us"]),
        "visibility": st.sampled_from(["public", "followers", "private"]),
        "protected": st.booleans(),
        "deleted": st.booleans(),
        "taken_down": st.frozensets(st.sampled_from(["eu", "us", "*"])),
        "suspended": st.booleans(),
        "blocked": st.booleans(),
        "followed": st.booleans(),
    }
)


def test_a_public_post_needs_no_follow():
    """Unlike in a feed."""
    assert withheld_because(**SHOWN) is None


@pytest.mark.parametrize(
    ("fact", "reason"),
    [
        ({"deleted": True}, "deleted"),
        ({"taken_down": {"*"}}, "taken down"),
        ({"taken_down": {"eu"}}, "taken down"),
        ({"suspended": True}, "suspended"),
        ({"blocked": True}, "blocked"),
        ({"visibility": "private"}, "private"),
        ({"visibility": "private", "followed": True}, "private"),
        ({"visibility": "followers"}, "not followed"),
        ({"protected": True}, "not followed"),
    ],
)
def test_one_fact_is_enough_to_withhold_a_post(fact, reason):
    """And the reason names it."""
    assert withheld_because(**SHOWN | fact) == reason


@pytest.mark.parametrize("fact", [{"visibility": "followers"}, {"protected": True}, {"taken_down": {"us"}}])
def test_a_follower_sees_what_is_for_followers(fact):
    """Of a protected author too; a take-down elsewhere is no reason."""
    assert withheld_because(**SHOWN | fact | {"followed": True}) is None


@given(facts)
def test_a_look_withholds_nothing_that_a_feed_would_show(fact):
    """To followers both say the same, but for a mute."""
    of_a_feed = {name: value for name, value in fact.items() if name != "protected"}
    in_feed = hidden_because(
        reader_id=1, author_id=1 if of_a_feed.pop("own") else 2, hidden=False, **of_a_feed
    )

    assert in_feed in (None, "not followed") or withheld_because(**fact) is not None
    assert in_feed is not None or withheld_because(**fact) is None

"""What a reader may see: moderation wins over whatever the rows say (R4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.visibility import author_hidden_because, post_hidden_because

READER, AUTHOR = 1, 2
SHOWN = {
    "reader_id": READER,
    "reader_region": "eu",
    "author_id": AUTHOR,
    "visibility": "public",
    "deleted": False,
    "taken_down": frozenset(),
    "suspended": False,
    "blocked": False,
    "muted": False,
    "followed": True,
    "hidden": False,
}


def hidden_because(
    *, reader_id, author_id, suspended=False, followed=True, blocked=False, muted=False, **post
):
    """As a page asks: about the author, then about the post."""
    own = reader_id == author_id
    between = author_hidden_because(suspended=suspended, followed=followed, blocked=blocked, muted=muted)
    return (None if own else between) or post_hidden_because(own=own, **post)


facts = st.fixed_dictionaries(
    {
        "reader_id": st.just(READER),
        "reader_region": st.sampled_from(["", "eu", "us"]),
        "author_id": st.sampled_from([READER, AUTHOR]),
        "visibility": st.sampled_from(["public", "followers", "private"]),
        "deleted": st.booleans(),
        "taken_down": st.frozensets(st.sampled_from(["eu", "us", "*"])),
        "suspended": st.booleans(),
        "blocked": st.booleans(),
        "muted": st.booleans(),
        "followed": st.booleans(),
        "hidden": st.booleans(),
    }
)


def test_a_followed_authors_public_post_is_shown():
    """Nothing speaks against it."""
    assert hidden_because(**SHOWN) is None


@pytest.mark.parametrize(("visibility", "reason"), [("direct", "private"), ("Public", "private"), ("", None)])
def test_a_visibility_that_nobody_knows_hides(visibility, reason):
    """It is refused today; what was stored before may have meant anything."""
    assert hidden_because(**SHOWN | {"visibility": visibility}) == reason


@pytest.mark.parametrize(
    ("fact", "reason"),
    [
        ({"deleted": True}, "deleted"),
        ({"taken_down": {"*"}}, "taken down"),
        ({"taken_down": {"eu"}}, "taken down"),
        ({"suspended": True}, "suspended"),
        ({"followed": False}, "not followed"),
        ({"blocked": True}, "blocked"),
        ({"muted": True}, "muted"),
        ({"visibility": "private"}, "private"),
        ({"hidden": True}, "hidden"),
    ],
)
def test_one_fact_is_enough_to_hide_a_post(fact, reason):
    """And the reason names it."""
    assert hidden_because(**SHOWN | fact) == reason


@pytest.mark.parametrize(
    "fact",
    [
        {"visibility": "followers"},
        {"taken_down": {"us"}},
        {"taken_down": {"eu", "us"}, "reader_region": ""},
        {"taken_down": {""}, "reader_region": ""},
    ],
)
def test_what_is_about_others_hides_nothing(fact):
    """Followers see posts for followers; a take-down elsewhere, or for a reader of no region, is no reason."""
    assert hidden_because(**SHOWN | fact) is None


@pytest.mark.parametrize("fact", ["suspended", "blocked", "muted", "hidden"])
def test_ones_own_posts_are_always_there(fact):
    """Nothing that is between a reader and an author stands between readers and their own posts."""
    own = SHOWN | {"author_id": READER, "followed": False, "visibility": "private", fact: True}

    assert hidden_because(**own) is None
    assert hidden_because(**own | {"deleted": True}) == "deleted"
    assert hidden_because(**own | {"taken_down": {"eu"}}) == "taken down"


@given(facts)
def test_a_post_is_shown_when_no_fact_forbids_it(fact):
    """The whole table of facts, against the sentence of the design."""
    gone = fact["deleted"] or bool(fact["taken_down"] & {"*", fact["reader_region"]} - {""})
    between = (
        fact["suspended"]
        or fact["blocked"]
        or fact["muted"]
        or fact["hidden"]
        or fact["visibility"] == "private"
        or not fact["followed"]
    )
    own = fact["author_id"] == READER

    assert (hidden_because(**fact) is None) == (not gone and (own or not between))

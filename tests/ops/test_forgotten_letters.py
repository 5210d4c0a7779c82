"""Which dead letters are about an erased account: by what they hold, and by their key when that is nothing."""

import pytest

from pipeline.config.names import HOME, Names
from pipeline.ops.dead_letter import is_forgotten
from pipeline.wire.codec import encode
from pipeline.wire.records import AccountEvent, FollowEvent, PostEvent
from tests.ops.letters import kept

GONE = 7


def post(author):
    return encode(PostEvent("shouted", 1, author, 1, body="words"))


@pytest.mark.parametrize(
    ("letter", "forgotten"),
    [
        ({"value": post(GONE), "topic": "posts"}, True),
        ({"value": post(8), "topic": "posts"}, False),
        ({"value": encode(FollowEvent("followed", 8, (GONE,), 1)), "topic": "follows"}, True),
        ({"value": encode(FollowEvent("followed", 8, (GONE, 9), 1)), "topic": "follows"}, False),
        ({"value": b"not Avro", "key": b"7"}, True),
        ({"value": b"not Avro", "key": b"8"}, False),
        ({"value": b"not Avro", "key": b"seven"}, False),
        ({"value": b"not Avro", "key": None}, False),
        ({"value": post(8), "topic": "posts", "key": b"7"}, False),
        ({"value": post(GONE), "topic": "nobody.knows", "key": b"7"}, True),
    ],
)
def test_a_letter_about_an_erased_account_alone_is_forgotten(letter, forgotten):
    """Others in the same event have a right to theirs: what is about the account is taken out by the stage."""
    assert is_forgotten(kept(1, **letter), HOME, {GONE}.__contains__) is forgotten


def test_of_a_domain_as_of_the_home_feed():
    letter = kept(1, value=post(GONE), topic="inbox.posts")

    assert is_forgotten(letter, Names("inbox"), {GONE}.__contains__)


def test_the_letter_that_asks_for_the_erasure_itself_stays():
    asked = encode(AccountEvent("erased", GONE, "", protected=False, at=1))

    assert not is_forgotten(kept(1, value=asked, topic="accounts"), HOME, {GONE}.__contains__)

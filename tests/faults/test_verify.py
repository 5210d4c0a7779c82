"""The comparison of a feed with the model: each way of being wrong is seen, and named as what it is."""

import pytest

from tests.faults.verify import Found

EXPECTED = [(30, "c"), (20, "b"), (10, "a")]


def compared(feed: list[tuple[int, str]]) -> Found:
    found = Found()
    found.compare(7, feed, EXPECTED)
    return found


def test_a_right_feed_is_clean() -> None:
    found = compared([*EXPECTED])

    assert found.clean
    assert found.checked == 3


@pytest.mark.parametrize(
    ("feed", "wrong"),
    [
        ([(30, "c"), (10, "a")], {"missing": [(7, 20)]}),
        ([], {"missing": [(7, 30), (7, 20), (7, 10)]}),
        ([(30, "c"), (20, "b"), (20, "b"), (10, "a")], {"duplicates": [(7, 20)]}),
        ([(30, "c"), (20, "b"), (10, "a"), (30, "c")], {"duplicates": [(7, 30)]}),
        ([(30, "c"), (25, "x"), (20, "b"), (10, "a")], {"forbidden": [(7, 25)]}),
        ([(20, "b"), (30, "c"), (10, "a")], {"misordered": [(7, 30)]}),
        ([(30, "c"), (20, "before the edit"), (10, "a")], {"stale": [(7, 20)]}),
    ],
)
def test_a_wrong_feed_says_how(feed: list[tuple[int, str]], wrong: dict[str, list[tuple[int, int]]]) -> None:
    found = compared(feed)

    assert not found.clean
    assert {kind: seen for kind, seen in found.wrong.items() if seen} == wrong

"""Which rows are owed, and what differs from them: literal places around each change, and planted faults."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.audit import Finding, Ledger
from pipeline.domain.audit_rows import class_in, compare_rows, path_owed
from pipeline.domain.snowflake import MAX_ID, first_id
from pipeline.records import AuthorClass, FollowEvent, PolicyEvent, PostEvent, RouteEntry

PUSH, PARTIAL, PULL = AuthorClass
READER, AUTHOR, STRANGER, MARGIN = 1, 10, 20, 10
T0 = 1_700_000_000_000


def at(ms):
    return first_id(T0 + ms)


def history(*changes):
    return [RouteEntry(at(ms), kind, "") for ms, kind in changes]


@pytest.mark.parametrize(
    ("ms", "expected"), [(99, PUSH), (100, PULL), (199, PULL), (200, PARTIAL), (900, PARTIAL)]
)
def test_a_post_has_the_class_of_the_last_entry_before_it(ms, expected):
    assert class_in(history((100, PULL), (200, PARTIAL)), at(ms)) is expected


@pytest.mark.parametrize(
    ("ms", "expected"),
    [(99, "pull"), (109, "pull"), (110, "push"), (489, "push"), (490, "pull"), (500, "pull"), (600, "pull")],
)
def test_a_row_is_owed_a_margin_after_the_bound_until_a_margin_before_the_class_changes(ms, expected):
    """The bound is 100, pulled from 500 on; at 490 and 110 the margin of 10 begins and ends."""
    assert path_owed(at(ms), history((500, PULL)), at(100), margin_ms=MARGIN) == expected


@pytest.mark.parametrize(("ms", "expected"), [(500, "pull"), (509, "pull"), (510, "push")])
def test_a_row_is_owed_again_a_margin_after_the_author_is_back_to_push(ms, expected):
    assert path_owed(at(ms), history((300, PARTIAL), (500, PUSH)), 0, margin_ms=MARGIN) == expected


def test_no_row_is_owed_over_an_edge_without_a_bound():
    assert path_owed(at(10_000), (), MAX_ID, margin_ms=MARGIN) == "pull"


def ledger_of(*events):
    made = Ledger()
    for event in [FollowEvent("followed", AUTHOR, (READER,), 1), *events]:
        made.add(event)
    return made


def posts(*numbers, author=AUTHOR):
    return [PostEvent("published", number, author, number, body="b") for number in numbers]


def test_a_row_that_is_not_there_is_found_whatever_the_pages_say():
    found = compare_rows(ledger_of(*posts(5, 6)), READER, 0, {6: AUTHOR}, lambda _: "push")

    assert found == [Finding("row_missing", 5, AUTHOR, "push", "no row in timeline_by_reader")]


@pytest.mark.parametrize("path", ["pull", "own"])
def test_no_row_is_owed_on_another_path(path):
    assert compare_rows(ledger_of(*posts(5)), READER, 0, {}, lambda _: path) == []


def test_rows_of_authors_who_are_not_followed_are_left_over():
    rows = {5: AUTHOR, 6: STRANGER, 7: READER}

    found = compare_rows(ledger_of(*posts(5)), READER, 0, rows, lambda _: "push")

    assert found == [Finding("row_left", 6, STRANGER, "push", "not followed")]


def test_no_row_is_owed_of_a_post_that_nobody_may_see_or_that_left_the_window():
    hidden = [PostEvent("deleted", 5, AUTHOR, 9), PolicyEvent("taken_down", 9, post_id=6)]

    assert compare_rows(ledger_of(*posts(4, 5, 6), *hidden), READER, 5, {}, lambda _: "push") == []


@given(st.sets(st.integers(1, 60)), st.sets(st.integers(1, 60)), st.sets(st.integers(61, 90)), st.data())
def test_exactly_what_is_planted_is_found(pushed, pulled, strangers, data):
    """Every pushed post is a row, pulled ones may be; some rows are lost, and some of strangers are there."""
    pulled = pulled - pushed
    lost = data.draw(st.sets(st.sampled_from(sorted(pushed)))) if pushed else set()
    redundant = data.draw(st.sets(st.sampled_from(sorted(pulled)))) if pulled else set()
    rows = dict.fromkeys(pushed - lost | redundant, AUTHOR) | dict.fromkeys(strangers, STRANGER)

    found = compare_rows(
        ledger_of(*posts(*pushed, *pulled), *posts(*strangers, author=STRANGER)),
        READER,
        0,
        rows,
        lambda post: "push" if post in pushed else "pull",
    )

    assert {one.post_id for one in found if one.kind == "row_missing"} == lost
    assert {one.post_id for one in found if one.kind == "row_left"} == strangers

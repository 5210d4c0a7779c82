"""Which rows are owed, and what differs from them: literal places around each change, and planted faults."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.audit import Finding, Ledger
from pipeline.domain.audit_rows import LATE_MS, class_in, compare_rows, on_its_way, path_owed
from pipeline.domain.snowflake import MAX_ID, first_id
from pipeline.wire.records import AuthorClass, FollowEvent, ModerationEvent, PostEvent, RouteEntry

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
    hidden = [PostEvent("deleted", 5, AUTHOR, 9), ModerationEvent("taken_down", 9, post_id=6)]

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


def lacked(ms, kind="missing", path="push"):
    return Finding(kind, at(ms), AUTHOR, path)


@pytest.mark.parametrize(
    ("since_ms", "comes"), [(0, True), (159_999, True), (160_000, True), (160_001, False)]
)
def test_what_is_missing_may_come_while_its_tier_has_a_record_to_do_that_is_no_younger(since_ms, comes):
    """Made at 100,000, and published within a minute: a tier that has got further has not got it to do."""
    assert on_its_way(lacked(100_000), T0 + since_ms, T0 + 200_000) is comes


@pytest.mark.parametrize(("age_ms", "comes"), [(1, True), (LATE_MS - 1, True), (LATE_MS, False)])
def test_after_an_hour_it_is_missing_whatever_its_tier_has_to_do(age_ms, comes):
    assert on_its_way(lacked(100), T0, T0 + 100 + age_ms) is comes


def test_a_tier_that_keeps_up_or_of_which_nothing_is_known_explains_nothing():
    assert not on_its_way(lacked(100), None, T0 + 200)


@pytest.mark.parametrize(
    ("kind", "path", "comes"),
    [
        ("missing", "push", True),
        ("row_missing", "push", True),
        ("missing", "pull", False),
        ("missing", "own", False),
        ("duplicate", "push", False),
        ("forbidden", "push", False),
        ("row_left", "push", False),
    ],
)
def test_only_what_a_row_has_to_bring_is_brought_by_a_tier(kind, path, comes):
    assert on_its_way(lacked(100, kind, path), T0, T0 + 200) is comes


@given(
    st.lists(st.tuples(st.integers(0, 2 * LATE_MS), st.booleans()), min_size=1, max_size=20),
    st.integers(0, 2 * LATE_MS),
    st.data(),
)
def test_what_waits_is_late_for_an_hour_and_what_was_lost_before_it_never(posts, now, data):
    """A tier works in order and has stopped somewhere: it has done what was published before.

    `posts`: when each was published, and whether its row is lost although its task was done.
    """
    posts = sorted((at_ms, lost) for at_ms, lost in posts if at_ms <= now)
    done = data.draw(st.integers(0, len(posts)))
    oldest = T0 + posts[done][0] if done < len(posts) else None

    for number, (published, lost) in enumerate(posts):
        made = published - data.draw(st.integers(0, 60_000))
        comes = on_its_way(lacked(made), oldest, T0 + now)
        if number >= done:
            assert comes is (now - made < LATE_MS)
        elif lost:
            assert not comes or posts[done][0] - made <= 60_000

"""What is left of a record when erased accounts are taken out of it, held against all ids the record names."""

from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain import erasure
from pipeline.domain.erasure import ErasureStep, mark, without
from pipeline.wire.records import (
    AccountEvent,
    ActivityEvent,
    AuthorClass,
    ErasureTask,
    FanoutTask,
    FollowEvent,
    ModerationEvent,
    PageChange,
    PostEvent,
    RepairTask,
)

IDS = st.integers(1, 6)
LISTS = st.lists(IDS, max_size=4, unique=True).map(tuple)
ABOUT = ("user_id", "author_id", "reader_id", "follower_ids", "reader_ids")
"""The fields of these records that hold accounts."""

RECORDS = st.one_of(
    st.builds(AccountEvent, st.just("updated"), IDS, st.just(""), st.just(False), st.just(1)),
    st.builds(FollowEvent, st.just("followed"), IDS, LISTS.filter(len), st.just(1)),
    st.builds(PostEvent, st.just("edited"), st.just(50), IDS, st.just(1)),
    st.builds(ActivityEvent, st.just("engaged"), IDS, st.just(1), st.none() | IDS, st.just(50)),
    st.builds(ModerationEvent, st.just("blocked"), st.just(1), st.none() | IDS, st.none() | IDS),
    st.builds(FanoutTask, st.just(50), IDS, st.just(AuthorClass.PUSH), st.just(0), st.just(0), st.just(0)),
    st.builds(
        RepairTask,
        st.just(0) | IDS,
        LISTS,
        *(st.just(0) for _ in range(2)),
        st.just(1),
        st.just(2),
        st.just(1),
    ),
)


def accounts(record):
    """Every account the record names."""
    found = [value for name, value in asdict(record).items() if name in ABOUT]
    return {one for value in found for one in (value if isinstance(value, tuple) else (value,)) if one}


@given(RECORDS, st.frozensets(IDS))
def test_nothing_that_is_left_names_an_erased_account(record, gone):
    left = without(record, gone.__contains__)

    assert left is None or not accounts(left) & gone


@given(RECORDS, st.frozensets(IDS))
def test_what_is_about_others_stays_as_it_is(record, gone):
    left = without(record, gone.__contains__)

    if not accounts(record) & gone:
        assert left is record
    elif left is not None:  # a list of readers has lost them, and nothing else
        listed = "follower_ids" if isinstance(record, FollowEvent) else "reader_ids"
        others = tuple(one for one in getattr(record, listed) if one not in gone)
        assert others
        assert left == replace(record, **{listed: others})


def test_of_many_followers_the_living_stay():
    event = FollowEvent("followed", 1, (2, 3, 4), 5)

    assert without(event, {3}.__contains__) == FollowEvent("followed", 1, (2, 4), 5)
    assert without(event, {2, 3, 4}.__contains__) is None
    assert without(event, {1}.__contains__) is None


@pytest.mark.parametrize(
    "record",
    [
        AccountEvent("erased", 7, "", protected=False, at=1),
        ErasureTask(7, ErasureStep.POSTS, 0, 0, 1),
        PageChange("reader", (7,), 1),
    ],
)
def test_erasing_goes_on_and_so_does_what_tells_of_it(record):
    assert without(record, lambda _: True) is record


def test_a_repair_for_all_whom_a_reader_follows_names_no_author():
    task = RepairTask(0, (7,), 0, -1, 0, 10, at=1)

    assert without(task, {8}.__contains__) is task
    assert without(task, {7}.__contains__) is None


def test_a_mark_is_the_same_for_ever_and_does_not_hold_the_id():
    """Written to a topic that is never emptied: another function would forget everybody."""
    assert mark(4711) == "112ad6e15df42f368d9a8ea6d7555919"
    assert len({mark(one) for one in (*range(1000), 2**63 - 1, -1)}) == 1002


def test_the_steps_follow_each_other_to_the_end():
    task, seen = erasure.first(7, 1, start=-5), []
    while task is not None:
        seen.append((task.step, task.after, task.below))
        task = erasure.following(replace(task, after=99, below=98), start=-5)

    assert seen == [(step, -5, erasure.FOREVER) for step in ErasureStep]

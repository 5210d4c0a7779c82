"""A stage has stalled when it is idle, work waits, and nobody gets on with it; anything else is no stall."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.stalls import StallSample, stuck_since

PLACE = ("posts", 0)


def look(at_s, committed, end=10, idle_s=None):
    return StallSample(at_s, at_s if idle_s is None else idle_s, {PLACE: committed}, {PLACE: end})


def test_work_that_waits_while_nothing_moves_is_a_stall():
    stuck = stuck_since(None, look(5, 3))
    assert stuck is not None and stuck[0] == 5
    assert stuck_since(stuck, look(35, 3))[0] == 5


def test_without_work_nothing_is_stuck():
    assert stuck_since(None, look(5, 10)) is None
    assert stuck_since((0, look(0, 3)), look(5, 10)) is None


def test_a_group_that_never_committed_has_all_before_it():
    assert look(5, None).waiting == {PLACE: 10}
    assert look(5, None, end=0).waiting == {}


def test_who_had_a_batch_in_hand_meanwhile_is_stuck_since_then():
    assert stuck_since((0, look(0, 3)), look(20, 3, idle_s=6))[0] == 14


steps = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=8)


@given(steps)
def test_it_is_stuck_for_as_long_as_nothing_was_committed_and_something_waits(history):
    """Against the plain reading: back to the last look at which the group stood elsewhere or had nothing to do."""
    stuck, looks = None, []
    for at, (committed, more) in enumerate(history):
        one = look(at, committed, committed + more)
        looks.append(one)
        stuck = stuck_since(stuck, one)

    since = None
    for one in reversed(looks):
        if not one.waiting or one.committed != looks[-1].committed:
            break
        since = one.at_s
    assert (stuck and stuck[0]) == since


def test_unknown_partitions_do_not_count():
    """What the broker does not say is neither work nor rest."""
    one = replace(look(5, 3), committed={}, ends={})

    assert stuck_since((0, look(0, 3)), one) is None

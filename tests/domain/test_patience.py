"""An unknown schema id is waited for, and strangers' ids cost a bounded wait and a bounded number of look-ups."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain.patience import (
    AGAIN_S,
    BETWEEN_S,
    GRACE_S,
    MISSES,
    REFUSED_S,
    REMEMBERED,
    Next,
    Patience,
)


def ask(patience, schema_id, now):
    """As whoever looks up does, at a registry that holds nothing; returns what happened, and the answer."""
    then = patience.about(schema_id, now)
    return (True, patience.missing(schema_id, now)) if then is Next.ASK else (False, then)


def test_an_unknown_id_waits_and_is_asked_for_once_a_second():
    patience = Patience()

    assert ask(patience, 7, 100.0) == (True, Next.WAIT)
    assert ask(patience, 7, 100.0 + AGAIN_S - 0.001) == (False, Next.WAIT)
    assert ask(patience, 7, 100.0 + AGAIN_S) == (True, Next.WAIT)
    assert ask(patience, 7, 100.0 + GRACE_S) == (True, Next.REFUSE)


def test_all_ids_share_one_grace():
    patience = Patience()
    ask(patience, 7, 0.0)

    assert ask(patience, 8, GRACE_S - 0.001) == (True, Next.WAIT)
    assert ask(patience, 8, GRACE_S) == (False, Next.REFUSE)
    assert ask(patience, 9, BETWEEN_S - 0.001) == (True, Next.REFUSE)
    assert ask(patience, 10, BETWEEN_S) == (True, Next.WAIT)


def test_an_id_that_was_refused_is_asked_for_now_and_then_and_never_waited_for():
    patience = Patience()
    ask(patience, 7, 0.0)

    for minute in range(1, 10):
        assert ask(patience, 7, minute * BETWEEN_S) == (True, Next.REFUSE)
        assert ask(patience, 7, minute * BETWEEN_S + REFUSED_S - 0.01) == (False, Next.REFUSE)
        assert ask(patience, 7, minute * BETWEEN_S + REFUSED_S) == (True, Next.REFUSE)
    assert patience.about(7, 10 * BETWEEN_S) is Next.ASK
    patience.found(7)


def test_what_is_remembered_has_a_bound():
    patience = Patience()
    for number in range(REMEMBERED + 50):
        patience.missing(number, 0.0)

    assert len(patience._asked) == REMEMBERED


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0, 9)), min_size=1, max_size=120))
def test_whatever_ids_come_waits_and_look_ups_are_bounded(arrivals):
    """In any stretch of time: look-ups within the rate, and of each minute no more than a grace is waited."""
    patience, now, asked, waited = Patience(), 0.0, [], []
    for schema_id, pause in arrivals:
        now += pause
        looked_up, then = ask(patience, schema_id, now)
        assert then in (Next.WAIT, Next.REFUSE, Next.TOO_MANY)
        asked += [now] if looked_up else []
        waited += [now] if then is Next.WAIT else []

    for first in asked:
        for last in asked:
            within = sum(first <= one <= last for one in asked)
            assert within <= MISSES.burst + (max(last - first, 0)) * MISSES.per_second + 1
    starts = [waited[0]] if waited else []
    for at in waited:
        if at - starts[-1] >= GRACE_S:
            starts.append(at)
    assert all(after - before >= BETWEEN_S for before, after in pairwise(starts))

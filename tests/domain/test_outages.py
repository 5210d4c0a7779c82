"""What a tier is late by for want of a worker, held against a queue that is looked at once a second."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.outages import Outage

BUDGET_S = 10.0


class Queue:
    """A tier to which a post comes every second, and whose worker does `rate` posts a second while it lives.

    A worker that died is in its group for `session_s` more.
    """

    def __init__(self, session_s=0):
        self.now, self.done, self.session_s, self.dead_s = 0.0, 0.0, session_s, 0
        self.outage = Outage()

    def second(self, rate, *, alive=True):
        """One more second; returns the age of the oldest record, and what of it is not for want of a worker."""
        self.now += 1
        self.dead_s = 0 if alive else self.dead_s + 1
        self.done = min(self.now, self.done + rate * alive)
        age_s = self.now - self.done
        workers = int(self.dead_s <= self.session_s)
        self.outage = self.outage.observed(self.now, workers, age_s, min(float(self.dead_s), age_s), BUDGET_S)
        return age_s, max(age_s - self.outage.seconds, 0.0)


rates = st.floats(1.1, 20)


@given(st.lists(st.tuples(st.integers(1, 90), st.integers(0, 40), rates), min_size=1), st.integers(0, 10))
def test_no_outage_of_any_length_is_laid_to_those_who_post(outages, session_s):
    """The worker dies again and again, before and after it has caught up; it carries the load while it lives.

    From the outside it lives until its session is over, and a tier inside half its budget has caught up: so
    late it seems, and no later.
    """
    queue, most = Queue(session_s), session_s + BUDGET_S / 2
    queue.second(20)
    for dead, alive, rate in outages:
        for _ in range(session_s + dead):  # a shorter one nobody notices
            assert queue.second(rate, alive=False)[1] <= most
        for _ in range(alive):
            assert queue.second(rate)[1] <= most


@given(st.integers(1, 120), st.floats(0, 0.8))
def test_what_a_living_worker_cannot_carry_is_noticed_after_an_outage_too(dead, rate):
    """Of its budget more than it may have, once it has lost that much ground."""
    queue = Queue()
    queue.second(20)
    for _ in range(dead):
        queue.second(rate, alive=False)
    for _ in range(120):
        _, late_s = queue.second(rate)

    assert late_s > BUDGET_S


@given(st.integers(1, 60), rates)
def test_an_outage_is_over_once_the_tier_is_inside_half_its_budget(dead, rate):
    queue = Queue()
    queue.second(20)
    for _ in range(dead):
        queue.second(rate, alive=False)
    while queue.second(rate)[0] >= BUDGET_S / 2:
        assert queue.outage.seconds
    assert queue.outage == Outage(0.0, queue.now)


def test_after_most_was_made_up_for_only_what_is_left_counts():
    """A minute without a worker, of which 15 s are left to catch up: the next burst is somebody's."""
    outage = Outage(60.0, 0.0).observed(1.0, 1, 15.0, 0.0, BUDGET_S)

    assert outage.seconds == 25.0
    assert outage.observed(2.0, 1, 40.0, 0.0, BUDGET_S).seconds == 25.0


def test_a_tier_that_is_first_seen_without_a_worker_is_late_for_want_of_it():
    assert Outage().observed(0.0, 0, 3_600.0, 0.0, BUDGET_S).seconds == 3_600.0
    assert Outage().observed(0.0, 1, 3_600.0, 0.0, BUDGET_S).seconds == 0.0


def test_while_nobody_says_who_works_an_outage_goes_on_and_none_begins():
    down = Outage(5.0, 0.0, down=True)

    assert down.observed(3.0, None, None, 0.0, BUDGET_S) == Outage(8.0, 3.0, down=True)
    assert Outage(0.0, 0.0).observed(3.0, None, None, 9.0, BUDGET_S) == Outage(0.0, 3.0)

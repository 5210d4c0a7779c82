"""Cohorts: a reader is what the newest news say, versions grow, and nothing is done twice but what may be lost."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.cohorts import CohortChange, Known, after

NONE, WAKE, LAPSE = CohortChange.NONE, CohortChange.WAKE, CohortChange.LAPSE
kinds = st.sampled_from(["registered", "opened", "engaged", "lapsed", "rebuild", "updated"])
logs = st.lists(st.tuples(kinds, st.integers(1, 12)), max_size=12)


def told(log, known=None):
    """What is known after a log, an event a batch."""
    known = known or Known()
    for event in log:
        known = after(known, [event]).known
    return known


def test_the_life_of_a_reader():
    """
    ::

        registered 5 ─ wakes ─ lapsed 9 ─ sleeps ─ opened 12 ─ wakes ─ rebuild 13 ─ wakes again
    """
    known, changes = Known(), []
    for event in [("registered", 5), ("opened", 7), ("lapsed", 9), ("opened", 12), ("rebuild", 13)]:
        outcome = after(known, [event])
        changes.append((outcome.change, outcome.at))
        known = outcome.known

    assert changes == [(WAKE, 5), (NONE, 5), (LAPSE, 9), (WAKE, 12), (WAKE, 13)]
    assert known == Known(active=True, last_seen=12, cohort_at=13)


def test_a_lapse_counts_only_after_the_last_activity_and_the_last_change():
    """Limit − 1, limit, limit + 1 of each."""
    seen, woken = Known(True, last_seen=9, cohort_at=5), Known(True, last_seen=5, cohort_at=9)

    for known in (seen, woken):
        assert [after(known, [("lapsed", at)]).change for at in (8, 9, 10)] == [NONE, NONE, LAPSE]


def test_an_activity_wakes_a_dormant_reader_only_when_it_is_news():
    """One that was known before the lapse comes again in a replay."""
    dormant = Known(False, last_seen=9, cohort_at=20)

    assert [after(dormant, [("opened", at)]).change for at in (8, 9, 10)] == [NONE, NONE, WAKE]
    assert after(dormant, [("engaged", 10)]).at == 21, "older than the lapse, and yet a later version"
    assert after(dormant, [("registered", 30)]).change is NONE
    assert after(dormant, [("rebuild", 30)]).change is NONE


def test_a_stored_lapse_is_told_again_as_it_was():
    """The crash may have come between the table and the topic."""
    outcome = after(Known(False, 9, 20), [("lapsed", 20)])

    assert (outcome.change, outcome.at, outcome.known) == (LAPSE, 20, Known(False, 9, 20))
    assert after(Known(False, 9, 20), [("lapsed", 19)]).change is NONE
    assert after(Known(False, 9, 20), [("lapsed", 21)]).change is NONE


@given(logs, st.data())
def test_batches_do_not_matter(log, data):
    """What is known does not depend on where a batch ends."""
    cut = data.draw(st.integers(0, len(log)))

    first = after(Known(), log[:cut])
    both = after(first.known, log[cut:])

    assert both.known == told(log) == after(Known(), log).known


@given(logs)
def test_every_change_has_a_later_version_and_nothing_else_has(log):
    """Also for those who were never seen. A lapse told again keeps its own."""
    known = Known()
    for event in log:
        outcome = after(known, [event])
        again = outcome.change is LAPSE and known.active is False
        assert (outcome.known.cohort_at > known.cohort_at) == (outcome.change is not NONE and not again)
        assert outcome.at == outcome.known.cohort_at
        if outcome.change is NONE or again:
            assert (outcome.known.active, outcome.known.cohort_at) == (known.active, known.cohort_at)
        known = outcome.known


@given(st.lists(st.tuples(kinds, st.integers(1, 12)), max_size=12), st.data())
def test_a_log_that_comes_again_changes_nothing(log, data):
    """From anywhere to its end, when its times grow as a topic's do."""
    ordered = [(kind, 10 * n + at % 10) for n, (kind, at) in enumerate(log)]
    known = told(ordered)

    again = told(ordered[data.draw(st.integers(0, len(log))) :], known)

    assert again == known


@given(logs)
def test_any_log_ends_in_what_its_news_say(log):
    """An oracle of its own: in order of arrival, who is seen later than ever is active, who lapses after all is not."""
    active, seen, changed = None, 0, 0
    for kind, at in log:
        if kind in ("opened", "engaged"):
            if active is None or (not active and at > seen):
                active, changed = True, max(at, changed + 1)
            seen = max(seen, at)
        elif kind == "registered" and active is None:
            active, changed = True, max(at, changed + 1)
        elif kind == "lapsed" and active and at > seen and at > changed:
            active, changed = False, at
        elif kind == "rebuild" and active and at > changed:
            changed = at

    assert told(log) == Known(active, seen, changed)

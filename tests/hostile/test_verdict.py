"""The verdict goes red for each thing that can be wrong, and for nothing else."""

from collections import Counter
from types import SimpleNamespace

import pytest

from tests.hostile.mutants import Fate, Mutant
from tests.hostile.run import Hostile, Report, _less, _p99_of


def mutant(fate, *reasons):
    return Mutant("kind", "posts", b"1", b"", [], fate, frozenset(reasons))


def letter(place, reason):
    topic, partition, offset = place
    told = {
        "topic": topic,
        "partition": str(partition),
        "offset": str(offset),
        "exception": reason,
        "message": "why",
    }
    return SimpleNamespace(
        key=lambda: b"1", headers=lambda: [(f"__streams.errors.{n}", v.encode()) for n, v in told.items()]
    )


HERE, ELSEWHERE = ("posts", 0, 7), ("posts", 1, 7)


@pytest.mark.parametrize(
    ("made", "letters", "red"),
    [
        (mutant(Fate.REFUSED, "clock"), {HERE: "clock"}, ""),
        (mutant(Fate.REFUSED, "clock"), {}, "had to be refused and were not"),
        (mutant(Fate.REFUSED, "clock"), {HERE: "KeyError"}, "were refused for another reason"),
        (mutant(Fate.REFUSED), {HERE: "unreadable"}, ""),
        (mutant(Fate.TAKEN), {}, ""),
        (mutant(Fate.TAKEN), {HERE: "field"}, "were taken to be, and are dead letters"),
        (mutant(Fate.UNSEEN), {HERE: "codec"}, "were unseen to be, and are dead letters"),
        (mutant(Fate.EITHER), {HERE: "codec"}, ""),
        (mutant(Fate.EITHER), {}, ""),
        (mutant(Fate.TAKEN), {ELSEWHERE: "codec"}, "dead letters are of nothing hostile"),
    ],
)
def test_what_was_sent_is_held_against_the_dead_letters(made, letters, red):
    run = Hostile.__new__(Hostile)
    run.report = Report(1, 1.0)
    run._letters = lambda: [letter(place, reason) for place, reason in letters.items()]

    run._reconcile({HERE: made})

    assert bool(run.report.problems) == bool(red)
    assert all(red in problem for problem in run.report.problems)
    assert run.report.document()["clean"] is not bool(red)


INF = float("inf")


def test_p99_is_where_prometheus_has_it():
    """Between the ends of its bucket; of what a round has written alone."""
    before = Counter({0.1: 50, 0.5: 100, INF: 100})
    after = Counter({0.1: 140, 0.5: 200, INF: 200})

    assert _less(after, before) == Counter({0.1: 90, 0.5: 100, INF: 100})
    assert _p99_of(_less(after, before)) == pytest.approx(0.1 + 0.4 * 9 / 10)
    assert _p99_of(Counter({0.1: 0, 0.5: 10, INF: 100})) == 0.5


@pytest.mark.parametrize(("hostile", "red"), [({0.1: 300, INF: 300}, 0), ({0.1: 0, 0.5: 300, INF: 300}, 1)])
def test_a_tier_that_became_later_is_red_where_times_are_part_of_the_verdict(hostile, red):
    for ratios in (True, False):
        run = Hostile.__new__(Hostile)
        run.report, run._say = Report(1, 1.0), lambda text: None
        quiet = Counter({0.1: 300, 0.5: 300, INF: 300})
        both = quiet + Counter({0.1: 0, 0.5: 300, **hostile})

        run._p99({"small": Counter()}, {"small": quiet}, {"small": both}, ratios=ratios)

        assert len(run.report.problems) == (red if ratios else 0)

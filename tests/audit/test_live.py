"""Many verdicts become one table, and who cannot be asked is no verdict."""

import asyncio

import pytest

from pipeline import topology
from pipeline.audit import live
from pipeline.audit.live import Tally, auditor_of
from pipeline.audit.verdicts import Found, Verdict
from pipeline.domain.audit import Feed, Finding
from pipeline.errors import TidelineError
from pipeline.store.memory import memory_stores

PUSH, PULL = ("push", "active", "push"), ("pull", "dormant", "pull")


def found(kind, post=5, path="push", author_class="push", cohort="active"):
    return Found(1, Finding(kind, post, 10, path), author_class, cohort, "small")


def verdict(*findings, posts=None):
    return Verdict(1, 2, 0, posts or {PUSH: 3}, findings, 0.1)


def tally_of(*verdicts):
    made = Tally()
    for each in verdicts:
        made.add(each)
    return made


def test_counts_are_by_class_cohort_and_path():
    missing = found("missing", path="pull", author_class="pull", cohort="dormant")

    document = tally_of(verdict(found("row_missing")), verdict(missing, posts={PUSH: 2, PULL: 4})).document()

    assert document["breakdown"] == [
        {
            **dict(zip(("author_class", "cohort", "path"), labels, strict=True)),
            **dict.fromkeys(live.ALL_KINDS, 0),
            "posts": posts,
            kind: 1,
        }
        for labels, posts, kind in ((PULL, 4, "missing"), (PUSH, 5, "row_missing"))
    ]
    assert (document["clean"], document["readers"], document["pages"], document["posts"]) == (False, 2, 4, 9)
    assert (document["missing"], document["row_missing"], document["row_left"]) == (1, 1, 0)


def test_an_example_says_where_to_look_and_what_to_do():
    (example,) = tally_of(verdict(found("row_missing"))).document()["examples"]

    assert (example["reader_id"], example["post_id"], example["kind"]) == (1, 5, "row_missing")
    assert example["look_at"] == "fanout.small or timeline_by_reader"
    assert example["next"] == "tideline rebuild 1"


def test_rows_that_are_left_over_are_counted_and_leave_it_clean():
    tally = tally_of(verdict(found("row_left")))

    assert tally.clean
    assert (tally.document()["row_left"], tally.document()["examples"]) == (1, [])


def test_examples_are_kept_up_to_a_bound_and_faults_counted_beyond():
    tally = tally_of(*[verdict(*[found("missing", post) for post in range(15)])] * 2)

    assert (len(tally.examples), tally.faults) == (live.MAX_EXAMPLES, 30)


async def readers(*ids):
    for reader in ids:
        yield reader


async def test_every_reader_is_examined_a_bounded_number_at_once(monkeypatch):
    monkeypatch.setattr(live, "WAITING", 3)
    open_now, most = 0, 0

    async def examine(reader_id):
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(0)
        open_now -= 1
        return verdict()

    tally = Tally()
    await live.audit(readers(*range(20)), examine, tally)

    assert (tally.readers, most) == (20, 3)


async def test_a_reader_who_cannot_be_looked_at_ends_it():
    async def examine(reader_id):
        raise TidelineError("away", "tideline status")

    with pytest.raises(TidelineError, match="away"):
        await live.audit(readers(1, 2), examine, Tally())


async def no_feed(reader_id, down_to):
    return Feed([])


def test_a_post_has_the_largest_lag_budget_to_reach_its_readers():
    """30 s in the default profile, unless somebody knows better."""
    limits = auditor_of(memory_stores(), topology.load(), no_feed).limits

    assert (limits.patience_ms, limits.margin_ms) == (30_000, 60_000)
    assert auditor_of(memory_stores(), topology.load(), no_feed, 0).limits.patience_ms == 0

"""The last line of `tideline trace`: what is not known is never visible."""

from dataclasses import replace

from pipeline.cli._trace_shown import verdict, visible
from pipeline.ops.trace import Trace
from pipeline.ops.trace_reached import Reached
from pipeline.ops.trace_topics import Hop
from pipeline.store.values import StoredPost
from pipeline.wire.records import AuthorClass

STORED = StoredPost(5, 7, 1, "public", "", "", (), None, deleted=False, taken_down=frozenset())
TASK = Hop("fanout.small", "task", "fanout.small", 0, 3, 1, True, 0, (0, 0))
DONE = Trace(
    post_id=5,
    author_id=7,
    published_ms=1,
    stored=STORED,
    suspended=False,
    author_class=AuthorClass.PUSH,
    reason="plain push",
    tier="small",
    hops=(Hop("classify", "published", "posts", 0, 3, 1, True, 0), TASK),
    letters=(),
    cut=(),
    reached=Reached(10, 10, 9, 1),
)


def said(**changes):
    found = replace(DONE, **changes)
    return visible(found), verdict(found).partition(":")[0]


def test_what_is_written_or_pulled_is_visible():
    assert said() == (True, "visible to all")
    assert said(hops=()) == (
        True,
        "visible to all",
    )  # its tasks are gone from the topics; everybody was asked


def test_a_position_that_kafka_does_not_tell_is_not_a_done_one():
    assert said(hops=(replace(TASK, done=None, before=None),)) == (None, "not known")


def test_a_segment_whose_rest_was_not_seen_is_not_known_to_be_written():
    assert said(hops=(replace(TASK, segments=(0, 4)),), cut=("fanout.small",)) == (None, "not known")


def test_a_sample_alone_does_not_stand_for_everybody():
    assert said(hops=(), reached=Reached(9_999, 1_000, 1_000, 0)) == (None, "not known")


def test_readers_with_neither_a_row_nor_a_pull_are_told():
    assert said(reached=Reached(10, 10, 8, 1)) == (
        False,
        "written, but 1 of those asked neither have the row nor pull it",
    )


def test_who_is_hidden_is_visible_to_nobody_whatever_is_written():
    gone = replace(STORED, taken_down=frozenset({"*"}))

    assert said(suspended=True) == said(stored=gone) == (False, "visible to nobody")


def test_a_post_in_no_table_is_not_visible():
    assert said(stored=None, reached=None) == (False, "not known")


def test_what_waits_longest_is_named():
    late = replace(TASK, done=False, before=41, partition=3)

    found = replace(DONE, hops=(replace(late, before=2, partition=1), late))

    assert verdict(found).startswith(
        "waiting at fanout.small partition 3, 41 records before it, as do 1 other"
    )

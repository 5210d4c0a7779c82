"""Repairs: the steps of a task together are the task, each of them is bounded, and they end."""

from collections import Counter
from dataclasses import replace
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain import repair
from pipeline.wire.records import RepairTask

BOUND = 500


def task(**fields):
    shape = {"author_id": 7, "reader_ids": (), "first_segment": 0, "last_segment": -1, "lo": 0, "hi": BOUND}
    return RepairTask(**{**shape, "at": 5, **fields})


@given(st.integers(0, 5), st.integers(-1, 30))
def test_a_range_of_segments_is_cut_into_one_each(first, more):
    """Each once, in order; a task that names its readers stays whole."""
    whole, seen = task(first_segment=first, last_segment=first + more), []
    while whole is not None:
        one, whole = repair.split(whole)
        assert one.last_segment <= one.first_segment
        seen.append((one.first_segment, one.last_segment))

    segments = range(first, first + more + 1)
    assert seen == ([(n, n) for n in segments] if more >= 0 else [(first, first - 1)])


@given(st.sets(st.integers(0, 520), max_size=40), st.sampled_from([1, 3, 250, 999, 1000]), st.integers(0, 60))
def test_the_steps_of_an_author_are_all_posts_once(posts, readers, lo):
    """Newest first, at most 1,000 rows a step, whatever the number of readers."""
    left, done, asked = task(lo=lo), [], repair.posts_a_step(readers)
    assert asked * readers <= repair.ROWS and asked >= 1
    for _ in range(len(posts) + 2):
        found = sorted((p for p in posts if left.lo <= p < left.hi), reverse=True)[:asked]
        done += found
        left = repair.left_of_author(left, found, asked)
        if left is None:
            break

    assert left is None
    assert done == sorted((p for p in posts if lo <= p < BOUND), reverse=True)


def test_more_readers_than_rows_still_get_a_post_a_step():
    assert [repair.posts_a_step(n) for n in (0, 1, 500, 501, 1000, 1001)] == [1000, 1000, 2, 1, 1, 1]


authors = st.dictionaries(st.integers(1, 60), st.sets(st.integers(1, 520), max_size=9), max_size=40)
follows = st.dictionaries(st.integers(1, 9), st.sets(st.integers(1, 60)), min_size=1, max_size=5)


@given(authors, follows, st.integers(0, 60), st.data())
def test_the_steps_of_readers_are_all_posts_of_all_they_follow_once(posts_of, follows, lo, data):
    """Bounded at each side; one that is left in between or comes in between changes nothing for the others."""
    sizes = {name: data.draw(st.integers(1, 6), name) for name in ("AUTHORS", "FOLLOWEES", "ROWS")}
    asked = data.draw(st.integers(1, 4), "asked")
    left, done = task(author_id=0, reader_ids=tuple(follows), lo=lo, covered_from=BOUND), []
    leaves = data.draw(st.sets(st.sampled_from(sorted(posts_of)))) if posts_of else set()
    with patch.multiple(repair, **sizes):
        for step in range(2000):
            now = {r: sorted(f - leaves if step else f) for r, f in follows.items()}
            known = {r: [a for a in f if a > left.after_author][: repair.FOLLOWEES] for r, f in now.items()}
            until = repair.known_until(known)
            of = Counter(a for some in known.values() for a in some if a <= until and a in posts_of)
            turn, until = repair.next_authors(of, until)
            assert len(turn) <= repair.AUTHORS
            found = {
                a: sorted((p for p in posts_of[a] if lo <= p < repair.below(left, a)), reverse=True)[:asked]
                for a in turn
            }
            posts, left = repair.left_of_all(left, found, of, asked, until)
            rows = sum(len(some) * of[a] for a, some in posts.items())
            assert rows <= max(repair.ROWS, len(follows))
            done += [(r, a, p) for a, some in posts.items() for p in some for r in follows if a in known[r]]
            if left is None:
                break
        else:
            raise AssertionError("never ends")

    wanted = {
        (r, a, p) for r, f in follows.items() for a in f for p in posts_of.get(a, ()) if lo <= p < BOUND
    }
    assert len(done) == len(set(done))
    assert set(done) <= wanted
    assert {(r, a, p) for r, a, p in wanted if a not in leaves} <= set(done)


def test_a_step_of_one_reader_may_read_a_whole_turn():
    assert repair.AUTHORS * repair.POSTS_EACH <= repair.ROWS


@given(st.integers(0, 300))
def test_groups_name_every_reader_once(count):
    """In their order, and what else the task says."""
    whole = task(author_id=0, reader_ids=tuple(range(500)), covered_from=9)

    groups = repair.groups(whole, range(count))

    assert [reader for one in groups for reader in one.reader_ids] == list(range(count))
    assert all(0 < len(one.reader_ids) <= repair.READERS for one in groups)
    assert {replace(one, reader_ids=whole.reader_ids) for one in groups} <= {whole}


@given(st.integers(0, 3_500), st.integers(0, 5))
def test_tasks_name_every_reader_once_and_a_segments_worth_at_most(count, author):
    """One message costs one segment, however many readers one cause is about."""
    readers = list(range(count))

    tasks = list(repair.for_readers(author, readers, hi=9, at=1, covered_from=9))

    assert [reader for task in tasks for reader in task.reader_ids] == readers
    assert all(0 < len(task.reader_ids) <= repair.ROWS for task in tasks)

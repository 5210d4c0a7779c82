"""Repairs: the steps of a task together are the task, each of them is bounded, and they end."""

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


@given(authors, st.integers(1, 4), st.integers(0, 60), st.data())
def test_the_steps_of_a_reader_are_all_posts_of_all_authors_once(posts_of, asked, lo, data):
    """Author by author; one that is left in between or comes in between changes nothing for the others."""
    left, done = task(author_id=0, reader_ids=(1,), lo=lo, covered_from=BOUND), []
    leaves = data.draw(st.sets(st.sampled_from(sorted(posts_of)))) if posts_of else set()
    for step in range(1000):
        followees = [a for a in posts_of if not step or a not in leaves]
        turn = repair.next_authors(left, followees)
        if not turn:
            break
        assert len(turn) <= repair.AUTHORS
        his = [left.hi if turn[0] == left.after_author + 1 else BOUND] + [BOUND] * (len(turn) - 1)
        found = {
            a: sorted((p for p in posts_of[a] if lo <= p < hi), reverse=True)[:asked]
            for a, hi in zip(turn, his, strict=True)
        }
        read, left = repair.left_of_all(left, turn, found, asked)
        assert read == turn[: len(read)] and read
        done += [(a, p) for a in read for p in found[a]]
    else:
        raise AssertionError("never ends")

    wanted = {(a, p) for a, posts in posts_of.items() for p in posts if lo <= p < BOUND}
    assert len(done) == len(set(done))
    assert set(done) <= wanted
    assert {(a, p) for a, p in wanted if a not in leaves} <= set(done)
    assert repair.AUTHORS * repair.POSTS_EACH <= repair.ROWS


@given(st.integers(0, 3_500), st.integers(0, 5))
def test_tasks_name_every_reader_once_and_a_segments_worth_at_most(count, author):
    """One message costs one segment, however many readers one cause is about."""
    readers = list(range(count))

    tasks = list(repair.for_readers(author, readers, hi=9, at=1, covered_from=9))

    assert [reader for task in tasks for reader in task.reader_ids] == readers
    assert all(0 < len(task.reader_ids) <= repair.ROWS for task in tasks)

"""Repairs in steps: one message does a bounded number of rows, newest posts first, and says what is left.

A task names posts (of one author, or of all whom the readers follow) and timelines (of named readers, or of
the followers in a range of segments). `split` leaves one segment, `left_of_author` goes on below the
last post done, `left_of_all` from followee to followee, for all its readers together.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from pipeline.domain import segments
from pipeline.wire.records import RepairTask

ROWS = 1_000
"""Rows of one step: what one segment of followers costs."""

AUTHORS = 16
"""Followees whose posts one step reads."""

POSTS_EACH = ROWS // AUTHORS

READERS = 64
"""Readers whose followees one step goes through."""

FOLLOWEES = 64
"""Followees of each that it looks at."""

_LAST = 2**63 - 1


def for_readers(
    author_id: int, readers: Sequence[int], *, hi: int, at: int, covered_from: int = 0
) -> Iterator[RepairTask]:
    """Tasks about an author's posts below `hi` (author 0: all followees') for these readers, ROWS a task."""
    for first in range(0, len(readers), ROWS):
        some = tuple(readers[first : first + ROWS])
        yield RepairTask(author_id, some, 0, -1, 0, hi, at=at, covered_from=covered_from)


def for_followers(
    author_id: int, segment_count: int, most: int, *, lo: int, hi: int, at: int
) -> Iterator[RepairTask]:
    """Tasks about some posts for all followers of their author, `most` at most."""
    for part in segments.tasks(segment_count, most):
        yield RepairTask(author_id, (), part.first, part.last, lo, hi, at=at)


def split(task: RepairTask) -> tuple[RepairTask, RepairTask | None]:
    """The part for one segment, and the one for the others; a task that names its readers stays whole."""
    if task.last_segment <= task.first_segment:
        return task, None
    return (
        replace(task, last_segment=task.first_segment),
        replace(task, first_segment=task.first_segment + 1),
    )


def posts_a_step(readers: int) -> int:
    """How many posts can be done for this many readers at once."""
    return max(1, ROWS // max(readers, 1))


def left_of_author(task: RepairTask, found: Sequence[int], asked: int) -> RepairTask | None:
    """What is left after these posts, newest first, of `asked`; None: the author is done."""
    return replace(task, hi=found[-1]) if len(found) >= asked and found[-1] > task.lo else None


def groups(task: RepairTask, readers: Sequence[int]) -> list[RepairTask]:
    """The same for these readers alone, READERS a task."""
    return [
        replace(task, reader_ids=tuple(readers[first : first + READERS]))
        for first in range(0, len(readers), READERS)
    ]


def known_until(followees: Mapping[int, Sequence[int]]) -> int:
    """Up to which author everybody's followees are known: `followees`, by reader, in order of id, are the
    next FOLLOWEES of each.
    """
    return min((ids[-1] for ids in followees.values() if len(ids) >= FOLLOWEES), default=_LAST)


def next_authors(posting: Iterable[int], until: int) -> tuple[list[int], int]:
    """The followees whose turn it is, of those that have posted, and the author up to whom all are then."""
    turn = sorted(posting)
    return (turn, until) if len(turn) <= AUTHORS else (turn[:AUTHORS], turn[AUTHORS - 1])


def below(task: RepairTask, author: int) -> int:
    """Below which post a followee is read: where the last step stopped in them, else below the bound."""
    return task.hi if author == task.after_author + 1 else task.covered_from


def left_of_all(
    task: RepairTask, found: Mapping[int, Sequence[int]], readers: Mapping[int, int], asked: int, until: int
) -> tuple[dict[int, Sequence[int]], RepairTask | None]:
    """By followee the posts of this step, ROWS of rows at most, and the task that goes on after them; None:
    all are done.

    `found`: the posts of each, newest first, in order of followees, `asked` at most; `readers`: how many of
    the task's follow each. The first followee that holds more is the last of the step: the next goes on
    inside it.
    """
    room, done = ROWS, dict[int, Sequence[int]]()
    for author, posts in found.items():
        fits = max(room // readers[author], 0 if done else 1)
        done[author] = posts[:fits]
        room -= len(done[author]) * readers[author]
        if len(posts) > fits or (len(posts) >= asked and posts[-1] > task.lo):
            hi = done[author][-1] if done[author] else below(task, author)
            return done, replace(task, hi=hi, after_author=author - 1)
    return done, None if until == _LAST else replace(task, hi=task.covered_from, after_author=until)

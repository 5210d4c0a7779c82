"""Repairs in steps: one message does a bounded number of rows, newest posts first, and says what is left.

A task names posts (of one author, or of all whom the readers follow) and timelines (of named readers, or of
the followers in a range of segments). `split` leaves one segment, `left_of_author` goes on below the
last post done, `left_of_all` from followee to followee.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from pipeline.domain import segments
from pipeline.wire.records import RepairTask

ROWS = 1_000
"""Rows of one step: what one segment of followers costs."""

AUTHORS = 16
"""Followees looked at in one step."""

POSTS_EACH = ROWS // AUTHORS


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


def next_authors(task: RepairTask, followees: Sequence[int]) -> list[int]:
    """The followees whose turn it is, in order of id; none: all are done."""
    return sorted(author for author in followees if author > task.after_author)[:AUTHORS]


def below(task: RepairTask, author: int) -> int:
    """Below which post a followee is read: where the last step stopped in them, else below the bound."""
    return task.hi if author == task.after_author + 1 else task.covered_from


def left_of_all(
    task: RepairTask, turn: Sequence[int], found: Mapping[int, Sequence[int]], asked: int
) -> tuple[list[int], RepairTask]:
    """The followees of this turn that count as read, and the task that goes on after them.

    `found`: the posts of each, newest first, below `task.hi` for the first and the bound for the others.
    The first of them that holds more is the last that counts: the next step goes on inside it.
    """
    for place, author in enumerate(turn):
        if len(found[author]) >= asked and found[author][-1] > task.lo:
            return list(turn[: place + 1]), replace(task, hi=found[author][-1], after_author=author - 1)
    return list(turn), replace(task, hi=task.covered_from, after_author=turn[-1])

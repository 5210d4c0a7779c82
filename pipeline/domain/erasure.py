"""Erased accounts: how one is remembered without its id, what is left of events about it, and the steps in
which it leaves the tables.

An erased id stays erased, but it must not stand anywhere. What is kept is a `mark` of it: whoever holds an id
can ask whether it is erased, nobody can list the ids (`docs/decisions/0025-erased-accounts.md`).
"""

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from hashlib import blake2b
from typing import Any

from pipeline.wire.enums import EventType
from pipeline.wire.records import (
    AccountEvent,
    ActivityEvent,
    ErasureTask,
    FanoutTask,
    FollowEvent,
    ModerationEvent,
    PostEvent,
    RepairTask,
)

FOREVER = 2**63 - 1
"""The write time of an erasure: nothing that is written about the account, then or later, is newer."""

IsErased = Callable[[int], bool]


def mark(account_id: int) -> str:
    """What an erased id is remembered by: 128 bits, so that no other account ever has the same."""
    data = account_id.to_bytes(8, "big", signed=True)
    return blake2b(data, digest_size=16, person=b"tideline.erased").hexdigest()


def without(record: Any, erased: IsErased) -> Any:
    """What is left of a record when erased accounts are taken out of it; None: it is about one.

    Nothing is about an erased account any more: not what it does, not what others do to it. Of a list of
    readers the others stay. Records that are about no account are left as they are.
    """
    match record:
        case AccountEvent(type=kind, user_id=account):
            return record if kind == EventType.ERASED or not erased(account) else None
        case FollowEvent(author_id=author, follower_ids=readers):
            left = () if erased(author) else _living(readers, erased)
            return None if readers and not left else _with(record, "follower_ids", left)
        case RepairTask(author_id=author, reader_ids=readers):
            left = () if author and erased(author) else _living(readers, erased)
            gone = (readers and not left) or (author and erased(author))
            return None if gone else _with(record, "reader_ids", left)
        case PostEvent(author_id=author) | FanoutTask(author_id=author):
            return None if erased(author) else record
        case ActivityEvent(reader_id=reader, author_id=author):
            return None if any(one and erased(one) for one in (reader, author)) else record
        case ModerationEvent(reader_id=reader, author_id=author):
            return None if any(one and erased(one) for one in (reader, author)) else record
    return record


def _living(readers: tuple[int, ...], erased: IsErased) -> tuple[int, ...]:
    return tuple(reader for reader in readers if not erased(reader))


def _with(record: Any, field: str, ids: tuple[int, ...]) -> Any:
    return record if getattr(record, field) == ids else replace(record, **{field: ids})


class ErasureStep(StrEnum):
    """What is taken out, in this order. A step reads what those after it remove, never what one before did.

    posts      bodies, media and counters of the account's posts
    audience   its rows in its followers' timelines, then their edges and segments
    relations  the other side of its blocks
    mentions   what else readers' tables say of it: mutes, hides, engagements, edges that had ended
    followees  its place in the segments of those it followed; late, for an edge that was being made meanwhile
    late       posts again: of one that was being stored while the first step went by
    account    everything that is kept under its own id, and its records in compacted topics
    """

    POSTS = "posts"
    AUDIENCE = "audience"
    RELATIONS = "relations"
    MENTIONS = "mentions"
    FOLLOWEES = "followees"
    LATE = "late"
    ACCOUNT = "account"


def first(account_id: int, at: int, start: int) -> ErasureTask:
    """The task that an erased account begins with. `start`: where stores begin to list readers."""
    return ErasureTask(account_id, ErasureStep.POSTS, start, FOREVER, at)


def following(task: ErasureTask, start: int) -> ErasureTask | None:
    """The task of the next step; None: this was the last."""
    steps = list(ErasureStep)
    place = steps.index(ErasureStep(task.step)) + 1
    return None if place == len(steps) else replace(task, step=steps[place], after=start, below=FOREVER)

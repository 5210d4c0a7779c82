"""Events as users write them, about ids that nobody else on the shared engines has."""

import random
import threading
import time
from collections.abc import Iterable
from itertools import count
from typing import Any

from tests.waiting import eventually

Event = dict[str, Any]

_EPOCH_MS = 1_577_836_800_000
_SEQUENCE_BITS = 22

_ids = count(random.getrandbits(40) << 20)
_sequence = count(random.getrandbits(16))
_latest = 0
_turn = threading.Lock()

_AHEAD_MS = 300
"""A third of what the profile lets an event be ahead."""


def take(number: int) -> list[int]:
    """Ids of readers and authors that are the caller's alone."""
    return [next(_ids) for _ in range(number)]


def clock_ms() -> int:
    """The wall clock in ms."""
    return time.time_ns() // 1_000_000


def now() -> int:
    """The wall clock in ms, and never the same time twice: no two events of these tests are simultaneous.

    Thousands made in a loop would lie seconds in the future, where the broker's time lets none be: it waits.
    """
    global _latest
    with _turn:
        _latest = max(time.time_ns() // 1_000_000, _latest + 1)
        eventually(lambda: time.time_ns() // 1_000_000 >= _latest - _AHEAD_MS, 60)
        return _latest


def at_once(authors: Iterable[int], body: str = "hello") -> list[Event]:
    """A post of each of these authors, all made in the same millisecond, when the clock has come so far.

    No two events are simultaneous elsewhere.
    """
    at = now()
    eventually(lambda: time.time_ns() // 1_000_000 >= at, 60)
    return [post(author, body, at=at) for author in authors]


def post_id_at(at: int) -> int:
    """A post id of this time (ms) that no other post has."""
    return (at - _EPOCH_MS) << _SEQUENCE_BITS | next(_sequence) % (1 << _SEQUENCE_BITS)


def time_of(bound: int) -> int:
    """The time (ms) of a post id or of a bound."""
    return (bound >> _SEQUENCE_BITS) + _EPOCH_MS


def post(author: int, body: str = "hello", *, at: int = 0, **more: Any) -> Event:
    """A post made now, or at this time."""
    created = at or now()
    event = {
        "topic": "posts",
        "type": "published",
        "post_id": post_id_at(created),
        "author_id": author,
        "created_at": created,
        "body": body,
    }
    return event | more


def edited(published: Event, **changes: Any) -> Event:
    """An edit of a post, made now."""
    return _about(published, "edited") | changes


def deleted(published: Event) -> Event:
    """The end of a post."""
    return _about(published, "deleted")


def _about(published: Event, kind: str) -> Event:
    ids = {name: published[name] for name in ("post_id", "author_id")}
    return {"topic": "posts", "type": kind, **ids, "at": now()}


def followed(author: int, *readers: int) -> Event:
    """These readers follow the author."""
    return _edge("followed", author, readers)


def unfollowed(author: int, *readers: int) -> Event:
    """These readers leave the author."""
    return _edge("unfollowed", author, readers)


def _edge(kind: str, author: int, readers: tuple[int, ...]) -> Event:
    return {"topic": "follows", "type": kind, "author_id": author, "follower_ids": [*readers], "at": now()}


def account(reader: int, region: str, kind: str = "registered") -> Event:
    """An account in a region."""
    return {"topic": "accounts", "type": kind, "user_id": reader, "region": region, "at": now()}


def introduced(reader: int) -> Event:
    """The oldest account there can be: any other event about it wins."""
    return account(reader, "") | {"at": 946_684_800_000}


def opened(reader: int) -> Event:
    """A reader opens their feed."""
    return {"topic": "activity", "type": "opened", "reader_id": reader, "at": now()}


def lapsed(reader: int) -> Event:
    """Nobody has heard of the reader for long; what the pipeline tells itself, so `tideline publish` refuses it."""
    return {"topic": "reader.marks", "type": "lapsed", "reader_id": reader, "at": now()}


def moderation(kind: str, **about: Any) -> Event:
    """A block, mute, suspension or take-down, or the end of one."""
    return {"topic": "moderation", "type": kind, **about, "at": now()}


def about_a_post(kind: str, reader: int, published: Event) -> Event:
    """A reader engaged with a post, hid it, or wants to see it again."""
    ids = {name: published[name] for name in ("post_id", "author_id")}
    return {"topic": "activity", "type": kind, "reader_id": reader, **ids, "at": now()}

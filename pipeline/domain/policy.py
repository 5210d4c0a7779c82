"""The class of an author, and the short history of classes that both paths look posts up in.

The class of a post is a lookup by its id in that history, so a late or replayed post gets the class it had;
only a post newer than any before it can add an entry.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.records import AuthorClass, RouteEntry, RouteRecord

Entries = Sequence[RouteEntry]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Followers: below `push_below` push, from `pull_above` on pull, between the two partial.

    A class is left downwards only below (1 - hysteresis) of the threshold that led into it.
    """

    push_below: int
    pull_above: int
    hysteresis: float = 0.2


def classify(followers: int, current: AuthorClass, thresholds: Thresholds) -> AuthorClass:
    """The class for this many followers, given the class in force."""
    push_below, pull_above = thresholds.push_below, thresholds.pull_above
    if current is AuthorClass.PULL:
        pull_above = _left_below(pull_above, thresholds.hysteresis)
    if current is not AuthorClass.PUSH:
        push_below = _left_below(push_below, thresholds.hysteresis)
    if followers >= pull_above:
        return AuthorClass.PULL
    return AuthorClass.PUSH if followers < push_below else AuthorClass.PARTIAL


def _left_below(threshold: int, hysteresis: float) -> int:
    """The followers below which a class is left; never 0, which nobody is below."""
    return math.ceil(round(threshold * (1 - hysteresis), 6))  # 100 less 43 % is 57, not 57.00000000000001


def class_of(post_id: int, entries: Entries) -> AuthorClass:
    """The class of a post: that of the newest entry at or before it; plain push where there is none."""
    for entry in reversed(entries):
        if entry.since_post_id <= post_id:
            return entry.author_class
    return AuthorClass.PUSH


def route_for(
    post_id: int,
    record: RouteRecord,
    followers: int,
    thresholds: Thresholds,
    window_start: int,
) -> RouteRecord:
    """The author's record once this post is known. The record comes back unchanged for an old post.

    An entry is added when the class changes; entries that no post of the window can be looked up in are
    pruned, except the one in force at the window's start.
    """
    if post_id <= record.latest_post_id:
        return record
    current = class_of(post_id, record.entries)
    wanted = classify(followers, current, thresholds)
    entries = tuple(record.entries)
    if wanted is not current:
        limits = f"push below {thresholds.push_below}, pull from {thresholds.pull_above}"
        reason = f"{followers} followers, {limits}"
        entries += (RouteEntry(post_id, wanted, reason),)
    return RouteRecord(record.author_id, prune(entries, window_start), post_id)


def prune(entries: Entries, window_start: int) -> tuple[RouteEntry, ...]:
    """Drop entries overtaken before the window starts; a leading `push` says nothing and goes too."""
    in_force = max((i for i, e in enumerate(entries) if e.since_post_id <= window_start), default=0)
    kept = tuple(entries[in_force:])
    if kept and kept[0].author_class is AuthorClass.PUSH and kept[0].since_post_id <= window_start:
        kept = kept[1:]
    return kept


def is_plain_push(entries: Entries) -> bool:
    """Whether readers need no record of this author: every post of the window is pushed to everyone."""
    return not entries

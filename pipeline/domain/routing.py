"""The class of an author, and the short history of classes that both paths look posts up in.

The class of a post is a lookup by its id in that history, so a late or replayed post gets the class it had;
only a post newer than any before it can add an entry. What that post gets: forced by an operator > contained
while something is out of budget > cheaper to pull > by followers, and the entry's reason says which.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipeline.domain import cost, snowflake
from pipeline.domain.containment import Contained
from pipeline.wire.records import AuthorClass, ForcedClass, RouteEntry, RouteRecord

Entries = Sequence[RouteEntry]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Followers: below `push_below` push, from `pull_above` on pull, between the two partial.

    A class is left downwards only below (1 - hysteresis) of the threshold that led into it. The cost model
    has no say over an author with fewer than `cost_floor` followers: there is nothing to save.
    """

    push_below: int
    pull_above: int
    hysteresis: float = 0.2
    cost_floor: int = 0


class Cause(StrEnum):
    """What decided a class: the first word of an entry's reason, but for the plain rule of followers."""

    FORCED = "forced"
    CONTAINED = "contained"
    COST = "cost"
    COLLAPSED = "collapsed"
    FOLLOWERS = "followers"


@dataclass(frozen=True, slots=True)
class Influences:
    """What may overrule the followers of one author: an operator, containment, measured costs."""

    forced: ForcedClass | None = None
    contained: Contained | None = None
    costs: cost.Costs | None = None


NO_INFLUENCES = Influences()

MAX_ENTRIES = 128
"""A history longer than this is collapsed: every query process holds it, and every page looks through it."""


def classify(followers: int, current: AuthorClass, thresholds: Thresholds) -> AuthorClass:
    """The class for this many followers, given the class in force."""
    push_below, pull_above = limits(current, thresholds)
    if followers >= pull_above:
        return AuthorClass.PULL
    return AuthorClass.PUSH if followers < push_below else AuthorClass.PARTIAL


def limits(current: AuthorClass, thresholds: Thresholds) -> tuple[int, int]:
    """Followers below which an author of this class is push, and from which on pull: with the hysteresis."""
    push_below, pull_above = thresholds.push_below, thresholds.pull_above
    if current is AuthorClass.PULL:
        pull_above = _left_below(pull_above, thresholds.hysteresis)
    if current is not AuthorClass.PUSH:
        push_below = _left_below(push_below, thresholds.hysteresis)
    return push_below, pull_above


def _left_below(threshold: int, hysteresis: float) -> int:
    """The followers below which a class is left; never 0, which nobody is below."""
    return math.ceil(round(threshold * (1 - hysteresis), 6))  # 100 less 43 % is 57, not 57.00000000000001


def class_of(post_id: int, entries: Entries) -> AuthorClass:
    """The class of a post: that of the newest entry at or before it; plain push where there is none."""
    for entry in reversed(entries):
        if entry.since_post_id <= post_id:
            return entry.author_class
    return AuthorClass.PUSH


@dataclass(frozen=True, slots=True)
class ClassChoice:
    """The class of the author's next post, and why, in words."""

    author_class: AuthorClass
    reason: str


def choose(
    post_id: int,
    record: RouteRecord,
    followers: int,
    thresholds: Thresholds,
    window_start: int,
    influences: Influences = NO_INFLUENCES,
) -> ClassChoice:
    """The class of a new post: the strongest that has something to say."""
    by_followers = classify(followers, class_by_followers(record.entries), thresholds)
    if influences.forced is not None:
        why = influences.forced.reason or "by an operator"
        return ClassChoice(influences.forced.author_class, f"{Cause.FORCED}: {why}")
    most = influences.contained
    if most is not None and _pushes_less(most.author_class, by_followers):
        return ClassChoice(most.author_class, f"{Cause.CONTAINED}: {most.reason}")
    both = comparison(post_id, record, followers, window_start, influences.costs)
    if by_followers is AuthorClass.PUSH and both is not None and followers >= thresholds.cost_floor:
        pulled = bool(record.entries) and cause_of(record.entries[-1]) is Cause.COST
        if cost.pull_is_cheaper(both, thresholds.hysteresis, pulled=pulled):
            return ClassChoice(AuthorClass.PULL, f"{Cause.COST}: {both}")
    limits = f"push below {thresholds.push_below}, pull from {thresholds.pull_above}"
    return ClassChoice(by_followers, f"{followers} followers, {limits}")


def _pushes_less(one: AuthorClass, other: AuthorClass) -> bool:
    order = (AuthorClass.PUSH, AuthorClass.PARTIAL, AuthorClass.PULL)
    return order.index(one) > order.index(other)


def comparison(
    post_id: int, record: RouteRecord, followers: int, window_start: int, costs: cost.Costs | None
) -> cost.Comparison | None:
    """What a new post costs pushed and pulled; None without measurements or an earlier post to go by."""
    if costs is None or not record.latest_post_id:
        return None
    now = snowflake.time_ms(post_id)
    gap_ms = now - snowflake.time_ms(record.latest_post_id)
    return cost.compare(followers, gap_ms, now - snowflake.time_ms(window_start), costs)


def cause_of(entry: RouteEntry) -> Cause:
    """What decided this entry, as its reason says."""
    word = entry.reason.partition(":")[0]
    return Cause(word) if word in tuple(Cause) else Cause.FOLLOWERS


def class_by_followers(entries: Entries) -> AuthorClass:
    """The class that the followers alone gave last: what stands over it must not change its hysteresis."""
    own = (entry.author_class for entry in reversed(entries) if cause_of(entry) is Cause.FOLLOWERS)
    return next(own, AuthorClass.PUSH)


def route_for(
    post_id: int,
    record: RouteRecord,
    followers: int,
    thresholds: Thresholds,
    window_start: int,
    oldest: int,
    influences: Influences = NO_INFLUENCES,
) -> RouteRecord:
    """The author's record once this post is known. The record comes back unchanged for an old post.

    An entry is added when the class changes. `oldest`: the first post whose class is still asked for, by
    sessions that began a day ago; entries overtaken before it are pruned, and what is too many is collapsed.
    """
    if post_id <= record.latest_post_id:
        return record
    choice = choose(post_id, record, followers, thresholds, window_start, influences)
    entries = tuple(record.entries)
    if choice.author_class is not class_of(post_id, entries):
        entries += (RouteEntry(post_id, choice.author_class, choice.reason),)
    return RouteRecord(record.author_id, collapse(prune(entries, oldest)), post_id)


def collapse(entries: Sequence[RouteEntry], most: int = MAX_ENTRIES) -> tuple[RouteEntry, ...]:
    """At most `most` entries: the older half of too many becomes one `pull`, which covers whatever they said.

    What was pushed in that span is read twice and shown once; what is classified in it late is not pushed.
    """
    if len(entries) <= most:
        return tuple(entries)
    kept = max(1, most // 2)
    gone = len(entries) - kept
    reason = f"{Cause.COLLAPSED}: {gone} changes of class, more than {most} in the window"
    return (RouteEntry(entries[0].since_post_id, AuthorClass.PULL, reason), *entries[gone:])


def prune(entries: Entries, oldest: int) -> tuple[RouteEntry, ...]:
    """Drop entries overtaken before the oldest post; a leading `push` says nothing and goes too."""
    in_force = max((i for i, e in enumerate(entries) if e.since_post_id <= oldest), default=0)
    kept = tuple(entries[in_force:])
    if kept and kept[0].author_class is AuthorClass.PUSH and kept[0].since_post_id <= oldest:
        kept = kept[1:]
    return kept


def entries_of(records: Mapping[int, RouteRecord], author_id: int) -> Entries:
    """The history of an author among these records; none without one."""
    record = records.get(author_id)
    return record.entries if record is not None else ()


def is_plain_push(entries: Entries) -> bool:
    """Whether readers need no record of this author: every post that is asked for is pushed to everyone."""
    return not entries

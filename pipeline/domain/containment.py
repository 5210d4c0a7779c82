"""What is done to a part of the pipeline while it is in trouble, and what that says of the next post.

    shed TIER      posts of the tier's authors become partial (cold readers pull them), or pull
    pull AUTHOR    the author's posts are pulled
    rate AUTHOR    so many posts a minute are pushed, the others pulled
    pace REGION    the same for all posts of a region, so that a burst there delays nobody elsewhere
    freeze TIER    its writers stop, and new posts are pulled; what waits, waits
    path push      nothing is pushed; path pull: nothing is pulled, and pages say so
    defer STAGE    backfill or retract waits
    throttle USER      the broker takes no more than so many bytes a second from it
    narrow reads   pages go without what is dear

All but the last five change the class of a post, which is a route record: what is not pushed is pulled, and
nothing is lost. So there is one rule for them (`contained`), and one end: `until`, after which nobody goes by
a record any more, whether or not somebody lives to take it away.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from pipeline.domain import rates
from pipeline.wire.enums import DeliveryPath
from pipeline.wire.records import AuthorClass, Containment

CONTROLLER, OPERATOR = "controller", "operator"


class Kind(StrEnum):
    """What can be done."""

    SHED = "shed"
    PULL = "pull"
    RATE = "rate"
    PACE = "pace"
    FREEZE = "freeze"
    PATH = "path"
    DEFER = "defer"
    THROTTLE = "throttle"
    NARROW = "narrow"


READS = "reads"
"""The only target there is to narrow."""

PATHS = (DeliveryPath.PUSH, DeliveryPath.PULL)

InForce = Callable[[str], Containment | None]
"""By `key_of`, what was put in force and not released; it may have ended by itself."""


@dataclass(frozen=True, slots=True)
class Contained:
    """The class that a post may have at most, and why."""

    author_class: AuthorClass
    reason: str


def key_of(record: Containment) -> str:
    """The key of a record. An operator's and the controller's are two, so that a controller who has not heard
    yet of what an operator did can neither replace it nor take it out.
    """
    return _key(record.by, record.kind, record.target)


def keys_of_author(author_id: int) -> list[str]:
    """Every key under which something can be in force about this author alone."""
    return [_key(by, kind, author_id) for by in (CONTROLLER, OPERATOR) for kind in (Kind.PULL, Kind.RATE)]


def _key(by: str, kind: str, target: object) -> str:
    return f"{by}/{kind}/{target}"


def holds(record: Containment | None, now_ms: int) -> bool:
    """Whether this is in force."""
    return record is not None and (record.until == 0 or now_ms < record.until)


def held(in_force: InForce, kind: Kind, target: object, now_ms: int) -> Containment | None:
    """What is in force of this kind about this target: by an operator, or else by the controller."""
    both = (in_force(_key(by, kind, target)) for by in (OPERATOR, CONTROLLER))
    return next((record for record in both if holds(record, now_ms)), None)


def contained(
    in_force: InForce,
    *,
    author_id: int,
    tier: str,
    region: str,
    now_ms: int,
    room: Callable[[Containment], bool],
) -> Contained | None:
    """What is in force says of a new post: the strictest that applies; None when nothing does.

    `room`: whether a rate leaves room for it; asked of rates alone, and only when nothing stricter applies.
    """
    of_post = (
        (Kind.PATH, DeliveryPath.PUSH),
        (Kind.PULL, author_id),
        (Kind.FREEZE, tier),
        (Kind.SHED, tier),
        (Kind.RATE, author_id),
        (Kind.PACE, region),
    )
    milder: Contained | None = None
    for kind, target in of_post:
        record = held(in_force, kind, target, now_ms)
        if record is None or (record.rate_per_minute and room(record)):
            continue
        found = Contained(record.author_class, f"{kind} {target}: {record.cause}")
        if record.author_class is AuthorClass.PULL:
            return found
        milder = milder or found
    return milder


MAX_RATES = 10_000
"""Rates in force at once of which a process remembers what they have let through."""


class Room:
    """The posts that rates have let through, by the broker's time for them: that of a post is a claim."""

    def __init__(self) -> None:
        self._buckets: dict[str, rates.Bucket] = {}

    def __call__(self, record: Containment, now_ms: int) -> bool:
        """Whether the rate of this record has room for a post of now; if so the post has taken it."""
        key = key_of(record)
        rate = rates.Rate(record.rate_per_minute / 60, max(1, record.rate_per_minute // 6))
        bucket, wait_s = rates.take(self._buckets.get(key), rate, now_ms / 1000)
        if len(self._buckets) >= MAX_RATES and key not in self._buckets:
            self._buckets.clear()
        self._buckets[key] = bucket
        return wait_s == 0

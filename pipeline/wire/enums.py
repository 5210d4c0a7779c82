"""The words of the wire that code decides by. Each is equal to its text, which is what travels.

What is read from a record, a token or a request is text still: an unknown word of a later version is an
outcome (a dead letter, a refusal), not an error of decoding.
"""

from enum import StrEnum


class EventType(StrEnum):
    """`type` of the events; which topic has which says `domain.intake`, and for the pipeline's own marks
    `domain.admission`.
    """

    REGISTERED = "registered"
    UPDATED = "updated"
    ERASED = "erased"

    FOLLOWED = "followed"
    UNFOLLOWED = "unfollowed"
    RETRACTED = "retracted"
    REFILLED = "refilled"
    WARMED = "warmed"
    COOLED = "cooled"

    PUBLISHED = "published"
    EDITED = "edited"
    DELETED = "deleted"

    OPENED = "opened"
    ENGAGED = "engaged"
    HIDDEN = "hidden"
    UNHIDDEN = "unhidden"
    LAPSED = "lapsed"
    REBUILD = "rebuild"

    BLOCKED = "blocked"
    UNBLOCKED = "unblocked"
    MUTED = "muted"
    UNMUTED = "unmuted"
    SUSPENDED = "suspended"
    REINSTATED = "reinstated"
    TAKEN_DOWN = "taken_down"
    RESTORED = "restored"


class RefusalReason(StrEnum):
    """Why a message is a dead letter; one that breaks the code is so by the name of the exception."""

    UNREADABLE = "unreadable"
    CODEC = "codec"
    TYPE = "type"
    FIELD = "field"
    CLOCK = "clock"
    OWNER = "owner"
    REPLY_TO = "reply_to"
    ENGINE = "engine"


class DeliveryPath(StrEnum):
    """How a post comes to a page: written ahead, read on demand, or the reader's own."""

    PUSH = "push"
    PULL = "pull"
    OWN = "own"


class FeedMode(StrEnum):
    """The order of a feed; the first is what a request without a mode gets."""

    LATEST = "latest"
    RANKED = "ranked"


class Degradation(StrEnum):
    """What a page goes without when time is short, from the first step down: see `query.timeline`."""

    ENRICHMENT = "enrichment"
    RANKING = "ranking"
    NARROW_PRUNE = "narrow prune"
    PULLED_AUTHORS = "pulled authors"
    TIMELINE_ONLY = "timeline only"
    HYDRATION = "hydration"
    CACHED_FIRST_PAGE = "cached first page"

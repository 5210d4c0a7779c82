"""What the single fields of an event may hold.

Each check returns the value as the records carry it, or raises FieldError with the reason: what it must be,
in words that make sense after the field's name.
"""

import re
from typing import Any

MIN_TIME = 946_684_800_000  # 2000-01-01T00:00Z: seconds passed as milliseconds fall below it
END_OF_TIME = 7_258_118_400_000  # 2200-01-01T00:00Z: microseconds passed as milliseconds come after it
MAX_ID = 2**63 - 1

BODY_BYTES = 64 * 1024
MEDIA_ITEMS = 16
MEDIA_PAIRS = 16
MEDIA_BYTES = 2 * 1024
FOLLOWERS = 1000
"""Followers one event may name: a segment's worth, so that one event is one quantum of work."""
REGIONS = 64

_DECIMAL = re.compile(r"[1-9][0-9]{0,18}")
_REGION = re.compile(r"[a-z0-9-]{1,16}")
VISIBILITIES = ("public", "followers", "private")


class FieldError(Exception):
    """A value its field cannot hold; the message is the reason."""


def identifier(value: Any) -> int:
    """A 64-bit id above 0. Also as a decimal string: JavaScript loses digits of integers above 2^53."""
    if type(value) is str and _DECIMAL.fullmatch(value):
        value = int(value)
    if type(value) is not int or not 0 < value <= MAX_ID:
        raise FieldError(f"must be an integer from 1 to {MAX_ID}, or that as a decimal string")
    return value


def time(value: Any) -> int:
    """A time in ms since the Unix epoch, of this century or the next."""
    if type(value) is not int or not MIN_TIME <= value < END_OF_TIME:
        raise FieldError("must be a time in milliseconds since 1970, from 2000 to 2199")
    return value


def flag(value: Any) -> bool:
    """True or false, and nothing that merely looks like it."""
    if type(value) is not bool:
        raise FieldError("must be true or false")
    return value


def region(value: Any) -> str:
    """The name of a region; empty: none."""
    if type(value) is not str or (value and not _REGION.fullmatch(value)):
        raise FieldError("must be at most 16 characters of a-z, 0-9 and -")
    return value


def regions(value: Any) -> tuple[str, ...]:
    """The names of distinct regions; none at all: everywhere."""
    if type(value) is not list or len(value) > REGIONS:
        raise FieldError(f"must be a list of at most {REGIONS} regions")
    if not all(type(name) is str and _REGION.fullmatch(name) for name in value):
        raise FieldError("must hold regions of 1 to 16 characters of a-z, 0-9 and -")
    return tuple(dict.fromkeys(value))


def visibility(value: Any) -> str:
    """Who may see a post."""
    if type(value) is not str or value not in VISIBILITIES:
        raise FieldError(f"must be one of {', '.join(VISIBILITIES)}")
    return value


def body(value: Any) -> str:
    """The text of a post."""
    if type(value) is not str or _size(value) > BODY_BYTES:
        raise FieldError(f"must be text of at most {BODY_BYTES} bytes in UTF-8")
    return value


def media(value: Any) -> tuple[dict[str, str], ...]:
    """The metadata of a post's media, one map an item."""
    if type(value) is not list or len(value) > MEDIA_ITEMS:
        raise FieldError(f"must be a list of at most {MEDIA_ITEMS} items")
    for item in value:
        if type(item) is not dict or len(item) > MEDIA_PAIRS:
            raise FieldError(f"must hold maps of at most {MEDIA_PAIRS} entries")
        for text in (*item.keys(), *item.values()):
            if type(text) is not str or _size(text) > MEDIA_BYTES:
                raise FieldError(f"must map text to text, each of at most {MEDIA_BYTES} bytes in UTF-8")
    return tuple(value)


def followers(value: Any) -> tuple[int, ...]:
    """The readers a follow event is about."""
    if type(value) is not list or not 1 <= len(value) <= FOLLOWERS:
        raise FieldError(f"must be a list of 1 to {FOLLOWERS} ids")
    ids = tuple(map(identifier, value))
    if len(set(ids)) < len(ids):
        raise FieldError("must not name a reader twice")
    return ids


def _size(text: str) -> int:
    """Bytes in UTF-8; text that has none (lone surrogates) is larger than any limit."""
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return MAX_ID

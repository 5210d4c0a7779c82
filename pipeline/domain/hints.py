"""Eight bytes of what is known at write time and ranking may use at read time (W10).

    bits 63..50     49        48         47..32        31..16         15..0
    reserved (0)    gone      private    proximity     author prior   quality

Age is not among them: it is in the post id. Every part is a fraction in 1/65,535. The two flags are what a
source knows of a post besides: a page passes over it without fetching it. The post itself has the last word,
so a flag may be missing, but never be wrong.
"""

import math
from typing import NamedTuple

_ONE = 0xFFFF

PRIVATE, GONE = 1 << 48, 1 << 49
"""Nobody but its author may see it; nobody may, or its row was taken out of this timeline."""

_PRIOR_AT_ONE = 24  # log2 of the audience that saturates the prior: about 16 M followers


def pack(*, author_prior: float, quality: float, proximity: float = 0.0) -> int:
    """Hints as one non-negative 64-bit integer; each part is clipped to 0..1."""
    parts = (proximity, author_prior, quality)
    packed = 0
    for part in parts:
        packed = packed << 16 | round(min(max(part, 0.0), 1.0) * _ONE)
    return packed


class Hints(NamedTuple):
    """The parts by name, 0 to 1."""

    author_prior: float
    quality: float
    proximity: float


def unpack(packed: int) -> Hints:
    """What was packed; a page does this to each of its candidates."""
    return Hints((packed >> 16 & _ONE) / _ONE, (packed & _ONE) / _ONE, (packed >> 32 & _ONE) / _ONE)


def withheld(packed: int, *, own: bool) -> bool:
    """Whether a page need not look at the post: `own`, it is the author's own page."""
    return bool(packed & (GONE if own else GONE | PRIVATE))


def plain(packed: int) -> int:
    """The hints without the flags: as a timeline has them."""
    return packed & ~(GONE | PRIVATE)


def of_post(*, followers: int, body: str, media: int) -> int:
    """What the classifier knows of a post: the size of its audience and whether there is much to see."""
    quality = 0.7 * min(len(body), 280) / 280 + 0.3 * min(media, 1)
    return pack(author_prior=math.log2(followers + 1) / _PRIOR_AT_ONE, quality=quality)

"""What a reader may see (R4). Policy wins over whatever the rows say; removal of rows is only clean-up."""

from collections.abc import Collection

EVERYWHERE = "*"


def hidden_because(
    *,
    reader_id: int,
    reader_region: str,
    author_id: int,
    visibility: str,
    deleted: bool,
    taken_down: Collection[str],
    suspended: bool,
    blocked: bool,
    muted: bool,
    followed: bool,
) -> str | None:
    """Why a post is not shown in this reader's feed, or None when it is.

    One's own posts hide only when they are deleted or taken down.
    """
    gone = _gone_because(reader_region, deleted, taken_down)
    if gone or author_id == reader_id:
        return gone
    if suspended:
        return "suspended"
    if not followed:
        return "not followed"
    if blocked:
        return "blocked"
    if muted:
        return "muted"
    return "private" if visibility == "private" else None


def withheld_because(
    *,
    reader_id: int,
    reader_region: str,
    author_id: int,
    visibility: str,
    protected: bool,
    deleted: bool,
    taken_down: Collection[str],
    suspended: bool,
    blocked: bool,
    followed: bool,
) -> str | None:
    """Why a reader who asks for this one post does not get it, or None when they do.

    Public posts need no follow, unless the account is protected. A mute is about what comes unasked, so it
    is no reason here.
    """
    gone = _gone_because(reader_region, deleted, taken_down)
    if gone or author_id == reader_id:
        return gone
    if suspended:
        return "suspended"
    if blocked:
        return "blocked"
    if visibility == "private":
        return "private"
    return "not followed" if not followed and (protected or visibility != "public") else None


def _gone_because(reader_region: str, deleted: bool, taken_down: Collection[str]) -> str | None:
    """What hides a post from its author as well."""
    if deleted:
        return "deleted"
    if EVERYWHERE in taken_down or (reader_region and reader_region in taken_down):
        return "taken down"
    return None

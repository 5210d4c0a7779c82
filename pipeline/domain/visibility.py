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
    if deleted:
        return "deleted"
    if EVERYWHERE in taken_down or (reader_region and reader_region in taken_down):
        return "taken down"
    if author_id == reader_id:
        return None
    if suspended:
        return "suspended"
    if not followed:
        return "not followed"
    if blocked:
        return "blocked"
    if muted:
        return "muted"
    return "private" if visibility == "private" else None

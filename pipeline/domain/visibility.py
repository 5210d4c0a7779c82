"""What a reader may see (R4). Policy wins over whatever the rows say; removal of rows is only clean-up.

What is known of an author is asked before a post is fetched, what is known of the post itself afterwards.
One's own posts hide only when they are deleted or taken down.
"""

from collections.abc import Collection

EVERYWHERE = "*"


def author_hidden_because(*, suspended: bool, followed: bool, blocked: bool, muted: bool) -> str | None:
    """Why nothing of another author is shown in this reader's feed, or None when it is."""
    if suspended:
        return "suspended"
    if not followed:
        return "not followed"
    if blocked:
        return "blocked"
    return "muted" if muted else None


def post_hidden_because(
    *,
    own: bool,
    reader_region: str,
    visibility: str,
    deleted: bool,
    taken_down: Collection[str],
    hidden: bool,
) -> str | None:
    """Why a post is not shown to this reader, or None when it is. `hidden`: by the reader."""
    if deleted:
        return "deleted"
    if EVERYWHERE in taken_down or (reader_region and reader_region in taken_down):
        return "taken down"
    if own:
        return None
    if visibility == "private":
        return "private"
    return "hidden" if hidden else None

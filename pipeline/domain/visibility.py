"""What a reader may see (R4). Moderation wins over whatever the rows say; removal of rows is only clean-up.

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
    gone = gone_because(reader_region, deleted, taken_down)
    if gone or own:
        return gone
    if is_private(visibility):
        return "private"
    return "hidden" if hidden else None


def withheld_because(
    *,
    own: bool,
    reader_region: str,
    visibility: str,
    protected: bool,
    deleted: bool,
    taken_down: Collection[str],
    suspended: bool,
    blocked: bool,
    followed: bool,
) -> str | None:
    """Why a reader who asks for this one post does not get it, or None when they do.

    Public posts need no follow, unless the account is protected. A mute or a hide is about what comes
    unasked, so it is no reason here.
    """
    gone = gone_because(reader_region, deleted, taken_down)
    if gone or own:
        return gone
    if suspended:
        return "suspended"
    if blocked:
        return "blocked"
    if is_private(visibility):
        return "private"
    return "not followed" if not followed and (protected or visibility != "public") else None


def gone_because(reader_region: str, deleted: bool, taken_down: Collection[str]) -> str | None:
    """What hides a post from its author as well."""
    if deleted:
        return "deleted"
    if EVERYWHERE in taken_down or (reader_region and reader_region in taken_down):
        return "taken down"
    return None


def is_private(visibility: str) -> bool:
    """Whether nobody but its author sees such a post. Also what nobody knows, of posts stored before that was
    refused. Empty: it was never said.
    """
    return visibility not in ("public", "followers", "")

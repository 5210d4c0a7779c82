"""What may be asked of a timeline, with a reason for each thing that may not."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.domain.cursor import Cursor, CursorError, unseal
from pipeline.domain.snowflake import MAX_ID
from pipeline.wire.enums import FeedMode

DEFAULT_LIMIT, MAX_LIMIT = 20, 100

REPLIES = "timeline.replies"
"""Replies over Kafka go to this topic or to one whose name it begins: an ask cannot write anywhere else."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A page of one reader's feed: at most `limit` posts, from this place on.

    `timeout_ms`: the time the page may take; None: as long as the store needs.
    """

    reader_id: int
    limit: int
    explain: bool
    place: Cursor
    timeout_ms: int | None = None

    @property
    def first(self) -> bool:
        """Whether a session begins with it."""
        return self.place.below == MAX_ID


@dataclass(frozen=True, slots=True)
class BadRequest:
    """Why a request is refused."""

    field: str
    reason: str


def misdirected(reply_to: str) -> str:
    """Why no reply goes to this topic; "" when one may."""
    return "" if reply_to.startswith(REPLIES) else f"must be {REPLIES} or begin with it"


def parse(
    *,
    reader_id: str,
    limit: str | None,
    cursor: str | None,
    mode: str | None,
    explain: str | None,
    now_ms: int,
    cursor_keys: Sequence[bytes],
    timeout_ms: int | None = None,
) -> PageRequest | BadRequest:
    """A request from its text parts, as an HTTP client or an `ask` message gives them."""
    reader = integer(reader_id, MAX_ID)
    if reader is None:
        return BadRequest("reader_id", f"must be an integer from 1 to {MAX_ID}")
    size = DEFAULT_LIMIT if limit is None else integer(limit, MAX_LIMIT)
    if size is None:
        return BadRequest("limit", f"must be an integer from 1 to {MAX_LIMIT}")
    if mode is not None and mode not in tuple(FeedMode):
        return BadRequest("mode", f"must be {' or '.join(FeedMode)}")
    if explain not in (None, "0", "1"):
        return BadRequest("explain", "must be 0 or 1")
    place = Cursor(mode or FeedMode.LATEST, now_ms, MAX_ID)
    if cursor is not None:
        try:
            place = unseal(cursor, reader, cursor_keys, now_ms)
        except CursorError as error:
            return BadRequest("cursor", str(error))
        if mode not in (None, place.mode):
            return BadRequest("mode", f"the cursor is of a session in mode {place.mode}")
    return PageRequest(reader, size, explain == "1", place, timeout_ms)


def integer(text: str, most: int) -> int | None:
    """A plain decimal from 1 to `most`, without leading zeros, or None."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most))) or text.startswith("0"):
        return None
    number = int(text)
    return number if number <= most else None

"""What may be asked of a timeline, with a reason for each thing that may not."""

from dataclasses import dataclass

from pipeline.domain.cursor import Cursor, CursorError, unseal
from pipeline.domain.snowflake import MAX_ID

DEFAULT_LIMIT, MAX_LIMIT = 20, 100
MODES = ("latest",)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A page of one reader's feed: at most `limit` posts with ids below `below`.

    `timeout_ms`: the time the page may take; None: as long as the store needs.
    """

    reader_id: int
    limit: int
    mode: str
    explain: bool
    as_of: int
    below: int
    timeout_ms: int | None = None


@dataclass(frozen=True, slots=True)
class BadRequest:
    """Why a request is refused."""

    field: str
    reason: str


def parse(
    *,
    reader_id: str,
    limit: str | None,
    cursor: str | None,
    mode: str | None,
    explain: str | None,
    now_ms: int,
    cursor_key: bytes,
    timeout_ms: int | None = None,
) -> PageRequest | BadRequest:
    """A request from its text parts, as an HTTP client or an `ask` message gives them."""
    reader = integer(reader_id, MAX_ID)
    if reader is None:
        return BadRequest("reader_id", f"must be an integer from 1 to {MAX_ID}")
    size = DEFAULT_LIMIT if limit is None else integer(limit, MAX_LIMIT)
    if size is None:
        return BadRequest("limit", f"must be an integer from 1 to {MAX_LIMIT}")
    if mode is not None and mode not in MODES:
        return BadRequest("mode", f"must be {' or '.join(MODES)}")
    if explain not in (None, "0", "1"):
        return BadRequest("explain", "must be 0 or 1")
    place = Cursor("latest", now_ms, MAX_ID)
    if cursor is not None:
        try:
            place = unseal(cursor, reader, cursor_key)
        except CursorError as error:
            return BadRequest("cursor", str(error))
    return PageRequest(reader, size, "latest", explain == "1", place.as_of, place.boundary, timeout_ms)


def integer(text: str, most: int) -> int | None:
    """A plain decimal from 1 to `most`, or None."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most))):
        return None
    number = int(text)
    return number if 1 <= number <= most else None

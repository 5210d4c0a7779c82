"""A place in a reader's feed, opaque to the client, authenticated, and valid for a day.

The token is base64url of `version, mode, as_of, below, floor, served, shown…, tag`; the tag binds it to the
reader and to a key, so a forged, cut or foreign cursor is refused. Several keys are known at a time, of
which the first signs. Pages go on strictly below `below`, whatever has arrived above. A ranked session
stays in its round, the posts with floor <= id < below, until it has shown what is best of them, and names
what it has shown of them and of those below: whatever order they have by then, none comes twice (decision
12).
"""

import base64
import binascii
import hashlib
import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.wire.enums import FeedMode

VALID_MS = 86_400_000
"""How long after its first page a session may go on."""

MAX_SHOWN = 1_000
"""Posts a cursor can name: more than a round of a ranked session shows."""

_BODY = struct.Struct(">BBqqqI")
_TAG_BYTES = 16
_VERSION = 2
_MODES: dict[str, int] = {FeedMode.LATEST: 1, FeedMode.RANKED: 2}
_MAX_CHARACTERS = (_BODY.size + 8 * MAX_SHOWN + _TAG_BYTES) * 4 // 3 + 4


@dataclass(frozen=True, slots=True)
class Cursor:
    """Go on below post `below`, in a session that began at `as_of` (ms) and has been served so many posts.

    `floor`: where the round of a ranked session ends; 0 before it has begun. `shown`: what the session has
    shown of this round, and of what is below it.
    """

    mode: str
    as_of: int
    below: int
    floor: int = 0
    served: int = 0
    shown: tuple[int, ...] = ()


class CursorError(ValueError):
    """The token was not made by this service for this reader, or too long ago."""


def derived(secret: bytes, domain: str) -> bytes:
    """The key of a domain's cursors: a cursor is of one domain, and a secret may have other uses."""
    return hmac.new(secret, b"tideline cursor " + domain.encode(), hashlib.sha256).digest()


def seal(cursor: Cursor, reader_id: int, keys: Sequence[bytes]) -> str:
    """The token for a client, signed with the first key."""
    body = _BODY.pack(
        _VERSION, _MODES[cursor.mode], cursor.as_of, cursor.below, cursor.floor, cursor.served
    ) + struct.pack(f">{len(cursor.shown)}q", *cursor.shown)
    return _text(body + _tag(body, reader_id, keys[0]))


def unseal(token: str, reader_id: int, keys: Sequence[bytes], now_ms: int) -> Cursor:
    """The cursor in a token. Raises CursorError for anything that `seal` did not make for this reader, or
    that is older than a day.
    """
    if len(token) > _MAX_CHARACTERS:
        raise CursorError("too long")
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        if _text(raw) != token:
            raise CursorError("not a cursor")  # base64 has many texts for the same bytes, a place has one
        body, tag = raw[:-_TAG_BYTES], raw[-_TAG_BYTES:]
        if not any(hmac.compare_digest(tag, _tag(body, reader_id, key)) for key in keys):
            raise CursorError("not a cursor of this reader")
        if body[0] != _VERSION:
            raise CursorError("of another version")
        _, mode, as_of, below, floor, served = _BODY.unpack_from(body)
        shown = struct.unpack(f">{(len(body) - _BODY.size) // 8}q", body[_BODY.size :])
    except (ValueError, IndexError, binascii.Error, struct.error) as error:
        raise error if isinstance(error, CursorError) else CursorError("not a cursor") from error
    if as_of + VALID_MS < now_ms:
        raise CursorError("expired: begin again with the first page")
    name = next(name for name, code in _MODES.items() if code == mode)
    return Cursor(name, as_of, below, floor, served, shown)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _tag(body: bytes, reader_id: int, key: bytes) -> bytes:
    return hmac.new(key, body + struct.pack(">q", reader_id), hashlib.sha256).digest()[:_TAG_BYTES]

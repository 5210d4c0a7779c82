"""A place in a reader's feed, opaque to the client and authenticated.

The token is base64url of `version, mode, as_of, boundary, seen, tag`; the tag binds it to the reader and to
the key, so a forged, cut or foreign cursor is refused. A boundary is a post id: pages go on strictly below
it, whatever has arrived above.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass

_BODY = struct.Struct(">BBqqI")
_TAG_BYTES = 16
_VERSION = 2
_MODES = {"latest": 1}
_LONGEST = 128


@dataclass(frozen=True, slots=True)
class Cursor:
    """Go on below post `boundary`, in a session that began at `as_of` (ms) and has shown `seen` posts."""

    mode: str
    as_of: int
    boundary: int
    seen: int = 0


class CursorError(ValueError):
    """The token was not made by this service for this reader."""


def seal(cursor: Cursor, reader_id: int, key: bytes) -> str:
    """The token for a client."""
    body = _BODY.pack(_VERSION, _MODES[cursor.mode], cursor.as_of, cursor.boundary, cursor.seen)
    return _text(body + _tag(body, reader_id, key))


def unseal(token: str, reader_id: int, key: bytes) -> Cursor:
    """The cursor in a token. Raises CursorError for anything that `seal` did not make for this reader."""
    if len(token) > _LONGEST:
        raise CursorError("too long")
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        if _text(raw) != token:
            raise CursorError("not a cursor")  # base64 has many texts for the same bytes, a place has one
        body, tag = raw[: _BODY.size], raw[_BODY.size :]
        version, mode_code, as_of, boundary, seen = _BODY.unpack(body)
    except (ValueError, binascii.Error, struct.error) as error:
        raise CursorError("not a cursor") from error
    if not hmac.compare_digest(tag, _tag(body, reader_id, key)):
        raise CursorError("not a cursor of this reader")
    mode = next((name for name, code in _MODES.items() if code == mode_code), None)
    if version != _VERSION or mode is None:
        raise CursorError("of another version")
    return Cursor(mode, as_of, boundary, seen)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _tag(body: bytes, reader_id: int, key: bytes) -> bytes:
    return hmac.new(key, body + struct.pack(">q", reader_id), hashlib.sha256).digest()[:_TAG_BYTES]

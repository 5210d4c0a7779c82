"""The keys that a home makes for itself: of cursors and of reader tokens, each in a file of its owner alone.

Production gives them in settings, the same to every process that serves pages: those count first.
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from pipeline.auth import keys, tokens
from pipeline.auth.tokens import TokenKeys
from pipeline.config.settings import Settings

_CURSORS, _TOKENS = "cursor.keys", "token.keys"


def cursor_keys(home: Path) -> Path:
    """The file with the keys of this home's cursors, as TIDELINE_CURSOR_KEYS has them; made once, for its
    owner alone. Keys are changed by putting a new one before the old one, and starting the instance again.
    """
    return _made_once(home / _CURSORS, f"home:{secrets.token_hex(32)}")


def token_keys(home: Path) -> Path:
    """The file with the keys of this home's reader tokens, as TIDELINE_TOKEN_KEYS has them; made likewise."""
    return _made_once(home / _TOKENS, f"home:{secrets.token_hex(32)}")


def _made_once(file: Path, content: str) -> Path:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if file.stat().st_uid == os.geteuid():
            file.chmod(0o600)
        return file
    with open(descriptor, "w") as fresh:  # noqa: PTH123 - a descriptor, not a path
        fresh.write(content)
    return file


def cursors_of(settings: Settings) -> Mapping[str, bytes] | None:
    """The keys of cursors: those given, else those of the home; None where nobody has made any."""
    text = _given_or_made(settings.cursor_keys, settings.home / _CURSORS)
    return None if text is None else keys.parse(text, "TIDELINE_CURSOR_KEYS")


def tokens_of(settings: Settings) -> TokenKeys | None:
    """The keys of reader tokens, likewise."""
    text = _given_or_made(settings.token_keys, settings.home / _TOKENS)
    return None if text is None else tokens.parse(text)


def _given_or_made(given: SecretStr, file: Path) -> str | None:
    try:
        return given.get_secret_value() or file.read_text()
    except FileNotFoundError:
        return None

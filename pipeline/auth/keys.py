"""Keys as settings have them: `kid:secret[,kid:secret]`. The first signs, all verify; so keys can be changed
without a moment in which something that was signed is refused.
"""

import re

from pipeline.errors import ConfigError

SECRET_BYTES = 32
"""A secret has as many at least: as long as the hash (RFC 7518, 3.2)."""

_KEY = re.compile(r"(?P<kid>[A-Za-z0-9._-]{1,64}):(?P<secret>[!-+\--~]+)")
_HINT = f"kid:secret[,kid:secret], a secret has {SECRET_BYTES} bytes at least; openssl rand -hex 32 makes one"


def parse(text: str, variable: str) -> dict[str, bytes]:
    """By key id, the secrets, in their order. Raises ConfigError, which never has a secret in it."""
    secrets: dict[str, bytes] = {}
    for number, part in enumerate(text.split(","), 1):
        found = _KEY.fullmatch(part.strip())
        if found is None:
            raise ConfigError(f"{variable}: key {number} is not kid:secret", _HINT)
        kid, secret = found["kid"], found["secret"].encode()
        if kid in secrets:
            raise ConfigError(f"{variable}: {kid} is here twice", _HINT)
        if len(secret) < SECRET_BYTES:
            raise ConfigError(f"{variable}: the secret of {kid} is too short", _HINT)
        secrets[kid] = secret
    return secrets

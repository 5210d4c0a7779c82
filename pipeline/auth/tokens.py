"""Reader tokens: who asks, signed by who knows (docs/decisions/0014).

A token is a JWT signed with HMAC-SHA256: `sub` the reader's id as text, `aud` "tideline", `exp`, and for
operators `roles: ["operator"]`. Its `kid` names the key. Several keys are known at a time, so that keys can
be changed without a moment in which a token is refused: the first signs, all verify.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from pipeline.auth import keys
from pipeline.domain.page_request import integer
from pipeline.domain.snowflake import MAX_ID

ALGORITHM = "HS256"
"""The only one: what a token says of itself never chooses how it is verified (RFC 8725, 3.1)."""

AUDIENCE, OPERATOR = "tideline", "operator"

LEEWAY_S = 5
"""How far the clocks of who signs and who verifies may be apart."""

REQUEST_LIFE_S = 60
"""How long a token lives that is made for one request."""

MAX_CHARACTERS = 2_048
"""Characters of a token that are looked at."""

VARIABLE = "TIDELINE_TOKEN_KEYS"

_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_REQUIRED = ("sub", "aud", "exp")


class TokenError(Exception):
    """A token that proves nothing. The reason is for our log, not for who sent it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a reader, who may be an operator as well."""

    reader_id: int
    operator: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class TokenKeys:
    """By key id, the secrets. The first signs."""

    secrets: Mapping[str, bytes]

    def sign(self, caller: Caller, *, life_s: float) -> str:
        """A token of this caller, valid for so long from now."""
        claims: dict[str, Any] = {
            "sub": str(caller.reader_id),
            "aud": AUDIENCE,
            "exp": int(time.time() + life_s),
        }
        if caller.operator:
            claims["roles"] = [OPERATOR]
        kid, secret = next(iter(self.secrets.items()))
        return jwt.encode(claims, secret, ALGORITHM, headers={"kid": kid})

    def shown_by(self, caller: Caller) -> dict[str, str]:
        """The header with which this caller makes one request, now."""
        return {"Authorization": f"Bearer {self.sign(caller, life_s=REQUEST_LIFE_S)}"}

    def verify(self, token: str) -> Caller:
        """Who this token is of. Raises TokenError unless one of these keys signed it, for us and for now."""
        if len(token) > MAX_CHARACTERS or not _TOKEN.fullmatch(token):
            raise TokenError("not a token")
        try:
            secret = self.secrets[jwt.get_unverified_header(token)["kid"]]
            claims = jwt.decode(
                token,
                secret,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                leeway=LEEWAY_S,
                options={"require": list(_REQUIRED)},
            )
        except KeyError:
            raise TokenError("no kid, or one of a key that is not known") from None
        except (jwt.PyJWTError, RecursionError) as error:
            raise TokenError(f"{type(error).__name__}: {error}") from None
        reader, roles = integer(claims["sub"], MAX_ID), claims.get("roles", [])
        if reader is None or not isinstance(roles, list):
            raise TokenError("sub is no reader's id, or roles no list")
        return Caller(reader, OPERATOR in roles)


def parse(text: str) -> TokenKeys:
    """The keys in `kid:secret[,kid:secret]`. Raises ConfigError, which never has a secret in it."""
    return TokenKeys(keys.parse(text, VARIABLE))

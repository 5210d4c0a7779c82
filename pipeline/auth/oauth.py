"""Tokens for SASL/OAUTHBEARER: read from a file, or asked of an identity provider (KIP-768).

`sasl.oauthbearer.token.endpoint.url` is `file:///…`, a token that something else renews, or `https://…`, the
token endpoint of OAuth 2.0, which is asked with client credentials (RFC 6749, 4.4). Tokens are passed on as
they are; the broker checks them.
"""

import base64
import json
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass

_UNKNOWN_LIFE_S = 60.0
"""A token that does not say when it expires is looked for again after this."""


@dataclass(frozen=True, slots=True)
class TokenSource:
    """Where tokens come from. Blocking."""

    url: str
    client_id: str = ""
    client_secret: str = ""
    scope: str = ""

    def token(self) -> tuple[str, float]:
        """A token, and when it expires in seconds since 1970. Raises OSError or ValueError without one."""
        if self.url.startswith("file:"):
            with urllib.request.urlopen(self.url, timeout=5) as file:  # noqa: S310 - a file, as it says
                text = file.read().decode().strip()
        else:
            text = self._asked()
        return text, _expires(text, time.time())

    def _asked(self) -> str:
        if not self.url.startswith("https://"):
            raise ValueError(f"{self.url}: neither file:// nor https://")
        secret = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        form = {"grant_type": "client_credentials"} | ({"scope": self.scope} if self.scope else {})
        request = urllib.request.Request(  # noqa: S310 - https, see above
            self.url, urllib.parse.urlencode(form).encode(), {"Authorization": f"Basic {secret}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return str(json.load(answer)["access_token"])


def _expires(token: str, now: float) -> float:
    """The claim `exp` of a JWT; a short while from now where there is none."""
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return float(claims["exp"])
    except (ValueError, IndexError, KeyError, TypeError):
        return now + _UNKNOWN_LIFE_S

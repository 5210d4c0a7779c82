"""Tokens for aiokafka's clients, apart from `oauth`: who has no such client need not load it."""

import asyncio
import time

from aiokafka.abc import AbstractTokenProvider

from pipeline.auth.oauth import TokenSource


class Provider(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka says nothing of its types
    """What aiokafka asks at every connection."""

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._token, self._expires = "", 0.0

    async def token(self) -> str:
        """A token with at least ten seconds to live, where the source has one."""
        if time.time() > self._expires - 10:
            self._token, self._expires = await asyncio.to_thread(self._source.token)
        return self._token

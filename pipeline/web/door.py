"""Who may be connected, and for how long: a listening socket whose connections have bounds.

    head        its first bytes have come: the rest within HEAD_S            slow senders
    idle        nothing has come: IDLE_S, and the longest idle gives way     open and silent
    body        none is read; what is sent all the same is thrown away for LINGER_S
    answer      whoever does not read theirs for SEND_S is cut off           slow readers

aiohttp has the second alone.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.http import HttpProcessingError

from pipeline.errors import ConfigError

MAX_LINE_BYTES = 16 * 1024
"""Bytes of a request's first line: a cursor may have names of many posts in it."""

HEAD_S = 10.0
IDLE_S = 75.0
"""Longer than the 60 s for which proxies keep theirs: who closes first must not be us."""

LINGER_S = 1.0
"""A connection that is closed with unread bytes in it is reset, and the client may not see the answer."""

SEND_S = 20.0

CONNECTIONS = 900
"""Of a process: under the usual 1,024 files, of which the engines' clients need some dozens."""


class Connection(web.RequestHandler):
    """aiohttp's, with a time for heads and for answers, and a place among at most so many."""

    def __init__(self, server: web.Server, most: int, **options: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._server, self._most = server, most
        self._cutting: asyncio.TimerHandle | None = None
        self._sending: asyncio.TimerHandle | None = None
        self._quiet_since = self._loop.time()

    @property
    def idle(self) -> bool:
        """Whether it waits for a request."""
        return self._waiter is not None and not self._waiter.done()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in; when all places are taken, in the place of the longest idle, if there is one."""
        others = self._server.connections
        if len(others) >= self._most:
            idle = [one for one in others if isinstance(one, Connection) and one.idle]
            if not idle:
                transport.abort()  # type: ignore[attr-defined]
                return
            min(idle, key=lambda one: one._quiet_since).cut()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Bytes of a head or of a body."""
        if self._manager is None:  # it was not let in
            return
        super().data_received(data)
        self._quiet_since = self._loop.time()
        if not self.idle:
            self._unhurried()
        elif self._cutting is None:
            self._cutting = self._loop.call_later(HEAD_S, self.cut)

    def pause_writing(self) -> None:
        """The client does not read."""
        super().pause_writing()
        self._sending = self._loop.call_later(SEND_S, self.cut)

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        self._sent()

    def connection_lost(self, exc: BaseException | None) -> None:
        """The end."""
        self._unhurried()
        self._sent()
        super().connection_lost(exc)

    def cut(self) -> None:
        """End it at once, whatever has not been sent."""
        transport = self.transport
        self.force_close()
        if transport is not None:
            transport.abort()

    def log_exception(self, *args: Any, **named: Any) -> None:
        """What is no HTTP is answered 400; a traceback each would let anybody fill the log."""
        if not isinstance(named.get("exc_info"), HttpProcessingError):
            super().log_exception(*args, **named)

    def force_close(self) -> None:
        """Close it; a client that does not read what is left has some time for it."""
        transport = self.transport
        super().force_close()
        if transport is not None:
            self._loop.call_later(SEND_S, transport.abort)

    def _unhurried(self) -> None:
        if self._cutting is not None:
            self._cutting.cancel()
            self._cutting = None

    def _sent(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None


@asynccontextmanager
async def listening(
    app: web.Application, host: str, port: int, most: int = CONNECTIONS
) -> AsyncIterator[int]:
    """Serve the application there until the end; yields the port, a free one for 0.

    Raises ConfigError when it cannot listen there.
    """
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    server = runner.server
    assert server is not None
    options: dict[str, Any] = {
        "access_log": None,
        "max_line_size": MAX_LINE_BYTES,
        "keepalive_timeout": IDLE_S,
        "lingering_time": LINGER_S,
        "auto_decompress": False,
    }
    try:
        listener = await asyncio.get_running_loop().create_server(
            lambda: Connection(server, most, **options), host, port
        )
    except OSError as error:
        raise ConfigError(
            f"nobody can listen on {host}:{port}: {error.strerror}",
            "TIDELINE_PORT says where, or TIDELINE_METRICS_PORT",
        ) from error
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        await runner.cleanup()

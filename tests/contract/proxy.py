"""A TCP proxy in front of an engine, to take the engine away and to lose answers."""

import asyncio
from contextlib import suppress


class Proxy:
    """Forwards `address` to a server. `stop` cuts and refuses everything, `cut_answers` loses one answer."""

    def __init__(self, server: str) -> None:
        self._host, _, port = server.split(",")[0].rpartition(":")
        self._port = int(port)
        self._links: set[asyncio.StreamWriter] = set()
        self._listener: asyncio.Server | None = None
        self._own_port = 0
        self.cut_answers = False
        """Once set, a server's next answer is dropped together with its connection."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._own_port}"

    async def start(self) -> None:
        self._listener = await asyncio.start_server(self._link, "127.0.0.1", self._own_port)
        self._own_port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._listener.close()
        for link in self._links:
            link.close()

    async def _link(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection(self._host, self._port)
        self._links |= {to_client, to_server}
        await asyncio.gather(self._pump(client, to_server), self._pump(server, to_client, answers=True))

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, answers: bool = False
    ) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                if answers and self.cut_answers:
                    self.cut_answers = False
                    break
                target.write(data)
                await target.drain()
        target.close()

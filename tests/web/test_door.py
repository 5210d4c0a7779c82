"""Connections have bounds: slow heads, silence, bodies, answers nobody reads, and how many there are."""

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest

from pipeline.web import door
from tests.web.server import READER, TIMELINE, Caller, Server

HEALTHY = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@asynccontextmanager
async def connected(server, sent=b""):
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(sent)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def ended_after(reader):
    """The seconds until the other side closes; what came before is thrown away."""
    began = time.monotonic()
    with suppress(ConnectionError):
        while await asyncio.wait_for(reader.read(65_536), 20):
            pass
    return time.monotonic() - began


def short(monkeypatch, **bounds):
    for name, value in bounds.items():
        monkeypatch.setattr(door, name, value)


async def test_a_head_that_drips_is_cut_off(server, monkeypatch):
    """A byte now and then does not give it more time."""
    short(monkeypatch, HEAD_S=0.3)

    async with connected(server, b"GET /healthz HTTP/1.1\r\nX-A: ") as (reader, writer):
        ending = asyncio.create_task(ended_after(reader))
        while not ending.done():
            writer.write(b"b")
            await asyncio.wait({ending}, timeout=0.02)
        assert 0.2 < await ending < 5


async def test_a_head_in_time_is_answered(server, monkeypatch):
    """In two pieces, and again on the same connection."""
    short(monkeypatch, HEAD_S=5.0)

    async with connected(server) as (reader, writer):
        for _ in range(3):
            writer.write(HEALTHY[:10])
            await asyncio.sleep(0)
            writer.write(HEALTHY[10:])
            assert (await reader.readuntil(b'"ok"}')).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("sent", [b"", HEALTHY])
async def test_an_idle_connection_is_closed(monkeypatch, sent):
    """One that never asked, and one that did."""
    short(monkeypatch, IDLE_S=0.3)

    async with Server() as server, connected(server, sent) as (reader, _):
        assert 0.2 < await ended_after(reader) < 5


async def test_nobody_is_told_to_go_on_with_a_body(server):
    """Not before the token, and not after it."""
    token = server.keys.sign(Caller(READER), life_s=60)
    for shown, status in (("", b"401"), (f"Authorization: Bearer {token}\r\n", b"413")):
        head = (
            f"GET {TIMELINE} HTTP/1.1\r\nHost: x\r\n{shown}Expect: 100-continue\r\nContent-Length: 9\r\n\r\n"
        )
        async with connected(server, head.encode()) as (reader, _):
            assert (await reader.readline()).split()[1] == status


@pytest.mark.parametrize("head", [b"Content-Length: 1000000000", b"Transfer-Encoding: chunked"])
async def test_a_body_that_never_ends_is_answered_and_cut_off(monkeypatch, head):
    """It is not waited for."""
    short(monkeypatch, LINGER_S=0.2)

    async with Server() as server:
        sent = f"GET {TIMELINE} HTTP/1.1\r\nHost: x\r\n".encode() + head + b"\r\n\r\n5\r\nhello\r\n"
        async with connected(server, sent) as (reader, writer):
            assert (await reader.readline()).split()[1] == b"401"
            ending = asyncio.create_task(ended_after(reader))
            while not ending.done():
                writer.write(b"5\r\nhello\r\n")
                await asyncio.wait({ending}, timeout=0.02)
            assert await ending < 5


async def test_who_does_not_read_their_answers_is_cut_off(server, monkeypatch):
    """Ten thousand documents are asked for, and none is taken."""
    short(monkeypatch, SEND_S=0.3)
    ask = b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"

    async with connected(server) as (_, writer):
        writer.transport.pause_reading()
        began = time.monotonic()
        while not writer.transport.is_closing() and time.monotonic() - began < 15:
            writer.write(ask * 50)
            await asyncio.wait({asyncio.ensure_future(drained(writer))}, timeout=0.05)
        assert time.monotonic() - began < 15
    assert (await server.get("/healthz")).status == 200


async def drained(writer):
    with suppress(ConnectionError):
        await writer.drain()


async def test_the_longest_idle_gives_way_when_all_places_are_taken():
    """Open connections that ask nothing cannot keep others out."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(Server(most=3))
        readers = []
        for _ in range(4):
            reader, _ = await stack.enter_async_context(connected(server, HEALTHY))
            assert (await reader.readuntil(b'"ok"}')).startswith(b"HTTP/1.1 200")
            readers.append(reader)

        assert await ended_after(readers[0]) < 5
        assert not any(reader.at_eof() for reader in readers[1:])


async def test_beyond_the_bound_nobody_is_let_in_while_all_work(monkeypatch):
    """Whoever comes then is closed at once, and those who are served go on."""
    held = asyncio.Event()

    async with Server(most=2, keys=None) as server:

        async def slow(*_):
            await held.wait()
            return []

        monkeypatch.setattr(server.stores.graph, "following", slow)
        asked = f"GET {TIMELINE} HTTP/1.1\r\nHost: x\r\nRequest-Timeout-Ms: 9000\r\n\r\n".encode()
        async with connected(server, asked) as (one, _), connected(server, asked) as (two, _):
            await asyncio.wait_for(working(server, 2), 10)
            async with connected(server, HEALTHY) as (third, _):
                assert await ended_after(third) < 5
            held.set()
            for reader in (one, two):
                assert (await reader.readline()).split()[1] in (b"200", b"503")


async def working(server, most):
    while len(server.requests) < most:  # noqa: ASYNC110 - until the core was asked
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nA B: c\r\n\r\n", b"GET /\x00 HTTP/9\r\n\r\n"]
)
async def test_what_is_no_http_is_answered_and_fills_no_log(server, caplog, sent):
    async with connected(server, sent) as (reader, _):
        assert (await asyncio.wait_for(reader.read(65_536), 20)).startswith(b"HTTP/1.")

    assert [record for record in caplog.records if record.name.startswith("aiohttp")] == []

"""The API of these tests: its real server, on memory stores, asked over a socket."""

import gzip
import json
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
from multidict import CIMultiDict

from pipeline import topology
from pipeline.auth import tokens
from pipeline.auth.tokens import Caller
from pipeline.clock import CLOCK, now_ms
from pipeline.domain.snowflake import first_id
from pipeline.store.memory import memory_stores
from pipeline.store.values import Edge, Placed
from pipeline.web import api, door
from pipeline.wire.records import PostEvent
from tests.query.cores import core

READER, AUTHOR, STRANGER = 7, 8, 9
KEYS = tokens.parse(f"k1:{'s' * 64}")
SPEC = topology.load().api
TIMELINE = f"/v1/readers/{READER}/timeline"


@dataclass(frozen=True)
class Answer:
    """What came back. `raw`: the bytes on the wire, `body`: what they say."""

    status: int
    headers: Any
    raw: bytes

    @property
    def body(self) -> Any:
        zipped = self.headers.get("Content-Encoding") == "gzip"
        return json.loads(gzip.decompress(self.raw) if zipped else self.raw)


class Server:
    """An API with a reader who follows an author. `get` asks as the reader, unless it is given another token."""

    def __init__(self, *, keys=KEYS, most=door.CONNECTIONS, **spec):
        self.most = most
        self.stores, self.keys, self.now, self.requests, self._made = memory_stores(), keys, 0.0, [], 0
        self.query = core(self.stores, clock=CLOCK)
        self.spec = replace_spec(**spec)
        self.served = lambda page: page

    async def __aenter__(self):
        self.app = self.made()
        self._doors = AsyncExitStack()
        open_at = [
            await self._doors.enter_async_context(door.listening(app, "127.0.0.1", 0, self.most))
            for app in (self.app, api.beside(self.app))
        ]
        self.address, self.beside = (("127.0.0.1", port) for port in open_at)
        self._client = aiohttp.ClientSession(auto_decompress=False, skip_auto_headers=["Accept-Encoding"])
        await self.stores.graph.put_edges([Edge(READER, AUTHOR, True, 1_700_000_000_000, 0)])
        return self

    async def __aexit__(self, *_):
        await self._client.close()
        await self._doors.aclose()

    def made(self):
        """The application."""
        read = {"author.routes": {0: 5}}
        return api.create(Asked(self), self.spec, self.keys, lambda: read, lambda: self.now)

    async def publish(self, author=AUTHOR, body="hello", **more):
        """A post of now; its id."""
        self._made += 1
        at = now_ms()
        event = PostEvent("published", first_id(at) + self._made, author, at, "public", "", body)
        await self.stores.posts.put_posts([Placed(replace(event, **more), 0)], {})
        return event.post_id

    async def get(self, path, token=..., method="GET", body=None, beside=False, **headers):
        """What it answers; names of headers have `_` for `-`, and a list of values sends each. `beside`: where
        those who run it ask.
        """
        sent = CIMultiDict()
        for name, values in headers.items():
            for value in values if isinstance(values, list) else [values]:
                sent.add(name.replace("_", "-"), value)
        if token is ... and self.keys is not None:
            token = self.keys.sign(Caller(READER), life_s=60)
        if token is not ... and token is not None:
            sent.setdefault("Authorization", f"Bearer {token}")
        url = "http://{}:{}".format(*(self.beside if beside else self.address)) + path
        async with self._client.request(method, url, headers=sent, data=body) as answer:
            return Answer(answer.status, answer.headers.copy(), await answer.read())


class Asked:
    """The core; it notes what it was asked, and pages pass through `served`."""

    def __init__(self, server):
        self._server = server

    def __getattr__(self, name):
        return getattr(self._server.query, name)

    async def page(self, request):
        self._server.requests.append(request)
        return self._server.served(await self._server.query.page(request))


def replace_spec(**changed):
    """The shipped bounds with these changes, and a rate that no test meets by chance."""
    return SPEC.model_copy(update={"rate_per_second": 1_000.0, "burst": 1_000} | changed)


def problem(answer, status, detail=""):
    """Check that an answer is this problem, whole and with its request id; returns its body."""
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.body
    assert body.keys() == {"type", "title", "status", "detail", "request_id"}
    assert (body["status"], body["request_id"]) == (status, answer.headers["X-Request-Id"])
    assert detail in body["detail"]
    return body

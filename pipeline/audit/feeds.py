"""A reader's whole feed, page after page, as a client gets it: over HTTP, or from a core in this process."""

from collections.abc import Callable
from typing import Any

import aiohttp
import structlog

from pipeline.auth.tokens import Caller, TokenKeys
from pipeline.clock import now_ms
from pipeline.domain.audit import Feed, Served
from pipeline.domain.page_request import BadRequest, parse
from pipeline.errors import TidelineError
from pipeline.query.timeline import Query

PAGE = 50

_OPERATOR = Caller(1, operator=True)
"""Whose id it is does not matter: operators ask for anyone."""

_MAX_PAGES = 1_000
_TIMEOUT = aiohttp.ClientTimeout(total=30)
_log = structlog.get_logger()


class ApiAwayError(TidelineError):
    """Nothing answers at the API's address."""


def session(keys: TokenKeys | None, timeout_ms: int | None = None) -> aiohttp.ClientSession:
    """A session with the time-outs of an audit, in which an operator asks, where keys are known.

    `timeout_ms`: the time a page may take, by default what the API gives it. Who looks for what is missing
    gives as much as the API allows: a page that is cut short for a reader's sake is no fault.
    """
    headers = {} if timeout_ms is None else {"Request-Timeout-Ms": str(timeout_ms)}
    return aiohttp.ClientSession(timeout=_TIMEOUT, headers=headers, middlewares=as_operator(keys))


def as_operator(keys: TokenKeys | None) -> list[aiohttp.ClientMiddlewareType]:
    """What has each request of a session show a fresh token of an operator; nothing without keys."""
    if keys is None:
        return []

    async def shows(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        request.headers.update(keys.shown_by(_OPERATOR))
        return await handler(request)

    return [shows]


async def over_http(client: aiohttp.ClientSession, api: str, reader_id: int, down_to: int = 0) -> Feed:
    """Every page of a reader's feed, in the order it was served, down to this post id.

    Raises ApiAwayError when nothing answers, TidelineError when what answers is no page.
    """
    served: list[Served] = []
    degraded = 0
    asked: dict[str, str] = {"limit": str(PAGE), "explain": "1"}
    for pages in range(1, _MAX_PAGES + 1):
        page = await _page(client, f"{api}/v1/readers/{reader_id}/timeline", asked)
        degraded += bool(page["degraded"])
        served += [
            Served(int(item["post_id"]), int(item["author_id"]), item["body"], item["path"])
            for item in page["items"]
        ]
        if page["next_cursor"] is None or (served and served[-1].post_id < down_to):
            return Feed(served, pages, degraded)
        asked["cursor"] = page["next_cursor"]
    raise _endless(reader_id)


async def _page(client: aiohttp.ClientSession, url: str, asked: dict[str, str]) -> dict[str, Any]:
    try:
        async with client.get(url, params=asked) as answer:
            page: dict[str, Any] = await answer.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise ApiAwayError(f"{url}: {type(error).__name__}: {error}", "tideline status") from error
    if answer.status != 200:
        raise TidelineError(f"{url}: {answer.status}: {page.get('detail')}", "tideline status")
    return page


async def in_process(core: Query, reader_id: int, down_to: int = 0) -> Feed:
    """The same feed from the core of the read path, without the caches of the API's process."""
    served: list[Served] = []
    degraded, cursor = 0, None
    for pages in range(1, _MAX_PAGES + 1):
        asked = parse(
            reader_id=str(reader_id),
            limit=str(PAGE),
            cursor=cursor,
            mode=None,
            explain=None,
            now_ms=now_ms(),
            cursor_keys=core.cursor_keys,
        )
        if isinstance(asked, BadRequest):
            raise TidelineError(f"reader {reader_id}: {asked.field}: {asked.reason}")
        page = await core.page(asked)
        degraded += bool(page.degraded)
        served += [Served(i.post.post_id, i.post.author_id, i.post.body, i.path) for i in page.items]
        if page.next_cursor is None or (served and served[-1].post_id < down_to):
            return Feed(served, pages, degraded)
        cursor = page.next_cursor
    raise _endless(reader_id)


def _endless(reader_id: int) -> TidelineError:
    return TidelineError(f"reader {reader_id}: the feed does not end after {_MAX_PAGES} pages")


class ApiOrCore:
    """Feeds of the API while it answers, else of a core in this process; the log says when that changes."""

    def __init__(self, client: aiohttp.ClientSession, api: str, core: Callable[[], Query]) -> None:
        """`api`: where it answers, empty: not known; `core` is called when it is needed first."""
        self._client, self._api, self._make_core = client, api, core
        self._core: Query | None = None
        self._asked = ""

    async def feed(self, reader_id: int, down_to: int) -> Feed:
        """The feed, down to this post id."""
        if self._api:
            try:
                feed = await over_http(self._client, self._api, reader_id, down_to)
            except ApiAwayError as away:
                self._now_asks("this process", reason=away.message)
            else:
                self._now_asks(self._api, reason="it answers")
                return feed
        else:
            self._now_asks("this process", reason="no instance in this home, and TIDELINE_API is not set")
        if self._core is None:
            self._core = self._make_core()
        return await in_process(self._core, reader_id, down_to)

    def _now_asks(self, whom: str, *, reason: str) -> None:
        if whom != self._asked:
            self._asked = whom
            _log.info("audit.asks", whom=whom, reason=reason)

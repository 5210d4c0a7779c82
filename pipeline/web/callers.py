"""Who asks, for whom, and how often: a bearer token in the Authorization header, and nowhere else.

A reader asks for themselves, an operator for anyone; without `auth` anybody does. A refusal says the same
whatever was wrong with the token; the reason is in the log.
"""

import math

import structlog
from aiohttp import web

from pipeline.auth.tokens import Caller, TokenError
from pipeline.web.parameters import identifier, once
from pipeline.web.parts import PARTS

_NAME, _SCHEME = "reader_id", "bearer"
_log = structlog.get_logger()


def reader_asked_for(request: web.Request) -> int:
    """The reader this request is about: the one it names, else the one whose token it shows.

    Raises 401 without a token that proves something, 413 for a body, which is not read, 429 when its reader
    asked too often, 400 when no reader is named, 403 when the token is another's.
    """
    caller = _caller(request)
    if request.can_read_body:
        raise web.HTTPRequestEntityTooLarge(0, 0, text="a body: nothing here reads one")
    if caller is not None and not caller.operator:
        _count(request, caller.reader_id)
    named = request.match_info.get(_NAME) or once(request, _NAME)
    if named is None and caller is not None:
        return caller.reader_id
    reader = identifier(_NAME, named)
    if caller is None:
        _count(request, reader)
    elif reader != caller.reader_id and not caller.operator:
        raise web.HTTPForbidden(text="this token is not this reader's")
    return reader


def _caller(request: web.Request) -> Caller | None:
    """Who shows a token; None where nobody has to."""
    keys = request.app[PARTS].keys
    if keys is None:
        return None
    given = request.headers.getall("Authorization", [])
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() != _SCHEME:
        raise _unauthorized('Bearer realm="tideline"')
    try:
        return keys.verify(token.strip(" "))
    except TokenError as error:
        _log.info("api.token_refused", path=request.path, reason=str(error))
        raise _unauthorized('Bearer realm="tideline", error="invalid_token"') from None


def _unauthorized(challenge: str) -> web.HTTPUnauthorized:
    text = "show a valid bearer token in the Authorization header"
    return web.HTTPUnauthorized(text=text, headers={"WWW-Authenticate": challenge})


def _count(request: web.Request, reader_id: int) -> None:
    wait = request.app[PARTS].limits.wait(reader_id)
    if wait:
        again = str(math.ceil(wait))
        raise web.HTTPTooManyRequests(text="too many requests of this reader", headers={"Retry-After": again})

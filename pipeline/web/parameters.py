"""Single parameters of a request, as text or as ids; what could mean two things is refused."""

from aiohttp import web

from pipeline.domain.page_request import integer
from pipeline.domain.snowflake import MAX_ID


def once(request: web.Request, name: str) -> str | None:
    """A parameter of the query. Given twice it could mean either: 400."""
    values = request.query.getall(name, [])
    if len(values) > 1:
        raise web.HTTPBadRequest(text=f"{name}: must be given once")
    return values[0] if values else None


def identifier(name: str, text: str | None) -> int:
    """The id that a parameter's text is; 400 when it is none."""
    found = None if text is None else integer(text, MAX_ID)
    if found is None:
        raise web.HTTPBadRequest(text=f"{name}: must be an integer from 1 to {MAX_ID}")
    return found

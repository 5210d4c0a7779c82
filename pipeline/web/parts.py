"""What the routes are made of: one value that the application carries."""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from pipeline.auth.tokens import TokenKeys
from pipeline.query.timeline import Query
from pipeline.topology import ApiSpec
from pipeline.web.limits import RateLimits


@dataclass(frozen=True, slots=True)
class Parts:
    """`keys` None: nobody shows a token. `topics_read`: see `api.create`."""

    query: Query
    spec: ApiSpec
    keys: TokenKeys | None
    limits: RateLimits
    topics_read: Callable[[], dict[str, dict[int, int]]]


PARTS = web.AppKey("parts", Parts)

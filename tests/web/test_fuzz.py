"""Whatever is asked of the API, it answers as its document says, and never with a 5xx.

On memory stores; `tests/engines/test_api.py` asks a real process on real engines.
"""

import asyncio

from pipeline.auth.tokens import Caller
from tests.web.fuzz import fuzz

EXAMPLES = 12
"""Of good requests for each path, and of bad ones for those that take ids: some hundred, in a second."""


async def told_by(server, token):
    host, port = server.address
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    told = await asyncio.to_thread(fuzz, f"http://{host}:{port}", EXAMPLES, headers)
    return {status for path, status in told if path.startswith(("/v1/readers", "/v1/posts"))}


async def test_every_answer_to_an_operator_is_in_the_document(server):
    """Who may read for anyone gets as far as anybody can."""
    statuses = await told_by(server, server.keys.sign(Caller(1, operator=True), life_s=600))

    assert {200, 400, 404} <= statuses <= {200, 304, 400, 404}


async def test_every_answer_to_nobody_is_in_the_document(server):
    """401 to whatever they ask."""
    assert await told_by(server, None) == {401}


async def test_every_answer_is_in_the_document_where_nobody_shows_a_token(open_server):
    """Another document: a post needs a reader then."""
    assert {200, 400, 404} <= await told_by(open_server, None)

"""Whatever goes wrong is a problem with a name; what failed in here is told to the log alone."""

import asyncio

import pytest
import structlog

from pipeline.store.ports import StoreUnavailable
from tests.web.server import READER, TIMELINE, problem


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/v1/readers/seven/timeline", "reader_id: must be an integer from 1 to"),
        ("/v1/readers/0/timeline", "reader_id: "),
        (f"{TIMELINE}?limit=101", "limit: must be an integer from 1 to 100"),
        (f"{TIMELINE}?limit=", "limit: "),
        (f"{TIMELINE}?limit=1&limit=2", "limit: must be given once"),
        (f"{TIMELINE}?cursor=forged", "cursor: "),
        (f"{TIMELINE}?cursor={'A' * 12_000}", "cursor: "),
        (f"{TIMELINE}?cursor=%ff%00", "cursor: "),
        (f"{TIMELINE}?mode=best", "mode: must be latest"),
        (f"{TIMELINE}?explain=yes", "explain: must be 0 or 1"),
        ("/v1/posts/first", "post_id: must be an integer"),
        ("/v1/posts/5?reader_id=x", "reader_id: must be an integer"),
        (f"/v1/readers/{READER}/following/{2**63}", "author_id: must be an integer"),
    ],
)
async def test_what_can_never_work_is_400_with_the_field(server, path, detail):
    """Nothing is asked of the core."""
    problem(await server.get(path), 400, detail)

    assert server.requests == []


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/readers", f"/v1/readers/{READER}", "/v2/posts/1", "/%00"])
async def test_a_path_there_is_not_is_404(server, path):
    """And says where to look."""
    problem(await server.get(path), 404, "/v1/openapi.json")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_a_method_there_is_not_is_405_with_those_there_are(server, method):
    """Nothing here is written."""
    answer = await server.get(TIMELINE, method=method)

    problem(answer, 405, "GET")
    assert answer.headers["Allow"] == "GET,HEAD"


async def test_a_post_that_may_not_be_seen_is_one_that_is_not_there(server):
    """The same bytes, but for the request's name."""
    private = await server.publish(visibility="private")

    there, not_there = [await server.get(f"/v1/posts/{post}") for post in (private, 5)]

    assert (
        problem(there, 404)["detail"] == problem(not_there, 404)["detail"] == "no such post for this reader"
    )
    assert there.headers.keys() == not_there.headers.keys()
    assert len(there.raw) == len(not_there.raw)


@pytest.mark.parametrize("headers", [{}, {"Content_Encoding": "gzip"}])
@pytest.mark.parametrize("size", [1, 70_000])
async def test_a_body_is_413_and_not_read(server, size, headers):
    """No route has one; whoever shows no token is told that alone."""
    problem(await server.get(TIMELINE, body=b"x" * size, **headers), 413, "nothing here reads one")
    problem(await server.get(TIMELINE, None, body=b"x" * size, **headers), 401)


async def test_a_store_that_is_away_is_503_and_says_when_to_come_back(server, monkeypatch):
    """Its own words stay in the log."""

    async def away(*_):
        raise StoreUnavailable("node 10.0.0.7 is down")

    monkeypatch.setattr(server.stores.graph, "following", away)
    with structlog.testing.capture_logs() as logs:
        answer = await server.get(TIMELINE)

    problem(answer, 503, "the store does not answer; try again")
    assert answer.headers["Retry-After"] == "1"
    assert b"10.0.0.7" not in answer.raw
    assert [line["event"] for line in logs] == ["api.unavailable"]


async def test_what_fails_in_here_is_500_and_told_to_the_log_alone(server, monkeypatch):
    """With the traceback, under the name that the client has."""

    async def broken(*_):
        raise ValueError("secret: hunter2")

    monkeypatch.setattr(server.stores.graph, "following", broken)
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        answer = await server.get(TIMELINE, X_Request_Id="mine-1")

    body = problem(answer, 500, "the log has it under the request_id")
    assert b"hunter2" not in answer.raw
    assert b"Traceback" not in answer.raw
    assert body["request_id"] == "mine-1"
    assert [(line["event"], line["request_id"], line["exc_info"]) for line in logs] == [
        ("api.failed", "mine-1", True)
    ]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a", True),
        ("A.b_c-9", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("", False),
        ("a b", False),
        ("a/b", False),
        ("ä", False),
        ('"><script>', False),
    ],
)
async def test_a_request_has_the_name_its_client_gave_it_if_that_is_one(server, given, kept):
    """Else one made here; in good answers and in bad ones."""
    for path in (TIMELINE, "/healthz", "/nowhere"):
        name = (await server.get(path, X_Request_Id=given)).headers["X-Request-Id"]

        assert (name == given) == kept
        assert kept or (len(name) == 16 and name.isalnum())


async def test_requests_on_one_connection_have_names_of_their_own(server):
    """A name does not stay with the connection."""
    names = [(await server.get("/healthz")).headers["X-Request-Id"] for _ in range(5)]

    assert len(set(names)) == 5


async def test_what_is_no_http_is_refused_without_a_traceback(server):
    """Before any route: the connection is closed."""
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(b"NONSENSE\r\n\r\n")
    answer = await reader.read()
    writer.close()

    assert answer.split(b" ")[1] == b"400"
    assert b"Traceback" not in answer

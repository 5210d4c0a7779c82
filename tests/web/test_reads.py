"""What readers read, over HTTP."""

import pytest

from pipeline.domain.order import Version
from tests.web.server import AUTHOR, READER, SPEC, TIMELINE, problem


async def test_a_page_has_its_posts_newest_first(server):
    """Ids are text."""
    posts = [await server.publish(body=f"post {n}") for n in range(3)]

    page = (await server.get(TIMELINE)).body

    assert [item["post_id"] for item in page["items"]] == [str(post) for post in reversed(posts)]
    assert page["degraded"] == []


async def test_pages_go_on_from_the_cursor(server):
    """To the end."""
    for _ in range(5):
        await server.publish()

    first = (await server.get(f"{TIMELINE}?limit=3&explain=1")).body
    second = (await server.get(f"{TIMELINE}?limit=3&cursor={first['next_cursor']}")).body

    assert (len(first["items"]), len(second["items"]), second["next_cursor"]) == (3, 2, None)
    assert first["items"][0]["path"] == "pull"
    assert "explain" in first
    assert "explain" not in second


@pytest.mark.parametrize(
    ("given", "timeout_ms"),
    [
        (None, SPEC.deadline_ms),
        ("1", 1),
        (str(SPEC.deadline_max_ms), SPEC.deadline_max_ms),
        (str(SPEC.deadline_max_ms + 1), None),
        ("0", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
    ],
)
async def test_a_page_has_the_time_its_request_gives_it(server, given, timeout_ms):
    """By default that of the topology; a time that is none is refused."""
    answer = await server.get(TIMELINE, **({} if given is None else {"Request_Timeout_Ms": given}))

    if timeout_ms is None:
        problem(answer, 400, "Request-Timeout-Ms: must be an integer from 1 to 10000")
    assert [request.timeout_ms for request in server.requests] == ([] if timeout_ms is None else [timeout_ms])


async def test_a_time_that_is_given_twice_is_refused(server):
    """It could mean either."""
    problem(await server.get(TIMELINE, Request_Timeout_Ms=["5", "6"]), 400, "Request-Timeout-Ms: ")


async def test_one_post_is_an_item_of_a_page(server):
    """The same fields."""
    post = await server.publish()

    found = (await server.get(f"/v1/posts/{post}")).body

    assert [found] == (await server.get(TIMELINE)).body["items"]


async def test_how_a_reader_stands_to_an_author(server):
    """Followed since, muted; and to nobody at all."""
    await server.stores.readers.relate(READER, AUTHOR, "mute", True, Version(1, 0))

    author = (await server.get(f"/v1/readers/{READER}/following/{AUTHOR}")).body
    nobody = (await server.get(f"/v1/readers/{READER}/following/55")).body

    assert author == {
        "reader_id": str(READER),
        "author_id": str(AUTHOR),
        "follows": True,
        "since": 1_700_000_000_000,
        "muted": True,
        "blocked": False,
    }
    assert (nobody["follows"], nobody["since"]) == (False, None)


async def test_health_is_for_those_who_run_it(server):
    """Ready says how far routes are read; metrics are Prometheus'."""
    assert (await server.get("/healthz")).body == {"status": "ok"}
    ready = await server.get("/readyz", None, beside=True)
    assert ready.body == {"status": "ready", "read": {"author.routes": {"0": 5}}}
    await server.get(TIMELINE)

    counted = (await server.get("/metrics", None, beside=True)).raw.decode()

    line = 'tideline_api_answers_total{route="/v1/readers/{reader_id}/timeline",status="200"}'
    assert line in counted

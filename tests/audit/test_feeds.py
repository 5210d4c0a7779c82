"""Whom the auditor asks: the API while it answers, else a core in its own process."""

import socket

import structlog
from aiohttp import web

from pipeline.audit import feeds
from pipeline.auth import tokens
from pipeline.clock import CLOCK
from pipeline.store.memory import memory_stores
from pipeline.store.values import Placed
from pipeline.wire.records import PostEvent
from tests.engines.events import now, post_id_at
from tests.query.cores import core

READER = 7


async def core_with(posts):
    """A core whose reader made so many posts."""
    stores = memory_stores()
    made = [
        PostEvent("published", post_id_at(at), READER, at, "public", "", "b")
        for at in [now() for _ in range(posts)]
    ]
    await stores.posts.put_posts([Placed(post, n) for n, post in enumerate(made)], {})
    return core(stores, clock=CLOCK), [post.post_id for post in reversed(made)]


async def test_the_core_gives_its_whole_feed_page_by_page():
    core, posts = await core_with(2 * feeds.PAGE + 1)

    feed = await feeds.in_process(core, READER)

    assert ([post.post_id for post in feed.posts], feed.pages) == (posts, 3)
    assert {post.path for post in feed.posts} == {"own"}


async def test_a_feed_ends_with_the_page_that_goes_below_what_is_asked_for():
    core, posts = await core_with(3 * feeds.PAGE)

    feed = await feeds.in_process(core, READER, down_to=posts[feeds.PAGE + 3])

    assert [post.post_id for post in feed.posts] == posts[: 2 * feeds.PAGE]


async def test_an_api_that_is_away_is_replaced_by_the_core_until_it_answers():
    """Each change is one line in the log."""
    core, posts = await core_with(1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = web.Application()
    app.router.add_get("/v1/readers/{reader}/timeline", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    url = f"http://127.0.0.1:{port}"
    try:
        async with feeds.session(None) as client:
            asked, nowhere = (
                feeds.ApiOrCore(client, url, lambda: core),
                feeds.ApiOrCore(client, "", lambda: core),
            )
            with structlog.testing.capture_logs() as logs:
                found = [len((await asked.feed(READER, 0)).posts) for _ in range(2)]
                await web.TCPSite(runner, "127.0.0.1", port).start()
                found += [len((await asked.feed(READER, 0)).posts) for _ in range(2)]
                found += [len((await nowhere.feed(READER, 0)).posts) for _ in range(2)]
    finally:
        await runner.cleanup()

    assert found == [1, 1, 0, 0, 1, 1]
    assert [line["whom"] for line in logs] == ["this process", url, "this process"]
    assert "TIDELINE_API is not set" in logs[-1]["reason"]
    assert posts


async def test_audits_ask_as_an_operator_where_keys_are_known():
    """With a token of its own for each request, so that none expires in a long run."""
    shown, times = [], []

    async def noting(request):
        shown.append(request.headers.get("Authorization"))
        times.append(request.headers.get("Request-Timeout-Ms"))
        return await answer(request)

    app = web.Application()
    app.router.add_get("/v1/readers/{reader}/timeline", noting)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    keys = tokens.parse(f"k1:{'s' * 32}")
    try:
        for given, timeout_ms in ((keys, 5_000), (None, None)):
            async with feeds.session(given, timeout_ms) as client:
                await feeds.over_http(client, f"http://127.0.0.1:{runner.addresses[0][1]}", READER)
    finally:
        await runner.cleanup()

    assert keys.verify(shown[0].removeprefix("Bearer ")).operator
    assert shown[1] is None
    assert times == ["5000", None]


async def answer(_):
    return web.json_response({"items": [], "next_cursor": None, "degraded": []})

"""An unchanged refresh costs its headers, a long answer is compressed, and caches keep apart what must be."""

from dataclasses import replace
from functools import partial

import pytest

from pipeline.auth.tokens import Caller
from pipeline.telemetry import metrics
from pipeline.web import reads
from pipeline.web.answers import COMPRESSED_FROM, accepts_gzip
from tests.web.server import AUTHOR, KEYS, READER, TIMELINE

FOLLOWING = f"/v1/readers/{READER}/following/{AUTHOR}"


def stale_refreshes():
    return metrics.STALE_REFRESHES._value.get()


async def test_an_unchanged_page_is_304_without_a_body_and_is_counted(server):
    """Also one with a cursor, whose bytes are others each time."""
    for _ in range(3):
        await server.publish()
    for path in (TIMELINE, f"{TIMELINE}?limit=2"):
        first, before = await server.get(path), stale_refreshes()

        again = await server.get(path, If_None_Match=first.headers["ETag"])

        assert (first.status, again.status, again.raw) == (200, 304, b"")
        assert stale_refreshes() == before + 1
        for name in ("ETag", "Cache-Control", "Vary"):
            assert again.headers[name] == first.headers[name]
    assert (await server.get(path)).body["next_cursor"] is not None


async def test_a_page_that_has_changed_is_sent(server):
    """A new post, an edit, another page size."""
    post, author = await server.publish(), AUTHOR
    first, before = await server.get(TIMELINE), stale_refreshes()

    await server.publish(body="news")
    second = await server.get(TIMELINE, If_None_Match=first.headers["ETag"])
    await server.publish(author, "changed", type="edited", post_id=post, at=2**42)
    third = await server.get(TIMELINE, If_None_Match=second.headers["ETag"])

    assert [len(one.body["items"]) for one in (first, second, third)] == [1, 2, 2]
    assert len({one.headers["ETag"] for one in (first, second, third)}) == 3
    assert stale_refreshes() == before


async def test_a_page_that_goes_on_differs_from_one_that_ends(server):
    """The same items, and a cursor or none."""
    for _ in range(2):
        await server.publish()
    goes_on = await server.get(f"{TIMELINE}?limit=1")

    server.served = partial(replace, next_cursor=None)
    ends = await server.get(f"{TIMELINE}?limit=1", If_None_Match=goes_on.headers["ETag"])

    assert (goes_on.body["next_cursor"] is None, ends.status) == (False, 200)
    assert ends.body["items"] == goes_on.body["items"]


async def test_a_page_that_lacks_something_differs_from_a_whole_one(server):
    """With the same items: who has the one must hear of the other."""
    for _ in range(2):
        await server.publish()
    whole = await server.get(f"{TIMELINE}?limit=1")

    server.served = partial(replace, degraded=("enrichment",))
    lacking = await server.get(f"{TIMELINE}?limit=1", If_None_Match=whole.headers["ETag"])

    assert lacking.status == 200
    assert lacking.body["degraded"] == ["enrichment"]


async def test_a_cursor_is_renewed_each_hour(server, monkeypatch):
    """Else a client that only ever hears 304 keeps one until it has expired."""
    for _ in range(2):
        await server.publish()
    first = await server.get(f"{TIMELINE}?limit=1")
    monkeypatch.setattr(reads, "CURSORS_RENEWED_MS", 7)

    later = await server.get(f"{TIMELINE}?limit=1", If_None_Match=first.headers["ETag"])

    assert later.status == 200


@pytest.mark.parametrize("path", [FOLLOWING, "/v1/openapi.json"])
async def test_everything_that_is_read_may_be_asked_for_again(server, path):
    """304 as long as it says the same."""
    first = await server.get(path)

    assert (await server.get(path, If_None_Match=first.headers["ETag"])).status == 304
    assert (await server.get(path, If_None_Match='W/"other"')).status == 200


@pytest.mark.parametrize(
    ("given", "status"),
    [("{}", 304), ('"a", {}', 304), ("*", 304), ('"a"', 200), ("", 200), ("nonsense", 200), ('"', 200)],
)
async def test_if_none_match_is_a_list_of_tags_or_a_star(server, given, status):
    """What is none matches nothing."""
    tag = (await server.get(FOLLOWING)).headers["ETag"]

    assert tag.startswith('W/"')
    assert (await server.get(FOLLOWING, If_None_Match=given.format(tag))).status == status
    assert (await server.get(FOLLOWING, If_None_Match=given.format(tag.removeprefix("W/")))).status == status


async def test_a_tag_is_worth_nothing_without_a_token(server):
    """Nor with another reader's: who may not read does not hear whether it has changed."""
    tag = (await server.get(TIMELINE)).headers["ETag"]

    assert (await server.get(TIMELINE, None, If_None_Match=tag)).status == 401
    assert (await server.get(TIMELINE, KEYS.sign(Caller(9), life_s=60), If_None_Match=tag)).status == 403


async def test_caches_ask_again_and_keep_readers_apart(server):
    """And an encoding from the plain bytes."""
    for path in (TIMELINE, FOLLOWING):
        headers = (await server.get(path)).headers

        assert headers["Cache-Control"] == "private, no-cache"
        assert headers["Vary"] == "Authorization, Accept-Encoding"


async def test_a_long_answer_is_compressed_for_those_who_can_read_it(server):
    """With the same tag as the plain one: it says the same."""
    await server.publish(body="x" * 3_000)

    plain = await server.get(TIMELINE)
    zipped = await server.get(TIMELINE, Accept_Encoding="deflate, gzip")
    again = await server.get(TIMELINE, Accept_Encoding="gzip", If_None_Match=plain.headers["ETag"])

    assert "Content-Encoding" not in plain.headers
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert len(zipped.raw) < 1_000 < len(plain.raw)
    assert zipped.body["items"] == plain.body["items"]
    assert (again.status, again.raw) == (304, b"")


async def test_a_short_answer_is_not_compressed(server):
    """It would not be shorter on the wire."""
    answer = await server.get(FOLLOWING, Accept_Encoding="gzip")

    assert len(answer.raw) < COMPRESSED_FROM
    assert "Content-Encoding" not in answer.headers


async def test_a_head_is_the_answer_without_its_body(server):
    """As HTTP has it for everything that can be read."""
    await server.publish(body="x" * 3_000)

    head = await server.get(TIMELINE, method="HEAD")

    assert (head.status, head.raw) == (200, b"")
    assert head.headers["ETag"] == (await server.get(TIMELINE)).headers["ETag"]


@pytest.mark.parametrize(
    ("accepted", "yes"),
    [
        ("gzip", True),
        ("GZip", True),
        ("deflate, gzip;q=0.1", True),
        ("*", True),
        ("br;q=1.0, *; q=0.5", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("*;q=0", False),
        ("gzip;q=much", False),
        ("gzip;q=nan", False),
        ("xgzip", False),
    ],
)
def test_gzip_is_for_those_who_say_so(accepted, yes):
    """By name before the star, with a weight above 0."""
    assert accepts_gzip(accepted) == yes

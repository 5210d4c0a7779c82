"""The auditor against an HTTP server on loopback whose feeds are known, and wrong in known ways."""

import pytest
from aiohttp import web

from pipeline.audit import from_events
from pipeline.domain.audit import KINDS, Ledger
from pipeline.errors import TidelineError
from pipeline.wire.records import FollowEvent, PostEvent

READERS, AUTHOR, STRANGER = range(1, 41), 100, 200
POSTS = range(1000, 1120)


@pytest.fixture
def ledger():
    """Everybody follows AUTHOR, who posts 120 times; nobody follows STRANGER."""
    made = Ledger()
    made.add(FollowEvent("followed", AUTHOR, tuple(READERS), 1))
    for post in POSTS:
        made.add(PostEvent("published", post, AUTHOR, post, body="b"))
    made.add(PostEvent("published", 2000, STRANGER, 2000, body="b"))
    return made


class Api:
    """Serves `feeds` by reader, to all others the right feed; keeps how many requests were open at once."""

    def __init__(self):
        self.feeds, self.degraded, self.status = {}, [], 200
        self.open = self.most_open = 0

    async def timeline(self, request):
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        feed = self.feeds.get(int(request.match_info["reader"]), sorted(POSTS, reverse=True))
        start, limit = int(request.query.get("cursor", 0)), int(request.query["limit"])
        end = start + limit
        items = [
            {
                "post_id": str(post),
                "author_id": str(AUTHOR if post in POSTS else STRANGER),
                "body": "b",
                "path": "pull",
            }
            for post in feed[start:end]
        ]
        self.open -= 1
        page = {
            "items": items,
            "next_cursor": str(end) if end < len(feed) else None,
            "degraded": self.degraded,
        }
        return web.json_response(page, status=self.status)


@pytest.fixture
async def api(aiohttp_server):
    served = Api()
    app = web.Application()
    app.router.add_get("/v1/readers/{reader}/timeline", served.timeline)
    served.url = await aiohttp_server(app)
    return served


@pytest.fixture
async def aiohttp_server():
    """Start an application on a free loopback port."""
    runners = []

    async def start(app):
        runners.append(web.AppRunner(app))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runners[-1].addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


async def audited(api, ledger, **more):
    return await from_events.audit(api.url, READERS, ledger, since_ms=0, class_of=lambda _: "pull", **more)


async def test_feeds_as_they_must_be_are_clean(api, ledger):
    """Every feed is read to its end, over three pages of 50."""
    report = await audited(api, ledger)

    assert report.clean
    assert (report.readers, report.posts, report.pages) == (40, 40 * 120, 40 * 3)
    assert report.paths == {"pull": 40 * 120}
    assert not report.examples


async def test_each_planted_fault_is_found_with_its_reader(api, ledger):
    right = sorted(POSTS, reverse=True)
    api.feeds = {
        1: right[:60] + right[61:],
        2: right[:60] + right[59:],
        3: [2000, *right],
        4: [right[1], right[0], *right[2:]],
        5: [3000, *right],
    }

    report = await audited(api, ledger)

    assert not report.clean
    assert report.found == {"missing": 1, "duplicate": 1, "forbidden": 1, "misordered": 1, "extra": 1}
    assert {(one.reader_id, one.finding.kind, one.finding.post_id) for one in report.examples} == {
        (1, "missing", right[60]),
        (2, "duplicate", right[59]),
        (3, "forbidden", 2000),
        (4, "misordered", right[0]),
        (5, "extra", 3000),
    }


async def test_a_thousand_faults_are_counted_and_twenty_shown(api, ledger):
    api.feeds = {reader: [] for reader in READERS}

    report = await audited(api, ledger)

    assert report.found == {"missing": 40 * 120}
    assert len(report.examples) == from_events.MAX_EXAMPLES


async def test_a_degraded_page_proves_nothing(api, ledger):
    api.degraded = ["timeline rows only"]

    report = await audited(api, ledger)

    assert report.degraded == 40 * 3
    assert not report.clean


async def test_requests_at_once_are_bounded(api, ledger):
    await audited(api, ledger)

    assert 1 <= api.most_open <= from_events.CONCURRENCY


async def test_progress_is_told_reader_by_reader(api, ledger):
    told = []

    await audited(api, ledger, progress=lambda report: told.append(report.readers))

    assert told == list(range(1, 41))


async def test_an_api_that_says_no_is_no_verdict(api, ledger):
    api.status = 503

    with pytest.raises(TidelineError, match="503"):
        await audited(api, ledger)


async def test_an_api_that_is_not_there_is_no_verdict(api, ledger):
    api.url = "http://127.0.0.1:1"

    with pytest.raises(TidelineError, match=r"127\.0\.0\.1:1"):
        await audited(api, ledger)


async def test_the_document_has_a_count_for_every_kind(api, ledger):
    api.feeds = {1: []}

    document = (await audited(api, ledger)).document()

    assert {kind: document[kind] for kind in KINDS} == dict.fromkeys(KINDS, 0) | {"missing": 120}
    assert document["examples"][0] == {
        "reader_id": 1,
        "author_class": "pull",
        "kind": "missing",
        "post_id": 1119,
        "author_id": AUTHOR,
        "path": "",
        "detail": "",
    }

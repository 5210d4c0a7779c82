"""Pages of a feed that grows meanwhile, and requests that can never work: refused with a reason."""

import json
from collections.abc import Iterator

import pytest

from tests.engines import events
from tests.engines.events import Event
from tests.engines.harness import Answer, Instance
from tests.waiting import eventually

TEN_MB = 10 * 1024 * 1024


@pytest.fixture(scope="module")
def feed(instance: Instance) -> Iterator[tuple[int, list[int], list[Event]]]:
    """A reader, two authors, and their posts: of one pushed, of the other, suspended for a while, pulled."""
    reader, pushed, pulled = events.take(3)
    instance.publish(events.followed(pushed, reader))
    instance.settle()
    instance.await_covered(pushed, [reader])
    posts = [events.post(author, f"post {n}") for n in range(10) for author in (pushed, pulled)]
    instance.publish(*posts)
    instance.settle()
    instance.publish(events.followed(pulled, reader))
    instance.settle()  # or backfill, in the middle of the follow, may write rows behind the retraction
    for kind in ("suspended", "reinstated"):
        instance.publish(events.moderation(kind, author_id=pulled))
        instance.settle()
    assert set(instance.paths(reader).values()) == {"push", "pull"}
    yield reader, [pushed, pulled], posts


def newest_first(posts: list[Event]) -> list[int]:
    return sorted((post["post_id"] for post in posts), reverse=True)


@pytest.mark.parametrize("limit", [1, 7, 19, 20, 21])
def test_pages_of_any_size_are_the_whole_feed(
    instance: Instance, feed: tuple[int, list[int], list[Event]], limit: int
) -> None:
    reader, _, posts = feed

    pages = [[int(item["post_id"]) for item in page] for page in instance.pages(reader, limit)]

    assert [post_id for page in pages for post_id in page] == newest_first(posts)
    full = [len(page) for page in pages if page]
    assert set(full[:-1]) <= {limit}


def test_while_posts_arrive_no_page_repeats_or_skips_one(instance: Instance) -> None:
    reader, pushed, pulled = events.take(3)
    posts = [events.post(author, f"post {n}") for n in range(12) for author in (pushed, pulled)]
    instance.publish(events.followed(pushed, reader), events.followed(pulled, reader), *posts)
    instance.settle()

    walked = []
    arriving: list[Event] = []
    for page in instance.pages(reader, limit=5):
        walked += [int(item["post_id"]) for item in page]
        arriving += [events.post(author, "news") for author in (pushed, pulled)]
        instance.publish(*arriving[-2:])
        expected = newest_first(arriving)
        eventually(lambda expected=expected: [*instance.paths(reader)][: len(expected)] == expected, 30)

    assert walked == newest_first(posts)
    assert len(arriving) == 10
    assert [post_id for post_id, _ in instance.walk(reader, limit=5)] == newest_first(posts + arriving)


def refused(answer: Answer, status: int, *reasons: str) -> None:
    """A problem as RFC 9457 has it, with each of these words in its reason."""
    assert answer.status == status, answer
    assert answer.content_type.startswith("application/problem+json")
    assert answer.body["status"] == status
    assert answer.body["title"]
    for reason in reasons:
        assert reason in answer.body["detail"]


@pytest.mark.parametrize(
    ("reader", "query", "field"),
    [
        ("-1", "", "reader_id"),
        ("0", "", "reader_id"),
        (str(2**63), "", "reader_id"),
        ("seven", "", "reader_id"),
        ("7", "limit=1000000000", "limit"),
        ("7", "limit=0", "limit"),
        ("7", "limit=-5", "limit"),
        ("7", "limit=101", "limit"),
        ("7", "cursor=forged", "cursor"),
        ("7", f"cursor={'A' * 48}", "cursor"),
        ("7", f"cursor={'A' * 4000}", "cursor"),
        ("7", "mode=best", "mode"),
        ("7", "explain=yes", "explain"),
    ],
)
def test_a_request_that_can_never_work_is_400_with_the_field(
    instance: Instance, reader: str, query: str, field: str
) -> None:
    refused(instance.get(f"/v1/readers/{reader}/timeline?{query}"), 400, f"{field}: ")


def test_a_cursor_is_good_for_its_reader_alone_and_unchanged(
    instance: Instance, feed: tuple[int, list[int], list[Event]]
) -> None:
    reader, _, posts = feed
    cursor = instance.page(reader, limit=3)["next_cursor"]
    changed = cursor[:10] + ("A" if cursor[10] != "A" else "B") + cursor[11:]

    path = "/v1/readers/{}/timeline?limit=3&cursor={}"
    own = instance.get(path.format(reader, cursor))
    foreign = instance.get(path.format(reader + 1, cursor))
    forged = instance.get(path.format(reader, changed))

    assert [int(item["post_id"]) for item in own.body["items"]] == newest_first(posts)[3:6]
    refused(foreign, 400, "cursor: not a cursor of this reader")
    refused(forged, 400, "cursor: ")


def test_a_body_of_10_mb_is_413_and_the_api_goes_on(instance: Instance) -> None:
    refused(instance.get("/v1/readers/7/timeline", body=b"x" * TEN_MB), 413)

    assert instance.get("/healthz").status == 200


def test_an_unknown_path_is_a_problem_too(instance: Instance) -> None:
    refused(instance.get("/v1/readers"), 404)


def test_a_line_of_10_mb_is_refused_by_its_number_and_the_others_are_sent(instance: Instance) -> None:
    (author,) = events.take(1)
    first, huge, last = events.post(author), events.post(author, "x" * TEN_MB), events.post(author)
    lines = b"".join(json.dumps(event).encode() + b"\n" for event in (first, huge, last))

    done = instance.command("publish", "-", stdin=lines)

    assert done.returncode == 1
    assert "line 2: longer than 1048576 bytes" in done.stderr.splitlines()
    instance.settle()
    assert [post_id for post_id, _ in instance.walk(author)] == newest_first([first, last])

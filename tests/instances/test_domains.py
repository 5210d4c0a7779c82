"""A domain beside the home feed on the same engines: they share the topics its file names, and nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.wire.codec import decode, encode
from pipeline.wire.records import TimelineReply, TimelineRequest
from tests.engines import events
from tests.engines.harness import Instance
from tests.engines.test_replay import pages_of, tables_of, timelines_of, world
from tests.engines.thresholds import classes, thresholds
from tests.waiting import eventually

pytestmark = [pytest.mark.engines, pytest.mark.slow]

DOMAIN = "notifications"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """The home feed of an instance with engines of its own."""
    with Instance(tmp_path_factory.mktemp("domains"), {}, [DOMAIN]) as instance:
        instance.tideline("stage", "stop", "controller")  # it would act when the machine is slow
        yield instance


@pytest.fixture(scope="module")
def inbox(home: Instance) -> Iterator[Instance]:
    """The domain beside it."""
    with home.of(DOMAIN) as domain:
        yield domain


def test_what_happens_in_one_is_not_seen_in_the_other(home: Instance, inbox: Instance) -> None:
    author, reader = events.take(2)
    post, other = events.post(author, "for the feed"), events.post(author, "for the inbox")
    for each in (home, inbox):
        each.publish(events.followed(author, reader))

    home.publish(post)
    inbox.publish(other, post | {"body": "the same id in the inbox"})
    for each in (home, inbox):
        each.settle()

    assert home.walk(reader) == [(post["post_id"], "for the feed")]
    assert inbox.walk(reader) == [
        (other["post_id"], "for the inbox"),
        (post["post_id"], "the same id in the inbox"),
    ]


def test_follows_are_a_domains_own(home: Instance, inbox: Instance) -> None:
    author, reader = events.take(2)
    post = events.post(author)
    home.publish(events.followed(author, reader))
    for each in (home, inbox):
        each.publish(post)
        each.settle()

    assert (len(home.walk(reader)), inbox.walk(reader)) == (1, [])


def test_a_block_on_the_shared_topic_counts_in_both(home: Instance, inbox: Instance) -> None:
    author, reader = events.take(2)
    for each in (home, inbox):
        each.publish(events.followed(author, reader), events.post(author))
        each.settle()
        assert len(each.walk(reader)) == 1

    home.publish(events.moderation("blocked", reader_id=reader, author_id=author))
    for each in (home, inbox):
        each.settle()
        assert each.walk(reader) == []

    inbox.publish(events.moderation("unblocked", reader_id=reader, author_id=author))
    for each in (home, inbox):
        each.settle()
        assert len(each.walk(reader)) == 1


def test_a_session_of_the_domain_ends_at_its_cap(home: Instance, inbox: Instance) -> None:
    (reader,) = events.take(1)
    cap = inbox.topology.routing.cap
    assert cap is not None
    posts = [events.post(reader) for _ in range(cap + 3)]
    for each in (home, inbox):
        each.publish(*posts)
        each.settle()

    newest_first = [post["post_id"] for post in reversed(posts)]
    assert [post for post, _ in inbox.walk(reader, limit=30)] == newest_first[:cap]
    assert [post for post, _ in home.walk(reader, limit=30)] == newest_first


def test_a_cursor_is_of_one_domain(home: Instance, inbox: Instance) -> None:
    (reader,) = events.take(1)
    home.publish(events.post(reader), events.post(reader))
    home.settle()
    cursor = home.page(reader, limit=1)["next_cursor"]

    assert home.get(f"/v1/readers/{reader}/timeline?cursor={cursor}").status == 200
    assert inbox.get(f"/v1/readers/{reader}/timeline?cursor={cursor}").status == 400


def test_the_domain_pushes_where_the_home_feed_pulls(home: Instance, inbox: Instance) -> None:
    """Eight followers, and thresholds that make the author a pulled one in the home feed."""
    author, *readers = events.take(9)
    with thresholds(home, push_below=3, pull_above=6):
        for each in (home, inbox):
            each.publish(events.followed(author, *readers))
            each.settle()
            each.await_covered(author, readers)
        post, since = events.post(author), inbox.ends("author.routes")
        for each in (home, inbox):
            each.publish(post)
            each.settle()

        rows = {(reader, post["post_id"]) for reader in readers}
        assert (home.timeline(readers), inbox.timeline(readers)) == (set(), rows)
        assert home.paths(readers[0]) == {post["post_id"]: "pull"}
        assert inbox.paths(readers[0]) == {post["post_id"]: "push"}
        assert inbox.messages(since) == []


def test_a_stage_that_stands_still_holds_up_its_own_domain_alone(home: Instance, inbox: Instance) -> None:
    author, reader = events.take(2)
    for each in (home, inbox):
        each.publish(events.followed(author, reader))
        each.settle()

    home.tideline("stage", "stop", f"{DOMAIN}/classify")
    for each in (home, inbox):
        each.publish(events.post(author))
    home.settle()
    assert len(home.walk(reader)) == 1
    assert (inbox.lag("classify").lag, inbox.walk(reader)) == (1, [])

    home.tideline("stage", "start", f"{DOMAIN}/classify")
    inbox.settle()
    assert len(inbox.walk(reader)) == 1


def test_what_cannot_be_processed_is_kept_by_its_domain(home: Instance, inbox: Instance) -> None:
    inbox.send("posts", b"no record", b"1")
    inbox.flush()

    def letters(of: Instance) -> list[str]:
        return [one["origin"]["topic"] for one in json.loads(of.tideline("dlq", "list", "--json"))]

    assert eventually(lambda: letters(inbox), 30) == [f"{DOMAIN}.posts"]
    assert letters(home) == []


def test_a_request_over_kafka_is_answered_on_the_domains_topic(home: Instance, inbox: Instance) -> None:
    (reader,) = events.take(1)
    inbox.publish(events.post(reader, "mine"))
    inbox.settle()
    since, elsewhere = inbox.ends("timeline.replies"), home.ends("timeline.replies")
    request = TimelineRequest(f"ask-{reader}", reader, 5, None, "latest", False, "timeline.replies")

    inbox.send("timeline.requests", encode(request), b"%d" % reader)
    inbox.flush()

    (reply,) = eventually(lambda: inbox.messages(since), 30)
    answer = decode(reply.value(), TimelineReply)
    assert (reply.topic(), answer.status) == (f"{DOMAIN}.timeline.replies", 200)
    assert [item["body"] for item in json.loads(answer.body)["items"]] == ["mine"]
    assert home.messages(elsewhere) == []


def test_commands_are_about_the_domain_they_name(home: Instance, inbox: Instance, tmp_path: Path) -> None:
    author, reader = events.take(2)
    lines = tmp_path / "lines"
    following, posted = events.followed(author, reader), events.post(author, "from a file")
    lines.write_text("".join(json.dumps(event) + "\n" for event in (events.introduced(reader), following)))
    home.tideline("publish", str(lines), "--domain", DOMAIN)
    inbox.settle()
    lines.write_text(json.dumps(posted) + "\n")
    home.tideline("publish", str(lines), "--domain", DOMAIN)
    home.tideline("lag", "--wait", "60", "--domain", DOMAIN)

    page = json.loads(home.tideline("timeline", str(reader), "--domain", DOMAIN, "--json"))
    assert [item["body"] for item in page["items"]] == ["from a file"]
    assert home.walk(reader) == []

    stages = json.loads(home.tideline("lag", "--domain", DOMAIN, "--json"))
    assert {stage["group"].partition(".")[0] for stage in stages if stage["group"]} == {DOMAIN}
    assert home.tideline("topology", "diff", "--fail-on-changes", "--domain", DOMAIN) == ""
    assert json.loads(home.tideline("audit", "--reader", str(reader), "--domain", DOMAIN, "--json"))["clean"]
    assert f"{DOMAIN}/fanout.small" in home.command("status").stdout  # some stages are stopped here


def test_the_domain_is_replayed_alone(home: Instance, inbox: Instance) -> None:
    author, reader = events.take(2)
    inbox.publish(events.followed(author, reader), events.post(author))
    inbox.settle()
    before = home.worker("fanout.small")["pid"], inbox.worker(f"{DOMAIN}/fanout.small")["pid"]
    (stage,) = json.loads(inbox.tideline("replay", "fanout.small", "--execute", "--json"))["stages"]

    assert stage["group"] == f"{DOMAIN}.tideline.fanout.small"
    after = home.worker("fanout.small")["pid"], inbox.worker(f"{DOMAIN}/fanout.small")["pid"]
    assert (after[0] == before[0], after[1] == before[1]) == (True, False)
    assert len(inbox.walk(reader)) == 1


def test_the_home_feed_is_replayed_whole_and_tables_and_pages_stay_as_they_are(
    home: Instance, inbox: Instance
) -> None:
    """Every topic again from its beginning; here, as an instance of many tests would take minutes for it.

    Rows of a post that everybody is refused are clean-up, and may be gone after a replay: a take-down that came
    before its post was classified finds nothing to retract the first time, and does the second.
    """
    traffic = world(seed=6)
    with thresholds(home, 20, 40):
        home.publish(*traffic.opening())
        for _ in range(3):
            home.publish(*traffic.burst(80))
        home.settle()
        tables, timelines, pages = (
            tables_of(home, traffic),
            timelines_of(home, traffic),
            pages_of(home, traffic),
        )
        shown = {(reader, post) for reader, feed in pages.items() for post, _ in feed}
        since, before = home.ends("posts.classified"), inbox.worker(f"{DOMAIN}/classify")["pid"]
        assert all(tables.values())

        told = json.loads(home.tideline("replay", "--all", "--execute", "--json"))

        assert (told["executed"], told["settled"]) == (True, True)
        again = {stage["stage"]: stage["again"] for stage in told["stages"]}
        assert all(again[stage] for stage in ("graph", "readers", "moderation", "classify", "fanout.small"))
        home.settle()
        for author in traffic.authors:
            assert classes(home, author, since), "no post of the author went out again"
        after = timelines_of(home, traffic)
        assert tables_of(home, traffic) == tables
        assert {at: row for at, row in after.items() if at in shown} == {
            at: row for at, row in timelines.items() if at in shown
        }
        assert pages_of(home, traffic) == pages
        assert inbox.worker(f"{DOMAIN}/classify")["pid"] == before

"""`tideline audit` on real engines: silent when all is well, and each planted fault is found."""

import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from pipeline.wire.codec import decode, encode
from pipeline.wire.records import RouteRecord
from tests.engines import events
from tests.engines.events import Event
from tests.engines.harness import Instance
from tests.engines.json_ids import numbers_that_lose_digits
from tests.engines.test_isolation import stopped
from tests.engines.thresholds import thresholds
from tests.waiting import eventually

PUSH_BELOW, PULL_ABOVE = 20, 40
ROUTES = "author.routes"


@pytest.fixture(scope="module", autouse=True)
def small_thresholds(instance: Instance) -> Iterator[None]:
    with thresholds(instance, PUSH_BELOW, PULL_ABOVE):
        yield


def author_with(instance: Instance, followers: int, posts: int = 3) -> tuple[int, list[int], list[Event]]:
    """An author with followers, and posts made when every edge was covered."""
    author, *readers = events.take(followers + 1)
    instance.publish(events.followed(author, *readers))
    instance.settle()
    instance.await_covered(author, readers)
    made = [events.post(author, f"post {n}") for n in range(posts)]
    instance.publish(*made)
    instance.settle()
    return author, readers, made


def audited(instance: Instance, *readers: int, patience: str = "0") -> tuple[int, dict[str, Any]]:
    """Exit code and document. Where everything is settled nothing needs patience but the margin."""
    named = (word for reader in readers for word in ("--reader", str(reader)))
    done = instance.command("audit", *named, "--patience", patience, "--json")
    assert done.stdout, done.stderr
    document = orjson.loads(done.stdout)
    assert [*numbers_that_lose_digits(document)] == []
    return done.returncode, document


def told(document: dict[str, Any]) -> set[tuple[str, int]]:
    """The faults told of, as (kind, post)."""
    return {(one["kind"], int(one["post_id"])) for one in document["examples"]}


def route_of(instance: Instance, author: int) -> bytes:
    """The author's record as the topic has it."""
    begin = dict.fromkeys(instance.ends(ROUTES), 0)
    values = [m.value() for m in instance.messages(begin) if m.key() == str(author).encode()]
    assert values[-1] is not None
    return bytes(values[-1])


def put_route(instance: Instance, author: int, value: bytes | None) -> None:
    """What a fault, or its repair, leaves in the topic; returns when the API has read it."""
    instance.send(ROUTES, value, str(author).encode())
    instance.flush()
    instance.settle()


def test_feeds_and_rows_as_they_must_be_are_clean(instance: Instance) -> None:
    _, pushed, _ = author_with(instance, PUSH_BELOW - 1)
    _, pulled, _ = author_with(instance, PULL_ABOVE)

    code, document = audited(instance, *pushed[:3], *pulled[:2])

    assert (code, document["clean"], document["readers"]) == (0, True, 5)
    assert document["examples"] == []
    places = {
        (one["author_class"], one["cohort"], one["path"]): one["posts"] for one in document["breakdown"]
    }
    assert places == {("push", "active", "push"): 9, ("pull", "active", "pull"): 6}


def test_a_deleted_row_is_missing_on_the_page_and_in_the_rows(instance: Instance) -> None:
    author, readers, posts = author_with(instance, 3)
    lost = posts[1]["post_id"]
    instance.rows("DELETE FROM timeline_by_reader WHERE reader_id = %s AND post_id = %s", readers[0], lost)

    code, document = audited(instance, *readers)

    assert (code, document["missing"], document["row_missing"]) == (3, 1, 1)
    assert told(document) == {("missing", lost), ("row_missing", lost)}
    one = document["examples"][0]
    assert (one["reader_id"], one["author_id"], one["path"], one["cohort"]) == (
        str(readers[0]),
        str(author),
        "push",
        "active",
    )
    assert "fanout.small" in one["look_at"]


def test_the_command_a_missing_row_names_brings_it_back(instance: Instance) -> None:
    _, readers, posts = author_with(instance, 1)
    row = readers[0], posts[1]["post_id"]
    instance.rows("DELETE FROM timeline_by_reader WHERE reader_id = %s AND post_id = %s", *row)
    _, found = audited(instance, *readers)
    (repair,) = {one["next"] for one in found["examples"] if one["kind"] == "row_missing"}

    instance.tideline(*repair.split()[1:])

    assert row in instance.timeline(readers)
    assert audited(instance, *readers)[0] == 0


def test_a_row_of_an_author_who_is_not_followed_is_counted_and_is_no_fault(instance: Instance) -> None:
    _, readers, _ = author_with(instance, 2)
    stranger, _, posts = author_with(instance, 1, posts=1)
    row = readers[0], posts[0]["post_id"], stranger
    cql = "INSERT INTO timeline_by_reader (reader_id, post_id, author_id, hints) VALUES (%s, %s, %s, 0)"
    instance.rows(cql, *row)

    code, document = audited(instance, *readers)

    assert (code, document["row_left"], document["clean"]) == (0, 1, True)


def test_what_a_stopped_tier_has_still_to_do_is_late_and_comes_with_it(instance: Instance) -> None:
    _, (reader, *_), posts = author_with(instance, 2)
    late = events.post(posts[0]["author_id"], "late")
    with stopped(instance, "fanout.small"):
        instance.publish(late)
        eventually(lambda: instance.lag("fanout.small").lag == 1)

        code, document = audited(instance, reader, patience="3")

        assert (code, told(document)) == (3, {("late", late["post_id"])})
        assert (document["late"], document["missing"], document["row_missing"]) == (1, 0, 0)
    instance.settle()
    assert audited(instance, reader)[0] == 0


def test_a_lost_route_is_found_until_it_is_published_again(instance: Instance) -> None:
    author, readers, posts = author_with(instance, PULL_ABOVE)
    record = route_of(instance, author)
    put_route(instance, author, None)

    code, document = audited(instance, readers[0])

    assert (code, document["missing"], document["row_missing"]) == (3, 3, 0)
    assert told(document) == {("missing", post["post_id"]) for post in posts}
    assert {one["path"] for one in document["examples"]} == {"pull"}

    put_route(instance, author, record)

    assert audited(instance, readers[0])[0] == 0


def test_a_stale_route_hides_the_newest_posts(instance: Instance) -> None:
    """What an API would hold whose view stopped: it knows the class of the author, and an older newest post."""
    author, readers, posts = author_with(instance, PULL_ABOVE)
    record = route_of(instance, author)
    known = decode(record, RouteRecord)
    put_route(instance, author, encode(replace(known, latest_post_id=posts[0]["post_id"])))

    code, document = audited(instance, readers[0])

    assert code == 3
    assert told(document) == {("missing", post["post_id"]) for post in posts[1:]}

    put_route(instance, author, record)

    assert audited(instance, readers[0])[0] == 0


def test_a_post_on_its_way_is_waited_for(instance: Instance) -> None:
    """The writers of its tier are stopped, and start while the audit looks again."""
    author, readers, _ = author_with(instance, 2)
    instance.tideline("stage", "stop", "fanout.small")
    try:
        instance.publish(events.post(author))
    finally:
        instance.tideline("stage", "start", "fanout.small")

    done = instance.command("audit", "--reader", str(readers[0]), "--patience", "60", "--json")

    assert done.returncode == 0, done.stdout


def test_a_sample_is_drawn_from_all_readers(instance: Instance) -> None:
    author_with(instance, 6)

    done = instance.command("audit", "--readers", "5", "--patience", "0", "--json")

    document = orjson.loads(done.stdout)
    assert document["readers"] == 5
    assert done.returncode == (0 if document["clean"] else 3)


def test_the_auditor_is_at_work(instance: Instance) -> None:
    """Readers are looked at one after another, with none of the tests' doing."""
    author_with(instance, 2)
    url = f"http://127.0.0.1:{instance.worker('auditor')['port']}/metrics"

    def counted() -> dict[str, float]:
        with urllib.request.urlopen(url, timeout=10) as answer:
            lines = [line for line in answer.read().decode().splitlines() if line and line[0] != "#"]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    before = counted()
    after = eventually(
        lambda: (
            (now := counted())["tideline_audit_readers_total"] >= before["tideline_audit_readers_total"] + 2
            and now
        ),
        180,  # a reader with thousands of posts costs it minutes: it takes 2 % of the time
    )

    assert after["tideline_audit_last_clean_timestamp_seconds"] > 0

"""The same events again, and again in another order: tables and pages stay as they are."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.engines.harness import Instance
from tests.engines.model import Shown
from tests.engines.thresholds import thresholds
from tests.engines.traffic import Traffic

READERS = 60
AUDIENCES = (3, 8, 15, 25, 45)

Tables = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module", autouse=True)
def all_classes(instance: Instance) -> Iterator[None]:
    with thresholds(instance, 20, 40):
        yield


def world(seed: int) -> Traffic:
    """Posts of any age are taken from an import, so a slow machine gets no dead letters for the clock."""
    return Traffic(seed, READERS, AUDIENCES, imported=True)


COLUMNS = {
    "following_by_reader": "reader_id, author_id, follows, at, segment, covered_from, warm_since, warm_at,"
    " retracted_at, caught_up"
}


def tables_of(instance: Instance, traffic: Traffic) -> Tables:
    """Every row of every table that this traffic has written, in a fixed order; timelines apart, and the place
    of an edge, which is another when its event is published again.
    """
    authors, readers = [*traffic.authors, traffic.readers[0]], [*traffic.readers, *traffic.authors]
    posts = [event["post_id"] for event in traffic.events if event["type"] == "published"]
    segments = [(author, 0) for author in authors]
    buckets = [(author, bucket) for author in authors for bucket in _buckets(posts)]
    keys: dict[str, tuple[str, list[Any]]] = {
        "posts": ("post_id = %s", posts),
        "posts_by_author": ("author_id = %s AND bucket = %s", buckets),
        "followers_by_author": ("author_id = %s AND segment = %s", segments),
        "following_by_reader": ("reader_id = %s", readers),
        "author_routes": ("author_id = %s", authors),
        "author_stats": ("author_id = %s", authors),
        "reader_state": ("reader_id = %s", readers),
        "relations_by_reader": ("reader_id = %s", readers),
    }
    return {
        table: [
            row
            for key in found
            for row in instance.rows(
                f"SELECT {COLUMNS.get(table, '*')} FROM {table} WHERE {where}",
                *(key if isinstance(key, tuple) else (key,)),
            )
        ]
        for table, (where, found) in keys.items()
    }


def _buckets(posts: list[int]) -> set[int]:
    days_30 = 30 * 86_400_000
    return {(post >> 22) // days_30 for post in posts}


def timelines_of(instance: Instance, traffic: Traffic) -> dict[tuple[int, int], tuple[Any, ...]]:
    """By reader and post, what the row says; without those that were taken out, which have no author."""
    cql = "SELECT reader_id, post_id, author_id, hints FROM timeline_by_reader WHERE reader_id = %s"
    rows = (row for reader in traffic.readers for row in instance.rows(cql, reader))
    return {(reader, post): rest for reader, post, *rest in rows if rest[0]}


def pages_of(instance: Instance, traffic: Traffic) -> dict[int, list[Shown]]:
    """Every reader's feed."""
    return {reader: instance.walk(reader) for reader in traffic.readers}


def test_events_published_again_and_shuffled_change_no_table_and_no_page(instance: Instance) -> None:
    traffic = world(seed=4)
    instance.publish(*traffic.opening())
    for _ in range(4):
        instance.publish(*traffic.burst(80))
    instance.settle()
    tables, timelines = tables_of(instance, traffic), timelines_of(instance, traffic)
    pages = pages_of(instance, traffic)
    assert pages == {reader: traffic.model.feed(reader) for reader in traffic.readers}
    assert all(tables.values())

    for again in (traffic.events, traffic.shuffled()):
        instance.publish(*again)
        instance.settle()

        assert tables_of(instance, traffic) == tables
        assert rows_relied_upon(instance, traffic, timelines) == timelines
        assert pages_of(instance, traffic) == pages


def rows_relied_upon(
    instance: Instance, traffic: Traffic, before: dict[tuple[int, int], tuple[Any, ...]]
) -> dict[tuple[int, int], tuple[Any, ...]]:
    """The timelines without the one kind of row that a replay may add: of a post older than the edge.

    A post is pushed to whoever follows when its task is done, so a replay also reaches those who followed
    after it. Nothing relies on such a row: below its edge's bound a post is pulled, rows or not.
    """
    cql = "SELECT author_id, covered_from FROM following_by_reader WHERE reader_id = %s"
    bounds = {(r, author): bound for r in traffic.readers for author, bound in instance.rows(cql, r)}
    return {
        (reader, post): row
        for (reader, post), row in timelines_of(instance, traffic).items()
        if (reader, post) in before or post >= bounds.get((reader, row[0]), 0)
    }


def test_events_that_arrive_shuffled_make_the_same_feeds(instance: Instance) -> None:
    traffic = world(seed=5)
    traffic.opening()
    traffic.burst(320)
    assert {event["type"] for event in traffic.events} >= {"edited", "deleted", "unfollowed", "restored"}

    instance.publish(*traffic.shuffled())
    instance.settle()

    assert pages_of(instance, traffic) == {reader: traffic.model.feed(reader) for reader in traffic.readers}

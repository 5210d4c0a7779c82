"""A reader who follows thousands: an exact page, for which only the authors that matter are read."""

from collections.abc import Iterator

import pytest

from tests.engines import events
from tests.engines.harness import Instance
from tests.engines.model import Model
from tests.engines.thresholds import thresholds

FOLLOWEES, PULLED = 3_000, 200


@pytest.fixture(scope="module", autouse=True)
def two_followers_are_pulled(instance: Instance) -> Iterator[None]:
    with thresholds(instance, 2, 2):
        yield


def test_of_three_thousand_followees_the_page_reads_those_it_needs(instance: Instance) -> None:
    reader, other, *authors = events.take(2 + FOLLOWEES)
    pulled = authors[:PULLED]
    said = [events.followed(author, reader, *([other] * (author in pulled))) for author in authors]
    instance.publish(*said)
    instance.settle()
    for author in authors[-50:] + pulled[-50:]:
        instance.await_covered(author, [reader])
    posts = events.at_once(authors)
    instance.publish(*posts)
    instance.settle()
    model = Model([*said, *posts])

    page = instance.page(reader, limit=50)

    assert [int(item["post_id"]) for item in page["items"]] == [post for post, _ in model.feed(reader)][:50]
    widths = page["explain"]
    assert widths["followees"] == FOLLOWEES
    assert PULLED <= widths["sources"] < PULLED + 100
    assert widths["sources_read"] < PULLED
    assert instance.walk(reader) == model.feed(reader)

"""How fresh pages are, as metrics: what was shown, and what those who serve pages hear of."""

import pytest

from pipeline.domain.snowflake import first_id
from pipeline.query import freshness
from pipeline.query.known_routes import ByAuthor
from pipeline.telemetry.gauges import GreatestValue
from pipeline.wire.records import AuthorClass, RouteEntry, RouteRecord
from tests import exported
from tests.query.feeds import READER, T0, Author, World

NEWEST = "tideline_newest_visible_timestamp_seconds"
PULL, PARTIAL, PUSH = AuthorClass.PULL, AuthorClass.PARTIAL, AuthorClass.PUSH
NOW, DAY_MS = 1_700_000_000_000, 86_400_000


@pytest.fixture
def newest(monkeypatch):
    """Nothing was shown yet."""
    fresh = {active: GreatestValue(freshness.metrics.NEWEST_VISIBLE, str(active)) for active in (True, False)}
    monkeypatch.setattr(freshness, "_newest", fresh)
    yield lambda active: exported.value(NEWEST, cohort=str(active))
    freshness.metrics.NEWEST_VISIBLE.clear()


async def test_a_first_page_shows_how_new_its_newest_post_is(newest):
    """Own posts say nothing of anybody else's; the next page is older."""
    world = World([Author(10, {100: "", 110: ""})], own=[150])
    await world.settle()

    first = await world.page(2)
    assert [item.path for item in first.items] == ["own", "push"]
    active = bool((await world.stores.readers.reader(READER)).active)
    shown = newest(active)
    await world.page(2, first.next_cursor)

    assert shown == newest(active) == (T0 + 110) / 1000
    assert newest(not active) is None


async def test_a_page_counts_the_widths_of_its_chain_once():
    world = World([Author(10, {100: "", 110: ""})])
    await world.settle()
    counted = exported.Counted("tideline_page_width_count", step="items")
    posts = exported.Counted("tideline_page_width_sum", step="items")

    await world.page(5)

    assert (counted(), posts()) == (1, 2)


def record(made_ms, author_class=PULL, since_ms=NOW - DAY_MS):
    return RouteRecord(7, (RouteEntry(first_id(since_ms), author_class, "large"),), first_id(made_ms))


def pulled(author_class):
    labels = {"author_class": author_class, "cohort": "any", "path": "pull"}
    return (
        exported.Counted("tideline_publish_to_visible_seconds_count", **labels),
        exported.Counted("tideline_publish_to_visible_seconds_sum", **labels),
    )


@pytest.mark.parametrize("author_class", [PULL, PARTIAL])
@pytest.mark.parametrize("before", [None, record(NOW - 9_000)])
def test_a_post_that_is_pulled_is_visible_once_its_author_is_news(author_class, before):
    number, seconds = pulled(author_class)

    freshness.heard(lambda: NOW, before, record(NOW - 3_000, author_class))

    assert (number(), seconds()) == (1, pytest.approx(3))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (record(NOW - 3_000), record(NOW - 3_000)),  # the same, once more
        (record(NOW - 3_000), record(NOW - 4_000)),
        (None, record(NOW - 3_000, PUSH)),
        (None, record(NOW - 2 * DAY_MS, since_ms=NOW - 3 * DAY_MS)),  # imported
    ],
)
def test_what_is_no_news_or_not_pulled_or_imported_is_not_counted(before, after):
    counted = [pulled(author_class)[0] for author_class in (PULL, PARTIAL, PUSH)]

    freshness.heard(lambda: NOW, before, after)

    assert [number() for number in counted] == [0, 0, 0]


def test_a_clock_ahead_makes_nothing_negative():
    number, seconds = pulled(PULL)

    freshness.heard(lambda: NOW, None, record(NOW + 50))

    assert (number(), seconds()) == (1, pytest.approx(0))


def test_a_view_tells_of_what_comes_after_it_was_asked_to():
    """With the record before; what is taken out is nothing to tell of."""
    routes, told = ByAuthor(), []
    old, new = record(NOW - 9_000), record(NOW)
    routes.put(b"7", old)
    routes.heard = lambda *both: told.append(both)

    routes.put(b"7", new)
    routes.put(b"7", None)
    routes.put(b"7", old)

    assert told == [(old, new), (None, old)]

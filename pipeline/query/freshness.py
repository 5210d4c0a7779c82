"""How fresh pages are, as metrics: what a served page shows, and what those who serve pages hear of."""

from collections.abc import Callable

from pipeline.domain import snowflake
from pipeline.domain.routing import class_of
from pipeline.query.page import Page
from pipeline.query.plan import Plan
from pipeline.telemetry import metrics
from pipeline.telemetry.gauges import GreatestValue
from pipeline.wire.records import AuthorClass, RouteRecord

IMPORTED_MS = 86_400_000
"""A post this old that is news was imported, or was late before it came: it says nothing of the pipeline."""

_newest = {
    active: GreatestValue(metrics.NEWEST_VISIBLE, "active" if active else "dormant")
    for active in (True, False)
}


def observe(plan: Plan, page: Page) -> None:
    """A page was served. Own posts say nothing of the way of others'."""
    if plan.request.first and plan.request.place.mode == "latest":
        made = next((item.post.created_at for item in page.items if item.path != "own"), None)
        if made is not None:
            _newest[bool(plan.reader.state.active)].saw(made / 1000)


def heard(now_ms: Callable[[], int], before: RouteRecord | None, record: RouteRecord) -> None:
    """An author's record is news: with a post that is pulled, the post is visible from now on."""
    post = record.latest_post_id
    if before is not None and post <= before.latest_post_id:
        return
    author_class = class_of(post, record.entries)
    age_ms = now_ms() - snowflake.time_ms(post)
    if author_class is not AuthorClass.PUSH and age_ms < IMPORTED_MS:
        metrics.PUBLISH_TO_VISIBLE.labels(author_class, "any", "pull").observe(max(age_ms, 0) / 1000)

"""A page as it is handed out, and what it is made of: the last step of the chain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from prometheus_client import Histogram

from pipeline.domain import cursor
from pipeline.domain.cursor import Cursor
from pipeline.query.load import Loaded
from pipeline.query.plan import Plan
from pipeline.store.values import StoredPost
from pipeline.telemetry import metrics


@dataclass(frozen=True, slots=True)
class Item:
    """A post on the page and how it came there; with its score, and the parts of it, where it was ranked.

    `tier`: the fan-out tier of its author, told when it is asked for.
    """

    post: StoredPost
    path: str
    score: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    tier: str = ""


@dataclass(frozen=True, slots=True)
class Selected:
    """What `latest` or `ranked` has chosen, the place of the next page (None: the feed ends here), and the
    widths of its steps.
    """

    items: Sequence[Item]
    following: Cursor | None
    loaded: Loaded
    widths: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """A page, the cursor of the next one (None: the feed ends here), and the widths of the chain.

    `degraded`: the steps of the ladder that were taken; `lacks`: authors whose posts may be missing; `as_of`:
    when its session began (ms).
    """

    items: Sequence[Item]
    next_cursor: str | None
    degraded: Sequence[str] = ()
    widths: Mapping[str, int] = field(default_factory=dict)
    lacks: Sequence[int] = ()
    as_of: int = 0


def page_of(plan: Plan, selected: Selected, cap: int | None, keys: Sequence[bytes]) -> Page:
    """The page of what was selected. `cap`: posts a session may reach; `keys`: the first signs its cursor."""
    sources, following = selected.loaded.sources, selected.following
    widths = {
        "followees": len(plan.reader.follows),
        "sources": len(sources),
        **selected.widths,
        "items": len(selected.items),
    }
    for step, width in widths.items():
        _width(step).observe(width)
    ends = following is None or (cap is not None and following.served >= cap)
    return Page(
        selected.items,
        None if following is None or ends else cursor.seal(following, plan.request.reader_id, keys),
        selected.loaded.degraded,
        widths,
        sorted({source.author_id for source in sources if source.lost}),
        plan.request.place.as_of,
    )


@cache
def _width(step: str) -> Histogram:
    return metrics.PAGE_WIDTH.labels(step)

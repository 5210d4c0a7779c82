"""Hydrate: the posts of what was chosen, a few at a time, until as many may be shown as are wanted."""

from collections.abc import Sequence
from typing import TypeVar

from pipeline.domain.merge import STRIDE, Candidate
from pipeline.domain.ranking import Ranked
from pipeline.query.load import Load, Loaded
from pipeline.query.plan import Plan
from pipeline.store.values import StoredPost

Choice = TypeVar("Choice", Candidate, Ranked)


async def visible(
    load: Load, plan: Plan, loaded: Loaded, chosen: Sequence[Choice], wanted: int, *, in_order: bool
) -> tuple[Loaded, list[tuple[Choice, StoredPost]], list[Choice]]:
    """The first so many of these that may be shown, with their posts, and those whose turn has not come; more
    are fetched at a time when they come out thin. `in_order`: none is shown after one that was not fetched in
    time; else those are left for later.
    """
    shown: list[tuple[Choice, StoredPost]] = []
    left, size, hides = list(chosen), wanted, plan.hides_post
    while left and len(shown) < wanted:
        chunk, left = left[:size], left[size:]
        loaded = await load.posts(plan, loaded, [one.post_id for one in chunk])
        late: list[Choice] = []
        for place, one in enumerate(chunk):
            post = loaded.posts.get(one.post_id)
            missing = post is None and loaded.cut is not None
            if len(shown) == wanted or (missing and in_order):
                late += chunk[place:]
                break
            if missing:
                late.append(one)
            elif post is not None and hides(post) is None:
                shown.append((one, post))
        left = late + left
        if loaded.cut:
            break
        if in_order and not shown:
            loaded = loaded.passed_over()
        size *= STRIDE
    return loaded._replace(found=loaded.found + len(shown)), shown, left

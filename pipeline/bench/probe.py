"""Publish-to-visible as a reader sees it: from before a post is published until the API answers with it.

Which posts and readers are looked at is drawn beforehand and bounded in number, so a slow moment is measured
like any other instead of being skipped. A probe's resolution is its polling: 10 ms, or a tenth of its wait.
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import aiohttp

from pipeline.bench.demo_traffic import Touched, TrafficStep
from pipeline.bench.graph import FollowGraph

PROBES_A_KIND = 60
"""Probes of each kind of author at most, so that they leave the cores to what they measure."""

PATIENCE_S = 60.0
"""A post not visible after this long counts as never seen."""

_PAGE = 50
_FIRST_PAUSE_S, _SHARE_WAITED = 0.01, 0.1


@dataclass(frozen=True, slots=True)
class Sighting:
    """One post and one follower: seconds from publish to visible; None: not within PATIENCE_S."""

    kind: str
    seconds: float | None


def choose(
    steps: Sequence[TrafficStep],
    graph: FollowGraph,
    touched: Touched,
    kind_of: Callable[[int], str],
    seed: int,
    most: int = PROBES_A_KIND,
) -> Mapping[int, int]:
    """By number of the post, the follower to look at: at most so many of each kind of author, drawn."""
    rng = random.Random(seed)
    by_kind: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for step in steps:
        if step.publishes and step.post is not None and step.post not in touched.posts:
            author = step.fields["author_id"]
            readers = [reader for reader in graph.followers[author] if reader not in touched.readers]
            if readers and author not in touched.authors:
                by_kind[kind_of(author)].append((step.post, rng.choice(readers)))
    return dict(pair for pairs in by_kind.values() for pair in rng.sample(pairs, min(len(pairs), most)))


class Probe:
    """Looks for posts through the API at this address. `sightings` grows as posts are seen."""

    def __init__(self, session: aiohttp.ClientSession, api: str) -> None:
        self._session, self._api = session, api
        self.sightings: list[Sighting] = []

    async def look(self, post_id: int, reader_id: int, kind: str, published: float) -> None:
        """Look until the reader sees the post. `published`: by the monotonic clock, before it was sent."""
        while (waited := time.monotonic() - published) < PATIENCE_S:
            if await self._sees(reader_id, str(post_id)):
                self.sightings.append(Sighting(kind, time.monotonic() - published))
                return
            await asyncio.sleep(max(_FIRST_PAUSE_S, waited * _SHARE_WAITED))
        self.sightings.append(Sighting(kind, None))

    async def _sees(self, reader_id: int, post_id: str) -> bool:
        """Whether the newest page holds the post; an API that does not answer shows nothing."""
        url = f"{self._api}/v1/readers/{reader_id}/timeline"
        try:
            async with self._session.get(url, params={"limit": str(_PAGE)}) as answer:
                page = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False
        return any(item["post_id"] == post_id for item in page.get("items", ()))

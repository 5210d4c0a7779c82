"""Who is there to read; and whose feeds are audited: where something may have gone wrong, and others."""

import random
from collections.abc import Callable, Iterable, Sequence

from pipeline.bench.demo_traffic import Touched, TrafficStep
from pipeline.bench.graph import FollowGraph

_OF_EACH = 60
"""Readers of each stratum at most. Strata overlap; together they are about 700."""


def stratified(
    graph: FollowGraph,
    steps: Sequence[TrafficStep],
    touched: Touched,
    kind_of: Callable[[int], str],
    seed: int,
) -> list[int]:
    """Everyone a change touched, those who follow most, followers of each kind of posting author, authors who
    follow nobody and so see only themselves, and anybody.
    """
    rng = random.Random(seed)
    posting = sorted({step.fields["author_id"] for step in steps if step.publishes})
    by_kind: dict[str, list[int]] = {}
    for author in posting:
        by_kind.setdefault(kind_of(author), []).append(author)
    strata: list[Iterable[int]] = [
        touched.readers,
        sorted(graph.following, key=lambda reader: (-len(graph.following[reader]), reader))[:_OF_EACH],
        _some([author for author in posting if author not in graph.following], rng),
        _some(graph.accounts, rng),
    ]
    for authors in by_kind.values():
        strata.append(_some(sorted({r for author in authors for r in graph.followers[author]}), rng))
    return sorted({reader for stratum in strata for reader in stratum})


def active(graph: FollowGraph, steps: Sequence[TrafficStep]) -> list[int]:
    """Everyone who follows an author that posts; to the others nothing would come anyway."""
    posting = {step.fields["author_id"] for step in steps if step.publishes}
    return sorted({reader for author in posting for reader in graph.followers.get(author, ())})


def _some(readers: Sequence[int], rng: random.Random) -> list[int]:
    return rng.sample(readers, min(len(readers), _OF_EACH))

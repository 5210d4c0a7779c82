"""The order of a ranked page: named features in, named parts of a score out, best first.

A ranker gives each candidate its parts, and a score is their sum; explain shows them. What it may know are
the features below, as of the session's start, so the same features have the same order whenever they are
asked for. Which ranker runs is `model` in `topology/ranking.yaml`; `weighted` is the one there is, and models
of one's own come through the same seam (docs/ranking.md).

Diversity is not the ranker's: whatever the model, every further post of an author costs `diversity`. The best
that is left is taken, again and again. That needs no loop: the cost is the same for all that is left of an
author, so their posts keep their own order, and the k-th costs k - 1 times as much wherever it lands.

    author A  5.0 4.8 4.6      diversity 0.5 → A 5.0, A 4.3, B 4.2, A 3.6
    author B  4.2
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

DIVERSITY = "diversity"
"""The part that `rank` adds to those of the model."""


class Features(NamedTuple):
    """What a ranker may know of one candidate, at the session's `as_of`.

    `age_s`: seconds since the post; from its id. `author_prior`, `quality`, `proximity`: 0 to 1, the hints
    taken at the write (`hints`). `affinity`: the reader's engagements with the author in 30 days. `negative`:
    posts of the author that the reader has hidden. `engagement`: distinct readers who engaged with the post
    lately; 0 while the candidate is not enriched, which it never is when it is pruned.
    """

    post_id: int
    author_id: int
    age_s: float
    author_prior: float
    quality: float
    proximity: float
    affinity: int
    negative: int
    engagement: int


class Ranker(Protocol):
    """A model. It holds no state between calls and asks nobody: what it may know is in the features."""

    def score(self, candidates: Sequence[Features]) -> Sequence[Mapping[str, float]]:
        """The parts of each candidate's score by name, in the order of the candidates."""
        ...


class RankerError(ValueError):
    """The model failed, or gave what cannot be ordered; the page can do without it."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate in its place. The score is the sum of its parts."""

    post_id: int
    author_id: int
    score: float
    parts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Weighted:
    """The model there is: a weighted sum on a logarithmic scale, on which 1 is twice as good.

    A post is worth half after `half_life_s` and a quarter after three times that, so no age is too great to
    tell apart. A count tells by its doublings: the first engagement as much as the next two together.
    """

    weights: Mapping[str, float]
    half_life_s: float

    def score(self, candidates: Sequence[Features]) -> list[dict[str, float]]:
        """Age and negative feedback take, everything else gives."""
        log2, half_life_s, weights = math.log2, self.half_life_s, self.weights
        age, affinity, prior = weights["age"], weights["affinity"], weights["author_prior"]
        quality, proximity = weights["quality"], weights["proximity"]
        engagement, negative = weights["engagement"], weights["negative"]
        return [
            {
                "age": 0.0 - age * log2(1 + max(one.age_s, 0.0) / half_life_s),
                "affinity": affinity * log2(1 + one.affinity),
                "author_prior": prior * one.author_prior,
                "quality": quality * one.quality,
                "proximity": proximity * one.proximity,
                "engagement": engagement * log2(1 + one.engagement),
                "negative": 0.0 - negative * log2(1 + one.negative),  # not -0.0, which people see in explain
            }
            for one in candidates
        ]


def prune(
    candidates: Sequence[Features], ranker: Ranker, keep: int, diversity: float = 0.0
) -> list[Features]:
    """The `keep` candidates that `rank` would put first, in the order they came. Raises RankerError.

    With the diversity of the final order a loud author cannot fill what is kept; without it they can.
    """
    if len(candidates) <= keep:
        return list(candidates)
    best = _order(candidates, _scores(candidates, _parts(candidates, ranker)), diversity)[:keep]
    return [candidates[at] for at in sorted(at for _, _, at, _ in best)]


def rank(candidates: Sequence[Features], ranker: Ranker, diversity: float) -> list[Ranked]:
    """All candidates, best first, of equals the newer; so no score is above the last. Raises RankerError."""
    parts = _parts(candidates, ranker)
    return [
        Ranked(post_id, candidates[at].author_id, score, _plain(parts[at], 0.0 - cost))
        for score, post_id, at, cost in _order(candidates, _scores(candidates, parts), diversity)
    ]


def _plain(parts: Mapping[str, float], diversity: float) -> dict[str, float]:
    """A model may have computed with numbers of a library's own; what is shown has Python's."""
    plain = {str(name): float(value) for name, value in parts.items()}
    plain[DIVERSITY] = diversity
    return plain


def _parts(candidates: Sequence[Features], ranker: Ranker) -> list[Mapping[str, float]]:
    try:
        parts = list(ranker.score(candidates))
    except Exception as error:  # a model is anybody's code
        raise RankerError(f"the model failed: {error!r}") from error
    if len(parts) != len(candidates):
        raise RankerError(f"the model gave {len(parts)} scores for {len(candidates)} candidates")
    return parts


def _scores(candidates: Sequence[Features], parts: Sequence[Mapping[str, float]]) -> list[float]:
    scores = []
    for one, its in zip(candidates, parts, strict=True):
        try:
            score = math.fsum(its.values())  # exact, so the order of the parts changes nothing
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            raise RankerError(f"the model gave no numbers for post {one.post_id}: {its!r}") from error
        if not math.isfinite(score):
            raise RankerError(f"the model gave {score} for post {one.post_id}")
        if DIVERSITY in its:
            raise RankerError(f"the model gave a part named {DIVERSITY}, which is not its own")
        scores.append(score)
    return scores


def _order(
    candidates: Sequence[Features], scores: Sequence[float], diversity: float
) -> list[tuple[float, int, int, float]]:
    """`(score, post_id, place among the candidates, cost of diversity)`, best first."""
    alone = sorted(((scores[at], one.post_id, at) for at, one in enumerate(candidates)), reverse=True)
    above: dict[int, int] = {}
    found = []
    for score, post_id, at in alone:
        author = candidates[at].author_id
        earlier = above.get(author, 0)
        above[author] = earlier + 1
        cost = diversity * earlier
        found.append((score - cost, post_id, at, cost))
    return sorted(found, reverse=True)

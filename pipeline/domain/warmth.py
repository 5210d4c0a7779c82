"""Whether an edge of a partial author is warm: pushed to this reader, or pulled by them.

The rule of Silberstein et al., "Feeding Frenzy" (SIGMOD 2010), for one edge: push when the reader looks at
the author's posts often enough for what the author posts,

    reads / posts  >=  cost(push) / cost(pull)

with both counted over the same span, and the costs as the running system measures them. An edge goes warm
somewhat above the balance and cold somewhat below it, so that it does not flutter.
"""

from dataclasses import dataclass

from pipeline.domain.cost import Costs

SPAN_MS = 7 * 86_400_000
"""How far back reads and posts are counted."""

MAX_COUNT = 200
"""Counted at most of either: beyond, it is plain."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """An edge, both ways: reads a post, and the balance above which push is cheaper."""

    reads: int
    posts: int
    balance: float

    @property
    def reads_a_post(self) -> float:
        """How often the reader looks at a post of the author; an author who does not post is never pushed."""
        return self.reads / self.posts if self.posts else 0.0


def weigh(reads: int, posts: int, costs: Costs) -> Weighed:
    """What the reader reads and the author posts in a span, against what push and pull cost."""
    return Weighed(reads, posts, costs.row_s / costs.pull_s)


def is_warm(edge: Weighed, hysteresis: float, *, warm: bool) -> bool:
    """Whether the edge should be warm; `warm`: whether it is."""
    slack = 1 - hysteresis if warm else 1 + hysteresis
    return edge.reads_a_post >= edge.balance * slack and edge.reads_a_post > 0

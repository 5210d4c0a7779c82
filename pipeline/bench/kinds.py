"""What kind of author somebody is: the name under which the figures of their posts are kept."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.bench.graph import FollowGraph
from pipeline.topology import Topology


@dataclass(frozen=True, slots=True)
class Kinds:
    """By the graph as it was imported; a run's few follows move nobody far."""

    graph: FollowGraph
    topology: Topology

    def of(self, author_id: int) -> str:
        """`partial`, `pull`, or for an author who is pushed the tier."""
        followers, routing = len(self.graph.followers.get(author_id, ())), self.topology.routing
        if followers >= routing.push_below:
            return "pull" if followers >= routing.pull_above else "partial"
        tiers = self.topology.tiers.values()
        return next(t.name for t in tiers if t.max_followers is None or followers < t.max_followers)

    def class_of(self, author_id: int) -> str:
        """The author's class."""
        kind = self.of(author_id)
        return "push" if kind in self.topology.tiers else kind

    @property
    def by_class(self) -> Mapping[str, list[str]]:
        """The kinds of each class."""
        return {"push": list(self.topology.tiers), "partial": ["partial"], "pull": ["pull"]}

    def count(self, authors: Iterable[int]) -> Counter[str]:
        """How many of each kind."""
        return Counter(map(self.of, authors))

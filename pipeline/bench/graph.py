"""The real follow graph that comes with the package; where it is from: `higgs-follows.README.md`."""

import gzip
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SHIPPED = Path(__file__).with_name("higgs-follows.txt.gz")


@dataclass(frozen=True, slots=True)
class FollowGraph:
    """Who follows whom, from both sides, in the order of the file."""

    followers: Mapping[int, Sequence[int]]
    following: Mapping[int, Sequence[int]]
    edges: int

    def largest(self, count: int) -> list[int]:
        """The authors with most followers, largest first."""
        return sorted(self.followers, key=lambda author: (-len(self.followers[author]), author))[:count]

    @property
    def accounts(self) -> list[int]:
        """Everybody in the graph, by id."""
        return sorted({*self.followers, *self.following})


def load(path: Path = SHIPPED) -> FollowGraph:
    """Read lines `FOLLOWER FOLLOWED`."""
    followers: dict[int, list[int]] = defaultdict(list)
    following: dict[int, list[int]] = defaultdict(list)
    edges = 0
    with gzip.open(path, "rt") as lines:
        for line in lines:
            follower, followed = map(int, line.split())
            followers[followed].append(follower)
            following[follower].append(followed)
            edges += 1
    return FollowGraph(dict(followers), dict(following), edges)

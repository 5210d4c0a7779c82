"""Which rows may share a batch: those whose replicas are the same nodes, as far as the caps allow.

A batch over many partitions is cheap only when its coordinator holds all of them; otherwise the coordinator
becomes a bottleneck that forwards everything twice.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence

from cassandra.metadata import Murmur3Token, TokenMap

from pipeline.store.cassandra.wire import Mutation

MAX_ROWS = 200
"""Rows in a batch: a quarter less CPU a row than with 100 (measured); beyond, MAX_BYTES rules."""

MAX_BYTES = 16 * 1024
"""Bytes in a batch. A stock server refuses 50 KiB as it counts, up to 1.7 times as much (measured)."""


class Ring:
    """Maps a routing key to the group of nodes that hold it. Immutable: a new ring for new owners."""

    def __init__(self, tokens: Sequence[int], owners: Sequence[frozenset[Hashable]]) -> None:
        """`owners[i]` holds the keys up to and including `tokens[i]`, which are sorted."""
        number: dict[frozenset[Hashable], int] = {}
        self._tokens = tokens
        self._groups = [number.setdefault(nodes, len(number)) for nodes in owners]
        self.uniform = len(number) <= 1

    @classmethod
    def of(cls, tokens: TokenMap, keyspace: str) -> "Ring":
        """The ring of a keyspace as the driver knows it; a uniform one while it knows nothing."""
        owners = tokens.tokens_to_hosts_by_ks.get(keyspace)
        if not owners:
            return cls((), ())
        return cls(
            [token.value for token in tokens.ring],
            [frozenset(host.endpoint for host in owners[token]) for token in tokens.ring],
        )

    def group(self, key: bytes) -> int:
        """The number of the replica set that holds this key; always 0 where every node holds everything."""
        if self.uniform:
            return 0
        point = bisect_left(self._tokens, Murmur3Token.hash_fn(key))
        return self._groups[point % len(self._groups)]

    def split(self, keys: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
        """The same keys by replica set, in their order."""
        if self.uniform:
            return [keys]
        groups: dict[int, list[bytes]] = defaultdict(list)
        for key in keys:
            groups[self.group(key)].append(key)
        return groups.values()


def cut(mutations: Iterable[Mutation], ring: Ring) -> Iterator[list[Mutation]]:
    """Batches of at most MAX_ROWS rows and MAX_BYTES bytes, each within one replica set.

    Mutations keep their order within a set and are never split: one that is larger than a cap goes alone.
    """
    waiting: dict[int, list[Mutation]] = {}
    sizes: dict[int, tuple[int, int]] = {}
    for mutation in mutations:
        group = ring.group(mutation.key)
        rows, size = sizes.get(group, (0, 0))
        rows, size = rows + mutation.rows, size + len(mutation.data)
        if group in waiting and (rows > MAX_ROWS or size > MAX_BYTES):
            yield waiting.pop(group)
            rows, size = mutation.rows, len(mutation.data)
        waiting.setdefault(group, []).append(mutation)
        sizes[group] = rows, size
    yield from waiting.values()

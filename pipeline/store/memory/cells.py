"""Tables whose cells are last-writer-wins registers with a time to live, as Cassandra's are."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

import orjson

Clock = Callable[[], float]


class _Cell(NamedTuple):
    """A written value; of two cells the larger tuple wins. No value: a removal, which wins a tie."""

    written_us: int
    removed: bool
    expires: float
    order: Any
    value: Any


class MemoryTable:
    """Partitions of rows of cells, each cell a last-writer-wins register."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._partitions: dict[Hashable, dict[Any, dict[str, _Cell]]] = {}
        self._forgotten: set[tuple[Hashable, ...]] = set()

    def write(
        self, partition: Hashable, row: Hashable, us: int, values: Mapping[str, object], *, ttl_s: int = 0
    ) -> None:
        """Write cells as of `us`; `ttl_s` 0 keeps them for ever. What is forgotten stays so."""
        if (partition,) in self._forgotten or (partition, row) in self._forgotten:
            return
        cells = self._partitions.setdefault(partition, {}).setdefault(row, {})
        expires = self._clock() + ttl_s if ttl_s else 0.0
        for column, value in values.items():
            cell = _Cell(us, value is None, expires, _order(value), value)
            cells[column] = max(cell, cells.get(column, cell), key=lambda each: each[:4])

    def forget(self, partition: Hashable, *row: Hashable) -> None:
        """Remove a partition, or one row of it, for ever: no write is later than that."""
        self._forgotten.add((partition, *row))
        if row:
            self._partitions.get(partition, {}).pop(row[0], None)
        else:
            self._partitions.pop(partition, None)

    def rows(self, partition: Hashable) -> dict[Any, dict[str, Any]]:
        """The live cells of each row that has any, in the order of the row keys."""
        now = self._clock()
        found = {
            row: {
                column: cell.value
                for column, cell in cells.items()
                if not cell.removed and (not cell.expires or cell.expires > now)
            }
            for row, cells in sorted(self._partitions.get(partition, {}).items())
        }
        return {row: values for row, values in found.items() if values}

    def after(self, place: int, limit: int) -> list[tuple[int, Any]]:
        """The next live partitions after a token, in the order of tokens."""
        placed = sorted((_token(key), key) for key in self._partitions)
        return [(token, key) for token, key in placed if token > place and self.rows(key)][:limit]

    def row(self, partition: Hashable, row: Hashable = 0) -> dict[str, Any]:
        """The live cells of one row."""
        return self.rows(partition).get(row, {})

    def written_us(self, partition: Hashable, row: Hashable, column: str) -> int:
        """The write time of a cell; 0 when it was never written."""
        cell = self._partitions.get(partition, {}).get(row, {}).get(column)
        return 0 if cell is None else cell.written_us

    def partitions(self) -> list[Any]:
        """The keys of all partitions ever written."""
        return list(self._partitions)


def _token(key: Any) -> int:
    """A number that says nothing about the key, as the ring's do; of two integers never the same."""
    return (int(key) + 1) * 0x9E3779B97F4A7C15 % 2**64 - 2**63


def _order(value: object) -> Any:
    """Which of two values written at the same time wins: the larger one as the bytes Cassandra would hold."""
    if isinstance(value, int):
        return value % 2**64
    return value if isinstance(value, (str, bytes)) else orjson.dumps(value, default=dict)

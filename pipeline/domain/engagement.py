"""How many readers engaged with a post, by the hour: exact while they are few, an estimate beyond.

A sketch is the `MAX_HASHES` smallest hashes of a set of readers ("k minimum values", Bar-Yossef et al.,
2002). What it is follows from the set alone: not from the order readers came in, nor from how often, nor from
how the set was cut into batches. So a replay makes the same bytes, and of two sketches of a growing set the
later one is also the larger one, which is how a store can tell which to keep (`growth`).

Up to `MAX_HASHES` - 1 readers are counted exactly; beyond, the standard error is 6 %.
"""

import struct
from collections.abc import Iterable

import mmh3

MAX_HASHES = 256
"""Hashes in a sketch: 2 KB, whoever engages."""

HOUR_MS = 3_600_000

RETENTION_HOURS = 7 * 24
"""How long the readers of an hour are known once it is over: as long as `activity` keeps its records."""

_SPACE = 2**64
_COARSE = 14
"""Bits of a hash that `growth` leaves out, so that it stays below any write time of today (us)."""

Sketch = tuple[int, ...]
"""Hashes in ascending order, each of them once."""


def sketch(reader_ids: Iterable[int]) -> Sketch:
    """The sketch of a set of readers."""
    return _smallest(mmh3.hash64(struct.pack(">q", reader), signed=False)[0] for reader in reader_ids)


def union(one: Sketch, other: Sketch) -> Sketch:
    """The sketch of both sets together."""
    return _smallest((*one, *other))


def _smallest(hashes: Iterable[int]) -> Sketch:
    return tuple(sorted(set(hashes))[:MAX_HASHES])


def readers(of: Sketch) -> int:
    """How many different readers; more of them never count less."""
    return len(of) if len(of) < MAX_HASHES else (MAX_HASHES - 1) * _SPACE // (of[-1] + 1)


def growth(of: Sketch) -> int:
    """A number that grows with the set, from 0 on: equal only for equal sets, if one holds the other."""
    return len(of) if len(of) < MAX_HASHES else MAX_HASHES + ((_SPACE - of[-1]) >> _COARSE)


def to_bytes(of: Sketch) -> bytes:
    """As it is stored."""
    return struct.pack(f">{len(of)}Q", *of)


def from_bytes(data: bytes) -> Sketch:
    """As it was."""
    return struct.unpack(f">{len(data) // 8}Q", data)


def hour_of(at_ms: int) -> int:
    """The window of a time, as hours since the Unix epoch."""
    return at_ms // HOUR_MS


def life_s(hour: int, now_ms: int) -> int:
    """How long a window is still kept; 0 or less: it is over, and nothing is counted in it any more."""
    return ((hour + 1 + RETENTION_HOURS) * HOUR_MS - now_ms) // 1000

"""The engines of a bench: a pair of its own on a temporary home, the pair of a given home, or given clusters.

A pair that was started for the bench is gone after it, with its data; one that ran before is left running.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.local import engines


@dataclass(frozen=True, slots=True)
class Engines:
    """Where the engines are; their processes and data where they are of this machine's home."""

    kafka: str
    cassandra: str
    pids: dict[str, int]
    sstables: Path | None


@contextmanager
def engines_for(home: Path | None, progress: Callable[[str], None]) -> Iterator[Engines]:
    """Both engines, answering. `home` None: TIDELINE_KAFKA and TIDELINE_CASSANDRA, or a pair of their own."""
    if home is None:
        with tempfile.TemporaryDirectory(prefix="tideline-bench-") as own, _up(Path(own), progress) as ours:
            yield ours
    else:
        with _up(home, progress) as theirs:
            yield theirs


@contextmanager
def _up(home: Path, progress: Callable[[str], None]) -> Iterator[Engines]:
    found = engines.status(home) if home.is_dir() else {}
    running = any(engine.pid is not None for engine in found.values())
    endpoints = engines.up(home, progress)
    pids: dict[str, int] = {}
    try:
        pids = {name: engine.pid for name, engine in engines.status(home).items() if engine.pid is not None}
        sstables = home / "cassandra" / "data" / "sstables" if "cassandra" in pids else None
        yield Engines(endpoints.kafka, endpoints.cassandra, pids, sstables)
    finally:
        if pids and not running:
            progress("stopping the engines")
            engines.down(home)

"""Where the metrics of an instance are, for Prometheus: HOME/metrics/targets.json, as its file_sd reads it.

It lists what should be there: a worker that died stays in it, where it answered last, so that Prometheus sees
`up == 0`. One that somebody stopped should not be there.

The folder holds nothing else, so that a container may see it without the keys of the home beside it.
"""

from collections.abc import Iterable
from pathlib import Path

import orjson

from pipeline.config import names
from pipeline.local.worker import State, WorkerStatus


class Targets:
    """Writes the file, and remembers where each worker answered last."""

    def __init__(self, home: Path) -> None:
        self._file = home / "metrics" / "targets.json"
        self._ports: dict[tuple[str, int], int] = {}

    def record(self, workers: Iterable[WorkerStatus]) -> None:
        """Replace the file. A worker that was never ready has no port, and is not in it."""
        found = []
        for worker in workers:
            place = worker.stage, worker.worker
            if worker.port is not None:
                self._ports[place] = worker.port
            if worker.state is State.STOPPED:
                self._ports.pop(place, None)  # started again, it answers elsewhere
            if place in self._ports:
                found.append(_target(worker, self._ports[place]))
        self._file.parent.mkdir(exist_ok=True)
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        fresh.replace(self._file)


def _target(worker: WorkerStatus, port: int) -> dict[str, object]:
    domain, stage = names.split(worker.stage)
    labels = {"domain": domain or names.HOME_LABEL, "worker": stage, "number": str(worker.worker)}
    return {"targets": [f"127.0.0.1:{port}"], "labels": labels}

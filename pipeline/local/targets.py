"""Where the metrics of an instance are, for Prometheus: HOME/metrics/targets.json, as its file_sd reads it.

The folder holds nothing else, so that a container may see it without the keys of the home beside it.
"""

from collections.abc import Iterable
from pathlib import Path

import orjson

from pipeline.config import names
from pipeline.local.worker import WorkerStatus


def record(home: Path, workers: Iterable[WorkerStatus]) -> None:
    """Replace the file. A worker that has no port yet, or no more, is not in it."""
    file = home / "metrics" / "targets.json"
    file.parent.mkdir(exist_ok=True)
    fresh = file.with_suffix(".new")
    found = [_target(worker, worker.port) for worker in workers if worker.port is not None]
    fresh.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    fresh.replace(file)


def _target(worker: WorkerStatus, port: int) -> dict[str, object]:
    domain, stage = names.split(worker.stage)
    labels = {"domain": domain or names.HOME_LABEL, "worker": stage, "number": str(worker.worker)}
    return {"targets": [f"127.0.0.1:{port}"], "labels": labels}

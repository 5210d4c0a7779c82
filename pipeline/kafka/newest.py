"""The newest record of each key, as the messages of a topic come: what every view is made of."""

from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from pipeline.errors import EngineError, Unavailable
from pipeline.kafka.ports import Kept
from pipeline.telemetry import metrics

Record = TypeVar("Record")

_log = structlog.get_logger()


class Newest(Generic[Record]):
    """`decode`: of the values. `kept`: where records go instead of a dictionary here."""

    def __init__(self, topic: str, decode: Callable[[bytes], Record], kept: Kept[Record] | None) -> None:
        self.topic = topic
        self._decode = decode
        self._records: dict[bytes, Record] = {}
        self._put = self._keep if kept is None else kept.put
        self._positions: dict[int, int] = {}

    def get(self, key: int | str) -> Record | None:
        """The newest record under this key."""
        return self._records.get(str(key).encode())

    def values(self) -> list[Record]:
        """The newest record of every key."""
        return list(self._records.values())

    def positions(self) -> dict[int, int]:
        """By partition, the next offset to be read."""
        return dict(self._positions)

    def _take(self, key: bytes, value: bytes | None) -> None:
        """Have the newest record of a key, or pass over one that cannot be used: the one before it stays in
        force, and whatever it is, who follows goes on. Raises Unavailable or EngineError when a registry that
        has to be asked does not answer.
        """
        name = key.decode(errors="replace")
        try:
            self._put(key, None if value is None else self._decode(value))
        except (Unavailable, EngineError):
            raise
        except Exception as error:
            metrics.VIEW_SKIPPED.labels(self.topic).inc()
            why = f"{type(error).__name__}: {error}"
            _log.error("view.skipped", topic=self.topic, key=name[:100], error=why)

    def _keep(self, key: bytes, record: Record | None) -> None:
        if record is None:
            self._records.pop(key, None)
        else:
            self._records[key] = record

"""Erased accounts, as every stage knows them: nothing about one reaches its handler (decision 25).

Reads      accounts.erased as a whole
Guarantee  a record that comes after its stage has heard of the erasure leaves nothing behind: what names the
           account alone is dropped and counted, of a list of readers the others stay. It is no dead letter,
           which would keep what was to be forgotten
Replay     drops it again
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from typing import Any

from pipeline.domain import erasure
from pipeline.kafka.messages import Delivery, Refused
from pipeline.kafka.ports import Handler
from pipeline.telemetry import metrics
from pipeline.wire.records import ErasedAccount


class ErasedAccounts:
    """Filled by the thread of a topic view, asked by the event loop: about 100 bytes an erased account."""

    def __init__(self) -> None:
        self._marks: set[bytes] = set()

    def put(self, key: bytes, record: ErasedAccount | None) -> None:
        """An account that is erased; one taken out of the topic counts as not erased."""
        if record is None:
            self._marks.discard(key)
        else:
            self._marks.add(key)

    def __contains__(self, account_id: object) -> bool:
        if not self._marks or not isinstance(account_id, int):
            return False
        return erasure.mark(account_id).encode() in self._marks


def forgetting(handle: Handler, erased: Container[int]) -> Handler:
    """The same stage, but for what is about erased accounts."""

    async def living(batch: Sequence[Delivery[Any]]) -> Iterable[Refused]:
        left = []
        for delivery in batch:
            record = erasure.without(delivery.record, erased.__contains__)
            if record is None:
                metrics.ERASED_RECORDS.inc()
            else:
                left.append(delivery if record is delivery.record else replace(delivery, record=record))
        return await handle(left) if left else []

    return living

"""The sweep: who has not been seen for long lapses. Part of the readers stage, beside its stream.

Reads      reader_state, all of it, once an hour
Writes     reader.marks: a `lapsed` event a reader, so that a cohort has one writer: the reader's own stream
Guarantee  none is needed: a reader who is seen meanwhile does not lapse (`domain.cohorts`), and a sweep that
           fails is made up for by the next
"""

from dataclasses import dataclass

import structlog

from pipeline.clock import Clock
from pipeline.errors import TidelineError
from pipeline.kafka.emit import Emit
from pipeline.store.ports import ReaderStore
from pipeline.wire.enums import EventType
from pipeline.wire.records import ActivityEvent

EVERY_S = 3600.0
_BATCH = 1000
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Sweep:
    """`dormant_after_ms`: how long an active reader may stay away."""

    store: ReaderStore
    emit: Emit
    clock: Clock
    dormant_after_ms: int

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            await self.clock.sleep(EVERY_S)
            try:
                lapsed = await self.once()
            except TidelineError as away:
                _log.warning("sweep.failed", error=away.message, data="nothing lost", next="tideline status")
            else:
                _log.info("sweep.done", lapsed=lapsed)

    async def once(self) -> int:
        """One sweep; returns how many readers lapse."""
        now = self.clock.now_ms()
        found: list[int] = []
        count = 0
        async for reader in self.store.not_seen_since(now - self.dormant_after_ms):
            found.append(reader)
            if len(found) == _BATCH:
                count += await self._lapse(found, now)
                found = []
        return count + await self._lapse(found, now)

    async def _lapse(self, readers: list[int], now: int) -> int:
        return await self.emit.all(
            self.emit.event(
                "reader.marks", str(reader), ActivityEvent(EventType.LAPSED, reader, now), at_ms=now
            )
            for reader in readers
        )

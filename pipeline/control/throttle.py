"""Users whom an operator has slowed: the broker's quotas follow what is in force, step by step.

A quota does not end by itself as everything else here does. So a record of it stays until a look has taken
the quota away, and only then is the record taken out: whoever looks next finishes what a crash has left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from pipeline.domain.containment import Kind
from pipeline.domain.control import broker_quotas
from pipeline.errors import EngineError
from pipeline.wire.records import Containment

_log = structlog.get_logger()


class ProducerQuotas(Protocol):
    """What users may send, in bytes a second; by `client.id` where the broker knows no users."""

    async def all(self) -> Mapping[str, float]:
        """Those that have a quota. Raises EngineError."""
        ...

    async def put(self, rates: Mapping[str, float | None]) -> None:
        """Set them; None: no quota any more. Raises EngineError."""
        ...


@dataclass(frozen=True, slots=True)
class Throttle:
    """The quotas of a broker, brought to what is in force."""

    quotas: ProducerQuotas

    async def bring(self, in_force: Sequence[Containment], now_ms: int) -> Sequence[Containment]:
        """Set and lift quotas; returns what may be decided about.

        When the broker does not let us, nothing is decided about users, and all else goes on.
        """
        ours = {one.target for one in in_force if one.kind == Kind.THROTTLE}
        if not ours:
            return in_force
        try:
            known = await self.quotas.all()
            await self.quotas.put(broker_quotas(in_force, known, now_ms))
        except EngineError as error:
            _log.warning(
                "throttle.failed", error=str(error), users=sorted(ours), next="tideline contain list"
            )
            return [one for one in in_force if one.kind != Kind.THROTTLE]
        return in_force

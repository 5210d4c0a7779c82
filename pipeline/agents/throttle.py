"""Producers that the controller has slowed: the broker's quotas follow what is in force, step by step.

A quota does not end by itself as everything else here does. So a record of it stays until a look has taken
the quota away, and only then is the record taken out: whoever looks next finishes what a crash has left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from pipeline.domain.containment import Kind
from pipeline.domain.control import Hot, broker_quotas
from pipeline.errors import EngineError
from pipeline.records import Containment

_log = structlog.get_logger()


class ProducerQuotas(Protocol):
    """What producers may send, by `client.id`, in bytes a second."""

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

    async def bring(
        self, in_force: Sequence[Containment], hot: Sequence[Hot], now_ms: int
    ) -> tuple[Sequence[Containment], Sequence[Hot]]:
        """Set and lift quotas; returns what may be decided about.

        A producer that somebody else has given a quota keeps that one. When the broker does not let us,
        nothing is decided about producers, and all else goes on.
        """
        ours = {one.target for one in in_force if one.kind == Kind.THROTTLE}
        if not ours and not any(one.kind is Kind.THROTTLE for one in hot):
            return in_force, hot
        try:
            known = await self.quotas.all()
            await self.quotas.put(broker_quotas(in_force, known, now_ms))
        except EngineError as error:
            _log.warning(
                "throttle.failed", error=str(error), producers=sorted(ours), next="tideline contain list"
            )
            others = [one for one in in_force if one.kind != Kind.THROTTLE]
            return others, [one for one in hot if one.kind is not Kind.THROTTLE]
        taken = known.keys() - ours
        return in_force, [one for one in hot if one.kind is not Kind.THROTTLE or one.target not in taken]

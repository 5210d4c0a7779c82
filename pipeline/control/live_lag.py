"""Whether live tiers are behind: what repairs ask before they write; about a second old.

A tier counts as behind from half its budget on: repairs step back before it breaks, not after. When Kafka
does not say, nothing is known to be behind, and the rate limit alone holds.
"""

import threading
from collections.abc import Callable

from pipeline.control.lag import Lag
from pipeline.kafka.offsets import Offsets
from pipeline.path import tier_stage
from pipeline.topology import Topology

_LOOK_S = 1.0
_SPENT = 0.5


class LiveLag:
    """Callable: whether any fan-out tier has spent half its budget. Looks only while it is asked."""

    def __init__(self, kafka: str, topology: Topology, *, now_ms: Callable[[], int]) -> None:
        self._kafka, self._topology, self._now_ms = kafka, topology, now_ms
        self._busy = False
        self._asked, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="live lag", daemon=True)
        self._thread.start()

    def __call__(self) -> bool:
        """Whether to step back now."""
        self._asked.set()
        return self._busy

    def close(self) -> None:
        """Stop looking."""
        self._closing.set()
        self._asked.set()
        self._thread.join()

    def _watch(self) -> None:
        with Offsets(self._kafka) as offsets:
            tiers = [tier_stage(tier) for tier in self._topology.tiers]
            lag = Lag(offsets, self._topology, now_ms=self._now_ms, only=tiers)
            while self._asked.wait() and not self._closing.is_set():
                self._asked.clear()
                self._busy = any((tier.spent or 0) >= _SPENT for tier in lag.snapshot())
                self._closing.wait(_LOOK_S)

"""Publishing a drawn run in real time, and keeping what the auditor has to know of it."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.bench.demo_traffic import TrafficStep
from pipeline.bench.kinds import Kinds
from pipeline.bench.probe import Probe
from pipeline.clock import now_ms
from pipeline.domain.audit import Ledger
from pipeline.domain.intake import Accepted, Rejected, parse
from pipeline.errors import TidelineError
from pipeline.kafka.outbox import Outbox
from pipeline.ops.publish import outgoing
from pipeline.wire.enums import EventType
from pipeline.wire.records import AccountEvent, PostEvent

_SOURCE = "tideline/demo"
_BATCH = 10_000


@dataclass(slots=True)
class Publisher:
    """Publishes as `tideline publish` does. `ledger` holds every event that was sent."""

    outbox: Outbox
    probe: Probe
    kinds: Kinds
    ledger: Ledger
    post_ids: list[int] = field(default_factory=list)
    probes: list[asyncio.Task[None]] = field(default_factory=list)

    async def register(self, readers: Sequence[int]) -> None:
        """An account each; returns when all are acknowledged."""
        at = now_ms()
        for start in range(0, len(readers), _BATCH):
            accounts = [
                AccountEvent(EventType.REGISTERED, r, "", False, at) for r in readers[start : start + _BATCH]
            ]
            await self.outbox.send_all(
                outgoing(Accepted("accounts", b"%d" % each.user_id, each), source=_SOURCE, now_ms=at)
                for each in accounts
            )

    async def publish(self, steps: Sequence[TrafficStep], watched: Mapping[int, int]) -> None:
        """Each step at its time; returns when the last is acknowledged.

        `watched`: by number of the post, the reader for whom a probe looks from now on.
        """
        start, start_ms = time.monotonic(), now_ms()
        sending = []
        for step in steps:
            await asyncio.sleep(max(start + step.at_s - time.monotonic(), 0))
            event = parse(step.event(start_ms, self.post_ids), default_topic=None)
            if isinstance(event, Rejected):
                raise TidelineError(f"the demo drew an event nobody takes: {event}")
            self.ledger.add(event.record)
            published = time.monotonic()
            message = outgoing(event, source=_SOURCE, now_ms=now_ms())
            sending.append(asyncio.create_task(self.outbox.send(message)))
            match event.record:
                case PostEvent(EventType.PUBLISHED, post_id, author_id):
                    self.post_ids.append(post_id)
                    reader = watched.get(len(self.post_ids) - 1)
                    if reader is not None:
                        looking = self.probe.look(post_id, reader, self.kinds.of(author_id), published)
                        self.probes.append(asyncio.create_task(looking))
        await asyncio.gather(*sending)

    def stop(self) -> None:
        """Call off the probes that still look."""
        for looking in self.probes:
            looking.cancel()

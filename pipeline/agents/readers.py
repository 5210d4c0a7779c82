"""Readers: accounts and activity become what is known of a reader.

Reads      accounts, activity (both keyed by the reader), as one stream
Writes     reader_state
Guarantee  the newest event of an account wins; the last time a reader was seen never goes back
Replay     changes nothing: writes carry the time of their event
Budget     none: nothing on the path of a post waits for it
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.kafka.messages import Delivery, Refused
from pipeline.records import AccountEvent, ActivityEvent
from pipeline.store.ports import ReaderStore


@dataclass(frozen=True, slots=True)
class Readers:
    """The readers stage."""

    store: ReaderStore

    async def handle(self, batch: Sequence[Delivery[AccountEvent | ActivityEvent]]) -> list[Refused]:
        """Store the accounts of a batch and, once a reader, when they were last seen."""
        accounts: list[AccountEvent] = []
        seen: dict[int, int] = {}
        refused: list[Refused] = []
        for delivery in batch:
            match delivery.record:
                case AccountEvent(type="registered" | "updated") as account:
                    accounts.append(account)
                case ActivityEvent(type="opened" | "engaged", reader_id=reader, at=at):
                    seen[reader] = max(at, seen.get(reader, 0))
                case other:
                    refused.append(Refused(delivery.message, "type", f"{other.type}: unknown"))
        await self.store.put_accounts(accounts)
        await self.store.put_seen(seen)
        return refused

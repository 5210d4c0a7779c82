"""Readers: accounts and activity become what is known of a reader, and who is pushed to.

Reads      accounts, activity, reader.marks (all keyed by the reader), as one stream
Writes     reader_state, affinity_by_reader, hidden_by_reader; reader.cohorts; fanout.backfill for who comes
           back; edge.marks; page.changes
Guarantee  a writer knows that a reader is active before a query relies on it, and a query pulls everything
           of a dormant reader before writers stop to push: waking goes topic, backfill, table; lapsing
           goes table, page.changes, topic
Replay     changes nothing: writes carry the time of their event, and only news wakes or lapses a reader
Budget     none: nothing on the path of a post waits for it
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.clock import Clock
from pipeline.domain import repair, snowflake
from pipeline.domain.cohorts import CohortChange, Known, Outcome, after
from pipeline.kafka.emit import Emit
from pipeline.kafka.messages import Delivery, Refused, version_of
from pipeline.kafka.ports import Outgoing
from pipeline.stages import changes, repairs
from pipeline.stages.in_hand import InHand
from pipeline.stages.warmth import Activity, Warmth
from pipeline.store.ports import ReaderStore
from pipeline.store.values import NOT_COVERED, Hide, Placed, ReaderState
from pipeline.wire.enums import EventType
from pipeline.wire.records import AccountEvent, ActivityEvent, ReaderCohort

Event = Delivery[AccountEvent | ActivityEvent]


@dataclass(frozen=True, slots=True)
class Readers:
    """The readers stage. The clock is read once writers can know of a change."""

    store: ReaderStore
    warmth: Warmth
    emit: Emit
    clock: Clock
    margin_ms: int
    in_hand: InHand = field(default_factory=InHand)

    async def handle(self, batch: Sequence[Event]) -> list[Refused]:
        """Store the accounts and hides of a batch, changes of cohorts, and when each reader was last seen."""
        async with self.in_hand.alone({_reader(delivery) for delivery in batch}):
            await self._apply(batch)
        return []

    async def _apply(self, batch: Sequence[Event]) -> None:
        accounts: list[Placed[AccountEvent]] = []
        events: dict[int, list[tuple[str, int]]] = defaultdict(list)
        causes: dict[int, Event] = {}
        active: list[Activity] = []
        hides: list[Hide] = []
        for delivery in batch:
            match delivery.record:
                case AccountEvent(EventType.REGISTERED | EventType.UPDATED as kind, reader, at=at) as account:
                    accounts.append(Placed(account, delivery.message.offset))
                case ActivityEvent(
                    EventType.OPENED | EventType.ENGAGED | EventType.LAPSED | EventType.REBUILD as kind,
                    reader,
                    at=at,
                ) as act:
                    active.append(Delivery(act, delivery.message, delivery.origin_ts))
                case ActivityEvent(
                    EventType.HIDDEN | EventType.UNHIDDEN as kind, reader, at, int(author), int(post)
                ):
                    hides.append(Hide(reader, author, post, kind == EventType.HIDDEN, version_of(delivery)))
                case other:
                    raise AssertionError(f"{other.type} was let in")  # it becomes a dead letter by itself
            events[reader].append((kind, at))
            causes[reader] = delivery
        await self.store.put_hidden(hides)
        states = await self.store.readers(list(events))
        outcomes = {reader: after(_known(states[reader]), events[reader]) for reader in events}
        woken = {r: o for r, o in outcomes.items() if o.change is CohortChange.WAKE}
        await self.store.put_accounts([one for one in accounts if one.event.user_id not in woken])
        await self.warmth.heard(active, states)
        await self._lapse(
            {r: o for r, o in outcomes.items() if o.change is CohortChange.LAPSE}, causes, batch
        )
        await self._wake(woken, states, causes, [one for one in accounts if one.event.user_id in woken])
        # of a cohort that is stored already: a crash may have come before anybody was told
        untold = {r for r in events if any(at <= states[r].cohort_at for _, at in events[r])}
        about = {account.event.user_id for account in accounts} | {hide.reader_id for hide in hides}
        await changes.tell(self.emit, batch, readers=about | untold | woken.keys())
        await self.store.put_seen({r: o.known.last_seen for r, o in outcomes.items() if o.known.last_seen})

    async def _lapse(
        self, outcomes: dict[int, Outcome], causes: dict[int, Event], batch: Sequence[Event]
    ) -> None:
        await self.store.put_cohorts(
            [
                ReaderState(r, active=False, covered_from=NOT_COVERED, cohort_at=o.at)
                for r, o in outcomes.items()
            ]
        )
        await changes.tell(self.emit, batch, readers=outcomes)
        await self.emit.all(self._cohort(r, o, causes[r]) for r, o in outcomes.items())

    async def _wake(
        self,
        outcomes: dict[int, Outcome],
        states: dict[int, ReaderState],
        causes: dict[int, Event],
        accounts: Sequence[Placed[AccountEvent]],
    ) -> None:
        """Those who come back, or come first, and the accounts of the latter. All share their tasks: as of
        when each came back is in the table.
        """
        await self.emit.all(self._cohort(r, o, causes[r]) for r, o in outcomes.items())
        ahead = snowflake.first_id(self.clock.now_ms() + self.margin_ms)
        bounds = {reader: max(ahead, states[reader].caught_up + 1) for reader in outcomes}
        together: dict[int, list[int]] = defaultdict(list)
        for reader, bound in bounds.items():
            together[bound].append(reader)
        newest = max((outcome.at for outcome in outcomes.values()), default=0)
        await self.emit.all(
            message
            for bound, woken in together.items()
            for tasks in [repair.for_readers(0, woken, hi=bound, at=newest, covered_from=bound)]
            for message in repairs.messages(
                self.emit, repairs.BACKFILL, str(woken[0]), tasks, causes[woken[0]]
            )
        )
        await self.store.put_cohorts(
            [
                ReaderState(r, active=True, covered_from=bounds[r], cohort_at=o.at)
                for r, o in outcomes.items()
            ],
            accounts,
        )

    def _cohort(self, reader: int, outcome: Outcome, cause: Event) -> Outgoing:
        since = snowflake.first_id(outcome.at)
        record = ReaderCohort(reader, outcome.change is CohortChange.WAKE, since, outcome.at)
        return self.emit.message("reader.cohorts", str(reader), record, source=cause)


def _reader(delivery: Event) -> int:
    record = delivery.record
    return record.user_id if isinstance(record, AccountEvent) else record.reader_id


def _known(state: ReaderState) -> Known:
    return Known(state.active, state.last_seen or 0, state.cohort_at)

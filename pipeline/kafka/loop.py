"""The safe loop: nothing is acknowledged before its writes are durable, and nothing leaves the loop.

Faust acknowledges an event whose agent raised, and a whole batch under `take()`, so a stage never iterates
its stream itself. Here events are cut into batches, a bounded number of them is in flight, and the oldest is
acknowledged when it has settled: driven by completions, so that the tail is acknowledged when no further
event arrives. What a stage refuses goes to the dead letters first; while an engine is away a batch is tried
again without end. A message that breaks the code, or that an engine will never do, is found by halving its
batch and becomes a dead letter too: of 128 messages that takes 14 further calls of the stage, and the halves
keep their order. When nothing goes well any more the stage stands still (`domain.hold`). A message whose
schema has to be asked for waits by itself: its batch, and those after it, go on beside it.

Guarantee: at least once. A crash replays what was not acknowledged; stages are idempotent.
`tests/engines/test_safe_loop.py` kills it with SIGKILL and SIGTERM in mid-batch.
"""

import asyncio
import random
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, TypeVar

import structlog

from pipeline.domain.admission import Refusal
from pipeline.domain.hold import Limit, RecentOutcomes, Settled, bad
from pipeline.errors import EngineError, Unavailable, Unprocessable
from pipeline.kafka import tracing
from pipeline.kafka.batches import Unreadable
from pipeline.kafka.dead_letters import DeadLetters
from pipeline.kafka.messages import Delivery, Incoming, Refused
from pipeline.kafka.ports import Handler
from pipeline.telemetry import metrics
from pipeline.wire.codec import CodecError, NotYet, decode, must_ask
from pipeline.wire.enums import RefusalReason
from pipeline.wire.headers import appended_at, entered_at, origin_ts

Record = TypeVar("Record")

_FIRST_PAUSE_S, _MAX_PAUSE_S = 0.1, 5.0
_MESSAGE_BYTES = 500
"""Of an event beside its value, about."""

MAX_OPEN_BYTES = 32 * 1024 * 1024
"""What is read on behind messages that wait for a schema, before the stage waits with them."""

HELD_S = 10.0
"""Between two batches that a stage which stands still tries."""

_NEVER = Limit(ratio=1.0, records=0)

Decoded = tuple[list[Delivery[Any]], list[Refused], list[Incoming]]
"""What can be read, what never will be, and what cannot be read yet."""

_log = structlog.get_logger()


class SafeLoop:
    """Feeds one stage from one Faust stream."""

    def __init__(
        self,
        records: dict[str, type],
        dead_letters: DeadLetters,
        *,
        batch: int,
        in_flight: int,
        within_s: float = 0.005,
        kept_elsewhere: Collection[str] = (),
        group: str = "",
        inputs: Collection[str] = (),
        admit: Callable[[Any, Incoming], Any] = lambda record, message: record,
        stage: str = "",
        hold: Limit = _NEVER,
    ) -> None:
        """`records`: what the values of each topic decode to. `within_s`: how long a batch may fill.

        `kept_elsewhere`: topics that another stage reads as well, and keeps what cannot be read or is not let
        in. `group`: the consumer group, for traces. `inputs`: the topics that others write to. `admit`: gives
        back the record that a stage may trust, or the Refusal of it. `hold`: when the stage stands still
        instead of refusing on and on.
        """
        self._inputs, self._admit = frozenset(inputs), admit
        self._records, self._dead_letters = records, dead_letters
        self._batch, self._within_s, self._in_flight = batch, within_s, in_flight
        self._kept_elsewhere, self._group = frozenset(kept_elsewhere), group
        self._open: deque[tuple[asyncio.Task[None], Sequence[Any], int]] = deque()
        self._open_bytes = self._working = self._waiting = 0
        self._arrived: asyncio.Event
        self._moved: asyncio.Event
        self._asking: asyncio.Lock
        self._rested = time.monotonic()
        self._stage, self._hold, self._held = stage, hold, False
        self._recent = RecentOutcomes(hold, self._rested)

    def idle_s(self) -> float:
        """Seconds for which no batch was in hand, and the stage did not stand still on purpose."""
        return 0.0 if self._open or self._held else time.monotonic() - self._rested

    async def run(self, stream: Any, handle: Handler) -> None:
        """Process the stream until the app stops; Faust calls it again, afresh, after a rebalance."""
        self._open, self._open_bytes, self._working, self._waiting = deque(), 0, 0, 0
        self._arrived, self._moved, self._asking = asyncio.Event(), asyncio.Event(), asyncio.Lock()
        arriving: asyncio.Queue[Any] = asyncio.Queue(self._batch * self._in_flight)
        stream.enable_acks = False  # or Faust acknowledges each event as it hands out the next
        async with asyncio.TaskGroup() as group:
            beside = [
                group.create_task(self._cut(arriving, handle)),
                group.create_task(self._ack_in_order(stream)),
            ]
            try:
                async for event in stream.events():
                    await arriving.put(event)
            finally:
                for task in (*beside, *(settling for settling, *_ in self._open)):
                    task.cancel()

    async def _cut(self, arriving: "asyncio.Queue[Any]", handle: Handler) -> None:
        """A batch whenever there is room for one: what has arrived while there was none goes together."""
        while True:
            while not self._has_room():
                self._moved.clear()
                await self._moved.wait()
            events = await take(arriving, self._batch, self._within_s)
            if self._held:
                await asyncio.sleep(HELD_S)
            messages = [incoming(event, self._inputs) for event in events]
            size = sum(len(message.value or b"") + _MESSAGE_BYTES for message in messages)
            self._working += 1
            self._open_bytes += size
            self._open.append((asyncio.create_task(self._settle(messages, handle)), events, size))
            self._arrived.set()

    def _has_room(self) -> bool:
        """The next batch begins when the oldest is acknowledged. While some wait for a schema it is enough
        that others are done, or a stranger's message would hold up everybody's.
        """
        if not self._waiting:
            return len(self._open) < (1 if self._held else self._in_flight)
        return self._working < self._in_flight and self._open_bytes < MAX_OPEN_BYTES

    async def _ack_in_order(self, stream: Any) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._open:
                settling, events, size = self._open[0]
                await settling
                for event in events:  # nothing here suspends: all of a batch or none of it
                    await stream.ack(event)
                self._open.popleft()
                self._open_bytes -= size
                self._rested = time.monotonic()
                self._moved.set()

    async def _settle(self, messages: Sequence[Incoming], handle: Handler) -> None:
        with tracing.processing(messages, self._group):
            unread = await self._processed(self._decoded(messages), handle)
            if unread:
                self._beside(+1)
                await self._wait_for_schemas(unread, handle)
                self._beside(-1)
        self._working -= 1
        self._moved.set()

    def _beside(self, one: int) -> None:
        self._waiting += one
        self._working -= one
        self._moved.set()

    async def _wait_for_schemas(self, unread: list[Incoming], handle: Handler) -> None:
        """Ask for what these need, off the loop and one batch at a time, until all of them are settled."""
        pause = _FIRST_PAUSE_S
        while unread:
            async with self._asking:
                decoded = await asyncio.to_thread(self._decoded, unread, asking=True)
            unread = await self._processed(decoded, handle)
            if unread:
                _log.warning("stage.waiting", **_where(unread[0]), error="its schema is not known yet")
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, not a secret
                pause = min(pause * 2, _MAX_PAUSE_S)

    def _decoded(self, messages: Sequence[Incoming], *, asking: bool = False) -> Decoded:
        """`asking`: the schema registry, for as long as it answers; that takes a while."""
        good: list[Delivery[Any]] = []
        refused: list[Refused] = []
        unread: list[Incoming] = []
        for message in messages:
            value, kind = message.value or b"", self._records[message.topic]
            if isinstance(message.value, Unreadable):
                if message.topic not in self._kept_elsewhere:
                    refused.append(Refused(message, RefusalReason.UNREADABLE, message.value.why))
                continue
            if not asking and must_ask(value, kind):
                unread.append(message)
                continue
            try:
                record: Any = self._admit(decode(value, kind), message)
            except CodecError as error:
                record = Refusal(RefusalReason.CODEC, error.message)
            except NotYet:
                unread.append(message)
                continue
            except _AWAY:
                asking = False
                unread.append(message)
                continue
            except Exception as bug:
                refused.append(_broken(message, bug))
                continue
            if not isinstance(record, Refusal):
                good.append(Delivery(record, message, origin_ts(message.headers, message.timestamp_ms)))
            elif message.topic not in self._kept_elsewhere:
                refused.append(Refused(message, record.reason, record.detail))
        return good, refused, unread

    async def _processed(self, decoded: Decoded, handle: Handler) -> list[Incoming]:
        """Handle what can be read, keep what never will be; returns the rest."""
        good, never, unread = decoded
        refused = [*never, *(await self._handled(good, handle) if good else ())]
        if refused:
            await insist(lambda: self._keep(refused), refused[0].message, (Exception,))
        self._judge(len(good) + len(never), refused)
        return unread

    def _judge(self, records: int, refused: Sequence[Refused]) -> None:
        """Stand still, or go on again, after a batch."""
        if not records:
            return
        faults = sum(one.fault or one.message.topic not in self._inputs for one in refused)
        batch = Settled(time.monotonic(), records, len(refused), faults)
        stops = self._recent.add(batch)
        if self._held and not bad(batch, self._hold):
            self._recent.forget(batch.at_s)
            self._held = False
            _log.info("stage.goes_on", stage=self._stage)
        elif self._held or stops:
            self._held = True
            _log.error(
                "stage.held",
                stage=self._stage,
                why=f"{len(refused)} of {records} records became dead letters: {refused[0].reason}",
                data=f"the rest waits in the topic; a batch is tried every {HELD_S:g} s",
                next="tideline dlq list; docs/runbook.md#stageheld",
            )
        metrics.STAGE_HELD.labels(self._stage).set(self._held)

    async def _handled(self, good: Sequence[Delivery[Any]], handle: Handler) -> list[Refused]:
        first = good[0].message
        try:
            return list(await insist(lambda: handle(good), first))
        except Exception as bug:
            if len(good) == 1:
                return [_broken(first, bug)]
            middle = len(good) // 2
            return await self._handled(good[:middle], handle) + await self._handled(good[middle:], handle)

    async def _keep(self, refused: Sequence[Refused]) -> None:
        await self._dead_letters.keep(refused)
        for one in refused:
            _log.warning("dead.letter", **_where(one.message), reason=one.reason, detail=one.detail)


async def take(arriving: "asyncio.Queue[Any]", most: int, within_s: float) -> list[Any]:
    """Wait for an event; with it what is there by then, or arrives while it waits for others to come along.

    Nothing ticks while nothing arrives: Faust's own `noack_take` looks every `within_s` seconds, which costs
    an idle stage 6 % of a core.
    """
    events = [await arriving.get()]
    if arriving.qsize() < most - 1:
        await asyncio.sleep(within_s)
    while len(events) < most and not arriving.empty():
        events.append(arriving.get_nowait())
    return events


def _broken(message: Incoming, bug: Exception) -> Refused:
    """A message that breaks the code or an engine; called where the error was caught."""
    if isinstance(bug, Unprocessable):
        return Refused(message, RefusalReason.ENGINE, bug.message, fault=True)
    _log.exception("stage.bug", **_where(message), data="kept in dead.letters", next="tideline dlq list")
    return Refused(message, type(bug).__name__, str(bug), traceback.format_exc(limit=-8), fault=True)


Outcome = TypeVar("Outcome")
_AWAY = (Unavailable, EngineError)


async def insist(
    attempt: Callable[[], Awaitable[Outcome]],
    first: Incoming,
    waits_for: tuple[type[Exception], ...] = _AWAY,
) -> Outcome:
    """Try until the engines answer, with jittered back-off; errors it does not wait for are the caller's."""
    caught: tuple[type[BaseException], ...] = (*waits_for, asyncio.CancelledError)
    pause = _FIRST_PAUSE_S
    while True:
        try:
            return await attempt()
        except caught as away:
            if isinstance(away, asyncio.CancelledError) and _is_ending():
                raise
            _log.warning(
                "stage.waiting",
                **_where(first),
                error=str(away) or repr(away),
                data="not acknowledged, tried again",
                next=getattr(away, "hint", "") or "tideline status",
            )
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, not a secret
        pause = min(pause * 2, _MAX_PAUSE_S)


def _is_ending() -> bool:
    """Whether this batch itself is cancelled, not something that its stage had waited for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def incoming(event: Any, inputs: Collection[str] = ()) -> Incoming:
    """A Faust event as plain values. `inputs`: the topics that others write to."""
    message = event.message
    appended = round(message.timestamp * 1000)  # Faust has a float of seconds
    headers = tuple(message.headers.items() if isinstance(message.headers, dict) else message.headers or ())
    return Incoming(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        key=message.key,
        value=message.value,
        headers=headers,
        timestamp_ms=appended_at(headers, appended),
        entered_ms=entered_at(headers, appended, own=message.topic not in inputs),
    )


def _where(message: Incoming) -> dict[str, Any]:
    return {"topic": message.topic, "partition": message.partition, "offset": message.offset}

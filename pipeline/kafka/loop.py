"""The safe loop: nothing is acknowledged before its writes are durable, and nothing leaves the loop.

Faust acknowledges an event whose agent raised, and a whole batch under `take()`, so a stage never iterates
its stream itself. Here events are cut into batches, a bounded number of them is in flight, and the oldest is
acknowledged when it has settled: driven by completions, so that the tail is acknowledged when no further
event arrives. What a stage refuses goes to the dead letters first; while an engine is away a batch is tried
again without end; a message that breaks the code is found by itself and becomes a dead letter too.

Guarantee: at least once. A crash replays what was not acknowledged; stages are idempotent.
`tests/engines/test_safe_loop.py` kills it with SIGKILL and SIGTERM in mid-batch.
"""

import asyncio
import random
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Any, TypeVar

import structlog

from pipeline.codec import CodecError, decode
from pipeline.errors import EngineError, Unavailable
from pipeline.kafka import tracing
from pipeline.kafka.dead_letters import DeadLetters
from pipeline.kafka.headers import appended_at, origin_ts
from pipeline.kafka.messages import Delivery, Incoming, Refused

Record = TypeVar("Record")
Handler = Callable[[Sequence[Delivery[Any]]], Awaitable[Iterable[Refused]]]

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
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
    ) -> None:
        """`records`: what the values of each topic decode to. `within_s`: how long a batch may fill.

        `kept_elsewhere`: topics that another stage reads as well, and keeps what cannot be read. `group`: the
        consumer group, for traces.
        """
        self._records, self._dead_letters = records, dead_letters
        self._batch, self._within_s, self._in_flight = batch, within_s, in_flight
        self._kept_elsewhere, self._group = frozenset(kept_elsewhere), group
        self._slots: asyncio.Semaphore
        self._open: deque[tuple[asyncio.Task[None], Sequence[Any]]] = deque()
        self._arrived: asyncio.Event
        self._rested = time.monotonic()

    def idle_s(self) -> float:
        """Seconds for which no batch was in hand."""
        return 0.0 if self._open else time.monotonic() - self._rested

    async def run(self, stream: Any, handle: Handler) -> None:
        """Process the stream until the app stops; Faust calls it again, afresh, after a rebalance."""
        self._slots, self._open, self._arrived = asyncio.Semaphore(self._in_flight), deque(), asyncio.Event()
        arriving: asyncio.Queue[Any] = asyncio.Queue(self._batch)
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
                for task in (*beside, *(settling for settling, _ in self._open)):
                    task.cancel()

    async def _cut(self, arriving: "asyncio.Queue[Any]", handle: Handler) -> None:
        """A batch whenever there is room for one: what has arrived while there was none goes together."""
        while True:
            await self._slots.acquire()
            events = await take(arriving, self._batch, self._within_s)
            settling = asyncio.create_task(self._settle([incoming(e) for e in events], handle))
            self._open.append((settling, events))
            self._arrived.set()

    async def _ack_in_order(self, stream: Any) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._open:
                settling, events = self._open[0]
                await settling
                for event in events:  # nothing here suspends: all of a batch or none of it
                    await stream.ack(event)
                self._open.popleft()
                self._rested = time.monotonic()
                self._slots.release()

    async def _settle(self, messages: Sequence[Incoming], handle: Handler) -> None:
        with tracing.processing(messages, self._group):
            good, refused = await insist(lambda: self._decoded(messages), messages[0])
            if good:
                refused += await self._handled(good, handle)
            if refused:
                await insist(lambda: self._keep(refused), refused[0].message, (Exception,))

    async def _decoded(self, messages: Sequence[Incoming]) -> tuple[list[Delivery[Any]], list[Refused]]:
        """What can be read, and what never will be; Unavailable when a schema registry does not answer."""
        good: list[Delivery[Any]] = []
        refused: list[Refused] = []
        for message in messages:
            try:
                record: Any = decode(message.value or b"", self._records[message.topic])
            except CodecError as error:
                if message.topic not in self._kept_elsewhere:
                    refused.append(Refused(message, "codec", error.message))
            except _AWAY:
                raise
            except Exception as bug:
                refused.append(_broken(message, bug))
            else:
                good.append(Delivery(record, message, origin_ts(message.headers, message.timestamp_ms)))
        return good, refused

    async def _handled(self, good: Sequence[Delivery[Any]], handle: Handler) -> list[Refused]:
        first = good[0].message
        try:
            return list(await insist(lambda: handle(good), first))
        except Exception as bug:
            if len(good) == 1:
                return [_broken(first, bug)]
            return [one for each in good for one in await self._handled([each], handle)]

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
    """A message that breaks the code; called where the bug was caught."""
    _log.exception("stage.bug", **_where(message), data="kept in dead.letters", next="tideline dlq list")
    return Refused(message, type(bug).__name__, str(bug), traceback.format_exc(limit=-8))


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
        pause = min(pause * 2, _LONGEST_PAUSE_S)


def _is_ending() -> bool:
    """Whether this batch itself is cancelled, not something that its stage had waited for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def incoming(event: Any) -> Incoming:
    """A Faust event as plain values."""
    message = event.message
    headers = tuple(message.headers.items() if isinstance(message.headers, dict) else message.headers or ())
    return Incoming(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        key=message.key,
        value=message.value,
        headers=headers,
        timestamp_ms=appended_at(headers, round(message.timestamp * 1000)),  # Faust has a float of seconds
    )


def _where(message: Incoming) -> dict[str, Any]:
    return {"topic": message.topic, "partition": message.partition, "offset": message.offset}

"""The one way messages leave a process: an idempotent producer whose deliveries can be awaited.

Faust's own `send` only queues, and a later failure is lost (see docs/decisions). Here every message has a
future that resolves when the broker has acknowledged it with `acks=all`; a stage awaits its messages
before it acknowledges the event that caused them. One thread blocks in `poll`, so that an idle process
costs nothing and the event loop never waits for librdkafka.
"""

import asyncio
import threading
from collections.abc import Iterable

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from pipeline.config.names import HOME, Names
from pipeline.errors import TidelineError
from pipeline.kafka.client import hint, settings
from pipeline.kafka.ports import NoSuchTopic, NotDelivered, NotTaken, Outgoing, TooLarge
from pipeline.wire.headers import OURS

_PAUSE_S = 0.5
_log = structlog.get_logger()

_BY_KEY = -1  # librdkafka: let the partitioner choose

QUEUE_MESSAGES = 50_000
"""Messages waiting in this process at most: `send` then waits for room."""


MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""Bytes of a message, before compression, that this process sends on; the topic decides on compressed ones.
What comes in may be as large: a dead letter must not wait for ever because it was compressed when it came."""

NEW_TOPIC_MS = 5_000
"""How long a topic may take to become known to all brokers: after this it counts as one that is not there."""


_NO_SUCH_TOPIC = (
    KafkaError._UNKNOWN_TOPIC,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.TOPIC_EXCEPTION,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
)


_TOO_LARGE = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE)
_NOT_TAKEN = (KafkaError.INVALID_RECORD, KafkaError.INVALID_MSG)


class Outbox:
    """Send messages and await their acknowledgement. Use as an async context manager."""

    def __init__(
        self,
        bootstrap: str,
        names: Names = HOME,
        *,
        producer: str = OURS,
        linger_ms: int = 2,
        delivery_timeout_ms: int = 120_000,
    ) -> None:
        """`names`: what the topics of messages are called on this Kafka. `producer`: our `client.id`."""
        self._names = names
        self._producer = Producer(
            {
                **settings(bootstrap),
                "client.id": producer,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": linger_ms,
                "compression.type": "lz4",
                "partitioner": "murmur2_random",
                "delivery.timeout.ms": delivery_timeout_ms,
                "topic.metadata.propagation.max.ms": NEW_TOPIC_MS,
                "queue.buffering.max.messages": QUEUE_MESSAGES * 2,
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "log_level": 3,
            }
        )
        self._slots = threading.Semaphore(QUEUE_MESSAGES)
        self._closing = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="outbox", daemon=True)
        self._poller.start()

    async def __aenter__(self) -> "Outbox":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def send(self, message: Outgoing) -> None:
        """Send one message and wait for its acknowledgement.

        Raises NotDelivered when the broker does not answer in time, NoSuchTopic or NotTaken when it refuses.
        """
        await self.send_all([message])

    async def send_all(self, messages: Iterable[Outgoing]) -> int:
        """Send messages in order and wait for all acknowledgements with one wake-up; returns how many.

        Raises what `send` does for the first one that failed; the others may have been delivered. A small one
        fails beside a large one: a batch of messages counts as one towards the limit of its topic.
        """
        flight = _Flight(asyncio.get_running_loop(), self._slots)
        for message in messages:
            # The slots are given back on the polling thread, which cannot set an asyncio.Event.
            while not self._slots.acquire(blocking=False):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            flight.launch()
            try:
                self._produce(message, flight)
            except BaseException:
                flight.landed(None, None)
                raise
        return await flight.wait()

    def _produce(self, message: Outgoing, flight: "_Flight") -> None:
        topic = self._names.topic(message.topic)
        try:
            self._producer.produce(
                topic,
                value=message.value,
                key=message.key,
                headers=list(message.headers),
                on_delivery=flight.landed,
                partition=_BY_KEY if message.partition is None else message.partition,
            )
        except KafkaException as error:
            raise _failure(topic, error.args[0]) from error
        except BufferError as error:
            raise NotDelivered(f"{topic}: not sent: {error}") from error

    async def close(self) -> None:
        """Wait for what is under way, then end the polling thread and the producer with its connections."""
        await asyncio.to_thread(self._producer.flush, 30)
        self._closing.set()
        await asyncio.to_thread(self._poller.join)
        await asyncio.to_thread(self._producer.close)

    def _poll(self) -> None:
        while not self._closing.is_set():
            try:
                self._producer.poll(0.2)
            except KafkaException as fatal:  # each message is told; without this thread none would be
                error = fatal.args[0]
                _log.error("outbox.fatal", error=error.str(), next=hint(error, "tideline status"))
                self._closing.wait(_PAUSE_S)


def _failure(topic: str, error: KafkaError) -> TidelineError:
    if error.code() in _NO_SUCH_TOPIC:
        return NoSuchTopic(
            f"{topic}: {error.str()}", hint(error, "`tideline topology apply` creates the topics")
        )
    if error.code() in _TOO_LARGE:
        return TooLarge(f"{topic}: {error.str()}", "raise its max.message.bytes")
    if error.code() in _NOT_TAKEN:
        return NotTaken(f"{topic}: {error.str()}")
    return NotDelivered(
        f"{topic}: not delivered: {error.str()}", "`tideline status` tells whether Kafka is up"
    )


class _Flight:
    """Counts the messages of one `send_all` down to the ground. `landed` runs on the polling thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, slots: threading.Semaphore) -> None:
        self._loop, self._slots = loop, slots
        self._lock = threading.Lock()
        self._sent = 0
        self._open = 1  # the caller's own hold, given back in `wait`
        self._failure: TidelineError | None = None
        self._done: asyncio.Future[None] = loop.create_future()

    def launch(self) -> None:
        with self._lock:
            self._sent += 1
            self._open += 1

    def landed(self, error: KafkaError | None, message: Message | None) -> None:
        self._slots.release()
        with self._lock:
            if error is not None and self._failure is None:
                topic = message.topic() if message is not None else None
                self._failure = _failure(topic or "?", error)
        self._let_go()

    def _let_go(self) -> None:
        with self._lock:
            self._open -= 1
            last = self._open == 0
        if last:
            self._loop.call_soon_threadsafe(self._resolve)

    def _resolve(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    async def wait(self) -> int:
        self._let_go()
        await self._done
        if self._failure is not None:
            raise self._failure
        return self._sent

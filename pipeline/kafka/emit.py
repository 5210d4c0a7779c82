"""Messages that one event causes: encoded, headed, and with the times of their cause."""

from collections.abc import Iterable
from typing import Any

from pipeline.config.names import HOME, Names
from pipeline.kafka import tracing
from pipeline.kafka.messages import Delivery
from pipeline.kafka.ports import Outgoing, Sender
from pipeline.wire.codec import encode
from pipeline.wire.headers import ENTERED_AT, ORIGIN_TS, Header, carry, cloud_event


class Emit:
    """How one stage speaks. `stage`: as CloudEvents name it; `names`: what topics are called in its spans."""

    def __init__(self, outbox: Sender, stage: str, names: Names = HOME) -> None:
        self._outbox, self._source, self._names = outbox, f"tideline/{stage}", names

    async def all(self, messages: Iterable[Outgoing]) -> int:
        """Send in order; returns how many, once every one is acknowledged. See `Sender.send_all`."""
        with tracing.sending(messages, self._names.topic) as traced:
            return await self._outbox.send_all(traced)

    def message(
        self,
        topic: str,
        key: str,
        record: Any,
        *,
        source: Delivery[Any],
        partition: int | None = None,
        part: int = 0,
    ) -> Outgoing:
        """A message caused by `source`. Its id follows from its cause, so a replay sends the same id.

        `part` tells apart what one cause sends to one topic under one key.
        """
        cause = source.message
        trace = [(name, value) for name, value in carry(cause.headers) if name != ORIGIN_TS]
        headers = cloud_event(
            event_id=f"{cause.topic}:{cause.partition}:{cause.offset}:{topic}:{key}:{part}",
            event_type=f"io.tideline.{topic}",
            source=self._source,
            at_ms=cause.timestamp_ms,
            carried=[*_times(source.entered_ms, source.origin_ts), *trace],
        )
        return Outgoing(topic, encode(record), key.encode(), headers, partition)

    def event(self, topic: str, key: str, record: Any, *, at_ms: int) -> Outgoing:
        """A message that no other has caused: what holds, or happens, as of this time (ms)."""
        headers = cloud_event(
            event_id=f"{topic}:{key}:{at_ms}",
            event_type=f"io.tideline.{topic}",
            source=self._source,
            at_ms=at_ms,
            carried=_times(at_ms, at_ms),
        )
        return Outgoing(topic, encode(record), key.encode(), headers)

    def tombstone(self, topic: str, key: str) -> Outgoing:
        """Take a key out of a compacted topic."""
        return Outgoing(topic, None, key.encode())


def _times(entered_ms: int, origin_ts: int) -> list[Header]:
    return [(ENTERED_AT, b"%d" % entered_ms), (ORIGIN_TS, b"%d" % origin_ts)]

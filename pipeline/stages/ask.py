"""Ask: the query agent for those who would rather speak Kafka than HTTP.

Reads      timeline.requests (TimelineRequest)
Writes     a TimelineReply, key request_id, to the topic the request names in `reply_to`
Guarantee  the same answer as the HTTP API, from the same core; at least one reply a request. A page that its
           topic does not take is told with status 413, one that cannot be read with 500; who asks for a
           reply where none can go finds a problem on `timeline.replies` that says so, under their
           request_id, and becomes a dead letter. None holds up anybody
Replay     answers again; a client drops the second reply by its request_id
Budget     a page each; `in_flight` batches at once
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

from pipeline.clock import Clock
from pipeline.domain.page_request import REPLIES, BadRequest, misdirected, parse
from pipeline.errors import Unprocessable
from pipeline.kafka.emit import Emit
from pipeline.kafka.messages import Delivery, Refused
from pipeline.kafka.ports import NoSuchTopic, NotTaken, Outgoing
from pipeline.query import render
from pipeline.query.timeline import Query
from pipeline.wire.codec import CodecError
from pipeline.wire.enums import RefusalReason
from pipeline.wire.records import TimelineReply, TimelineRequest

Unanswered = tuple[Delivery[TimelineRequest], str]
"""Who cannot be answered where they want to be, and why."""

_TOO_LARGE = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


@dataclass(frozen=True, slots=True)
class Ask:
    """The request and reply agent."""

    query: Query
    emit: Emit
    clock: Clock

    async def handle(self, batch: Sequence[Delivery[TimelineRequest]]) -> list[Refused]:
        """Answer a batch, all pages at once."""
        refused: list[Unanswered] = []
        by_topic: dict[str, list[Delivery[TimelineRequest]]] = defaultdict(list)
        for delivery in batch:
            topic = delivery.record.reply_to
            if why := misdirected(topic):
                refused.append((delivery, why))
            else:
                by_topic[topic].append(delivery)
        for unanswerable in await asyncio.gather(*(self._reply(asks) for asks in by_topic.values())):
            refused += unanswerable
        await asyncio.gather(*(self._tell(*each) for each in refused))
        return [Refused(delivery.message, RefusalReason.REPLY_TO, why) for delivery, why in refused]

    async def _tell(self, ask: Delivery[TimelineRequest], why: str) -> None:
        """Say where replies are looked for why this one did not go where it should have."""
        if ask.record.reply_to != REPLIES:
            with suppress(NoSuchTopic, NotTaken):
                bad = HTTPStatus.BAD_REQUEST
                await self.emit.all([self._message(ask, bad, f"reply_to: {why}", REPLIES)])

    async def _reply(self, asks: Sequence[Delivery[TimelineRequest]]) -> list[Unanswered]:
        """Answer those who want it on one topic; all of them are refused when there is no such topic."""
        replies = await asyncio.gather(*(self._answer(ask) for ask in asks))
        try:
            await self.emit.all(replies)
        except NoSuchTopic as error:
            return [(ask, error.message) for ask in asks]
        except NotTaken:
            # One after the other, as a batch of small ones may be too large, too.
            alone = [await self._reply_alone(*each) for each in zip(asks, replies, strict=True)]
            return [refused for refused in alone if refused is not None]
        return []

    async def _reply_alone(self, ask: Delivery[TimelineRequest], reply: Outgoing) -> Unanswered | None:
        """Answer, or say that the answer is too large; refuse who cannot even be told that."""
        too_large = f"limit: ask for fewer: {reply.topic} does not take {len(reply.value or b'')} bytes"
        why = ""
        for message in (reply, self._message(ask, _TOO_LARGE, too_large)):
            try:
                await self.emit.all([message])
            except (NotTaken, NoSuchTopic) as error:
                why = error.message
            else:
                return None
        return ask, why

    async def _answer(self, delivery: Delivery[TimelineRequest]) -> Outgoing:
        ask = delivery.record
        wanted = parse(
            reader_id=str(ask.reader_id),
            limit=str(ask.limit),
            cursor=ask.cursor,
            mode=ask.mode,
            explain="1" if ask.explain else "0",
            now_ms=self.clock.now_ms(),
            cursor_keys=self.query.cursor_keys,
        )
        if isinstance(wanted, BadRequest):
            bad = HTTPStatus.BAD_REQUEST
            return self._message(delivery, bad, f"{wanted.field}: {wanted.reason}")
        try:
            page = render.page(await self.query.page(wanted), explain=wanted.explain)
            return self._message(delivery, HTTPStatus.OK, page)
        except Unprocessable as error:
            return self._message(delivery, HTTPStatus.INTERNAL_SERVER_ERROR, error.message)
        except CodecError as error:
            return self._message(delivery, _TOO_LARGE, f"limit: ask for fewer: {error.message}")

    def _message(
        self, delivery: Delivery[TimelineRequest], status: HTTPStatus, body: bytes | str, topic: str = ""
    ) -> Outgoing:
        """A reply to this topic, else to the one it is wanted on; a text is the detail of a problem."""
        ask = delivery.record
        if isinstance(body, str):
            body = render.problem(status, status.phrase, body, ask.request_id)
        reply = TimelineReply(ask.request_id, status, body)
        return self.emit.message(topic or ask.reply_to, ask.request_id, reply, source=delivery)

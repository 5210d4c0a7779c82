"""Ask: the query agent for those who would rather speak Kafka than HTTP.

Reads      timeline.requests (TimelineRequest)
Writes     a TimelineReply, key request_id, to the topic the request names in `reply_to`
Guarantee  the same answer as the HTTP API, from the same core; at least one reply a request
Replay     answers again; a client drops the second reply by its request_id
Budget     a page each; `in_flight` batches at once
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from pipeline.agents import render
from pipeline.agents.query import Query
from pipeline.domain.page_request import BadRequest, parse
from pipeline.kafka.emit import Emit
from pipeline.kafka.messages import Delivery, Refused
from pipeline.kafka.outbox import Outgoing
from pipeline.records import TimelineReply, TimelineRequest

REPLIES = "timeline.replies"
"""Replies go to this topic or to one whose name it begins: an ask cannot write anywhere else."""


@dataclass(frozen=True, slots=True)
class Ask:
    """The request and reply agent."""

    query: Query
    emit: Emit
    now_ms: Callable[[], int]

    async def handle(self, batch: Sequence[Delivery[TimelineRequest]]) -> list[Refused]:
        """Answer a batch, all pages at once."""
        refused = [
            Refused(delivery.message, "reply_to", f"must be {REPLIES} or begin with it")
            for delivery in batch
            if not delivery.record.reply_to.startswith(REPLIES)
        ]
        answered = [delivery for delivery in batch if delivery.record.reply_to.startswith(REPLIES)]
        await self.emit.all(await asyncio.gather(*(self._answer(delivery) for delivery in answered)))
        return refused

    async def _answer(self, delivery: Delivery[TimelineRequest]) -> Outgoing:
        ask = delivery.record
        wanted = parse(
            reader_id=str(ask.reader_id),
            limit=str(ask.limit),
            cursor=ask.cursor,
            mode=ask.mode,
            explain="1" if ask.explain else "0",
            now_ms=self.now_ms(),
            cursor_key=self.query.cursor_key,
        )
        if isinstance(wanted, BadRequest):
            bad = HTTPStatus.BAD_REQUEST
            body = render.problem(bad, bad.phrase, f"{wanted.field}: {wanted.reason}")
            reply = TimelineReply(ask.request_id, bad, body)
        else:
            page = render.page(await self.query.page(wanted), explain=wanted.explain)
            reply = TimelineReply(ask.request_id, HTTPStatus.OK, page)
        return self.emit.message(ask.reply_to, ask.request_id, reply, source=delivery)

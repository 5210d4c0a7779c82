"""What users may send: the broker's own quotas (KIP-13), in bytes a second and broker.

A user is whom the broker authenticated. One that authenticates nobody knows its producers by their
`client.id` alone, which anybody may claim. A broker that is asked for more answers late and says so; the
producer waits, its messages stay in its own queue, and nothing is refused. Other producers, also on the same
machine, are not touched. librdkafka has no call for it, aiokafka only one that reads, so the request that
writes (KIP-546) is declared here.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import DescribeClientQuotasRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Float64, Int16, Int32, Schema, String

from pipeline.errors import EngineError
from pipeline.kafka.client import aio, security_of
from pipeline.wire.headers import OURS

USER, CLIENT, RATE = "user", "client-id", "producer_byte_rate"

_ANY_NAME = 2  # the match types of DescribeClientQuotas: exact, default, any
_TEXT = String("utf-8")


class Quotas:
    """The quotas of producers on one Kafka; a connection a call, as they are asked for in trouble only."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._by = USER if security_of(bootstrap).authenticates else CLIENT

    async def all(self) -> dict[str, float]:
        """Bytes a second by name, of all who have a quota for what they send. Raises EngineError."""
        asked = DescribeClientQuotasRequest([(self._by, _ANY_NAME, None)], True)
        async with self._connected() as client:
            answer = await self._ask(client, asked)
        if answer.error_code:
            raise EngineError(self._refused(answer.error_code, answer.error_message))
        return {
            name: rate
            for entity, values in answer.entries
            for _, name in entity
            for key, rate in values
            if key == RATE
        }

    async def put(self, rates: Mapping[str, float | None]) -> None:
        """Set these rates; None takes a quota away, if there is one. Raises EngineError."""
        if not rates:
            return
        async with self._connected() as client:
            answer = await self._ask(client, _AlterClientQuotas(self._by, rates))
        for code, message, _ in answer.entries:
            if code:
                raise EngineError(self._refused(code, message))

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AIOKafkaClient]:
        client = AIOKafkaClient(**aio(self._bootstrap), client_id=OURS)
        try:
            await client.bootstrap()
            yield client
        except KafkaError as error:
            raise EngineError(f"kafka {self._bootstrap}: quotas: {error}", "tideline status") from error
        finally:
            await client.close()

    async def _ask(self, client: AIOKafkaClient, request: "Request[Any]") -> Any:
        return await client.send(client.get_random_node(), request)

    def _refused(self, code: int, message: str | None) -> str:
        return f"kafka {self._bootstrap}: quotas: error {code}: {message or 'no reason given'}"


class _Altered(Response):  # type: ignore[misc]  # aiokafka says nothing of its types
    API_KEY = 49
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "entries",
            Array(
                ("error_code", Int16),
                ("error_message", _TEXT),
                ("entity", Array(("entity_type", _TEXT), ("entity_name", _TEXT))),
            ),
        ),
    )


class _Alter(RequestStruct):  # type: ignore[misc]
    API_KEY = 49
    API_VERSION = 0
    RESPONSE_TYPE = _Altered
    SCHEMA = Schema(
        (
            "entries",
            Array(
                ("entity", Array(("entity_type", _TEXT), ("entity_name", _TEXT))),
                ("ops", Array(("key", _TEXT), ("value", Float64), ("remove", Boolean))),
            ),
        ),
        ("validate_only", Boolean),
    )


class _AlterClientQuotas(Request[_Alter]):  # type: ignore[misc]
    API_KEY = 49

    def __init__(self, by: str, rates: Mapping[str, float | None]) -> None:
        self._entries = [
            ([(by, name)], [(RATE, 0.0 if rate is None else float(rate), rate is None)])
            for name, rate in rates.items()
        ]

    def build(self, request_struct_class: type[_Alter]) -> _Alter:
        return request_struct_class(self._entries, False)

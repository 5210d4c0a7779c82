"""Watching a running pipeline from outside: lag from the broker, rows from the metrics of the writers."""

import asyncio
from functools import partial
from pathlib import Path
from types import TracebackType

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from pipeline.clock import now_ms
from pipeline.control.lag import Lag, StageLag, topics_read
from pipeline.kafka.offsets import Offsets
from pipeline.local import instance
from pipeline.local.instance import Instance
from pipeline.topology import Topology

_TIMEOUT = aiohttp.ClientTimeout(total=2)


class Watch:
    """Looks at one running pipeline. An async context manager."""

    def __init__(self, home: Path, running: Instance, topology: Topology) -> None:
        self._home = home
        self._offsets = Offsets(running.kafka)
        self._lag = Lag(
            self._offsets,
            topology,
            now_ms=now_ms,
            topics_read=partial(topics_read, partial(instance.beside_api, home, "")),
        )
        self._tiers = list(topology.tiers)
        self._rows: dict[tuple[str, int | None], int] = {}
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> "Watch":
        self._offsets.__enter__()
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()
        self._offsets.__exit__(kind, error, trace)

    async def stages(self) -> list[StageLag]:
        """How far every stage is behind, see `control.lag`."""
        return await asyncio.to_thread(self._lag.snapshot)

    async def rows(self) -> dict[str, int]:
        """By tier, the rows its writers have counted: also those that died, as far as they had said."""
        for worker in instance.stages(self._home):
            kind, _, tier = worker.stage.partition(".")
            if kind == "fanout" and worker.port is not None:
                key = tier, worker.pid
                self._rows[key] = await self._counted(worker.port, self._rows.get(key, 0))
        return {tier: sum(rows for (of, _), rows in self._rows.items() if of == tier) for tier in self._tiers}

    async def _counted(self, port: int, before: int) -> int:
        try:
            async with self._session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                text = await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            return before
        return round(
            sum(
                sample.value
                for family in text_string_to_metric_families(text)
                for sample in family.samples
                if sample.name == "tideline_fanout_rows_total"
            )
        )

"""The fan-out writer against a bare driver and a plain agent: one interleaved run on real engines.

*ceiling*        the rows of a round from memory, in the store's batches, and nothing else (`fanout_ceiling`)
*pipeline*       posts waiting in Kafka, through `classify` and one writer of their tier, both real workers
*row-at-a-time*  the same posts, through a plain Faust agent with one INSERT a follower (`row_at_a_time`)

Rounds go A B C A B C. Each turn has its own fresh processes and an empty table. The processes are started,
and paused once they are ready; then the posts are published, then they are resumed: that is the start signal.
The turn ends when the last row can be read by a client outside; then a query compares every row there is.
"""

import asyncio
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from pipeline import topology
from pipeline.bench.engines import Engines, engines_for
from pipeline.bench.figures import BenchReport, Turn
from pipeline.bench.processes import Running, cpu_seconds, machine, running
from pipeline.bench.table import BenchedTable, table
from pipeline.bench.workload import Workload
from pipeline.clock import now_ms
from pipeline.config import shipped
from pipeline.domain import budgets
from pipeline.domain.intake import Accepted
from pipeline.errors import ConfigError, EngineError
from pipeline.kafka import groups
from pipeline.kafka.emit import Emit
from pipeline.kafka.outbox import Outbox
from pipeline.ops.publish import outgoing
from pipeline.path import tier_stage
from pipeline.runtime import topology_apply
from pipeline.topology import Topology
from pipeline.wire.records import ReaderCohort

Progress = Callable[[str], None]

CONTENDERS = ("ceiling", "pipeline", "row-at-a-time")
"""In the order of their turns."""

WARM_UP = ("ceiling", "pipeline")
"""Turns before the first round, not counted: the JIT has not seen writes yet, nor reads of followers."""

SETTLE_S = 1.0
"""From `ready` to the pause, as a consumer has its partitions a moment before it fetches; and from the last
row to the end of the processes, as rows of the same second may still be on their way."""

_GROUPS = "tideline.bench."


def run(*, rows: int, followers: int, rounds: int, home: Path | None, progress: Progress) -> BenchReport:
    """Compare the contenders on about `rows` rows a turn. Raises EngineError when one writes other rows."""
    with tempfile.TemporaryDirectory(prefix="tideline-bench-") as folder:
        loaded = _topology(Path(folder) / "topology")
        workload = Workload(max(1, rows // followers), followers, loaded.routing.segment_size)
        if followers >= loaded.routing.push_below:
            raise ConfigError(
                f"{followers} followers are not pushed to: push_below is {loaded.routing.push_below}"
            )
        with engines_for(home, progress) as engines:
            if others := groups.active(engines.kafka, "tideline."):
                raise ConfigError(
                    f"an instance works on this Kafka and would take the posts: {', '.join(others)}",
                    "stop it, or leave out --home and the endpoints",
                )
            bench = FanoutBench(engines, loaded, workload, Path(folder), progress)
            return asyncio.run(bench.compare(rounds))


def _topology(folder: Path) -> Topology:
    """The shipped topology with consumer groups of the bench's own."""
    shutil.copytree(shipped.folder("topology"), folder)
    plain = topology.load(folder)
    stages = [f"    classify: {{group: {_GROUPS}classify}}"]
    tiers = [f"    {tier}: {{group: {_GROUPS}fanout.{tier}}}" for tier in plain.tiers]
    head = ["apiVersion: tideline/v1", "kind: Profile", "metadata: {name: bench}", "spec:"]
    profile = [*head, "  stages:", *stages, "  tiers:", *tiers, ""]
    (folder / "profiles" / "bench.yaml").write_text("\n".join(profile))
    return topology.load(folder, "bench")


@dataclass(frozen=True, slots=True)
class FanoutBench:
    """One comparison: its engines, its topology, its workload, and a folder for topology and logs."""

    engines: Engines
    topology: Topology
    workload: Workload
    folder: Path
    progress: Progress

    async def compare(self, rounds: int) -> BenchReport:
        """All rounds, each contender in a keyspace of its own."""
        async with AsyncExitStack() as stack:
            outbox = await stack.enter_async_context(Outbox(self.engines.kafka))
            tables = {name: await self._table(name, stack) for name in CONTENDERS}
            await self._wake(outbox)
            for name in WARM_UP:
                self.progress(f"warming up: {name}")
                await self._turn(name, 0, now_ms(), tables[name], outbox)
            turns = []
            for number in range(1, rounds + 1):
                at_ms = now_ms()
                for name in CONTENDERS:
                    self.progress(f"round {number} of {rounds}: {name}")
                    turn = await self._turn(name, number, at_ms, tables[name], outbox)
                    self.progress(f"round {number} of {rounds}: {name}: {turn.rows_s:,.0f} rows/s")
                    turns.append(turn)
            weights = {name: await self._bytes_a_row(tables[name]) for name in CONTENDERS}
        return BenchReport(machine(), _shape(self.workload), turns, weights)

    async def _table(self, contender: str, stack: AsyncExitStack) -> BenchedTable:
        keyspace = f"bench_{secrets.token_hex(3)}_{contender.replace('-', '_')}"
        self.progress(f"filling {keyspace}")
        cluster = topology_apply.Cluster(self.engines.kafka, self.engines.cassandra, keyspace)
        await topology_apply.apply(self.topology, cluster)
        opened = await stack.enter_async_context(table(self.engines.cassandra, keyspace))
        await opened.follow(self.workload)
        return opened

    async def _wake(self, outbox: Outbox) -> None:
        """Let the writer know that all readers are active, as the readers stage would have."""
        at = now_ms()
        emit = Emit(outbox, "bench")
        await emit.all(
            emit.event("reader.cohorts", str(reader), ReaderCohort(reader, True, 0, at), at_ms=at)
            for reader in self.workload.crowd
        )

    async def _turn(
        self, contender: str, number: int, at_ms: int, into: BenchedTable, outbox: Outbox
    ) -> Turn:
        await into.empty()
        for group, topic in self._places(contender).items():
            await asyncio.to_thread(groups.skip_to_end, self.engines.kafka, group, [topic])
        commands = self._commands(contender, at_ms)
        async with running(commands, self._environment(into.keyspace), self.folder) as processes:
            await asyncio.sleep(SETTLE_S)
            for process in processes:
                process.pause()
            if contender != "ceiling":
                await self._publish(at_ms, outbox)
            before, began = self._cpu(processes), time.perf_counter()
            for process in processes:
                process.resume()
            await into.until_readable(self._last_rows(at_ms), lambda: _check(processes))
            seconds, after = time.perf_counter() - began, self._cpu(processes)
            await asyncio.sleep(SETTLE_S)
        cpu_s = {name: after[name] - before[name] for name in before}
        return Turn(contender, number, seconds, await self._counted(contender, at_ms, into), cpu_s)

    def _places(self, contender: str) -> dict[str, str]:
        """The consumer groups of a contender, and the topic each reads."""
        if contender == "pipeline":
            tier = self.topology.tiers[self._tier()]
            return {self.topology.stages["classify"].group: "posts", tier.group: tier.topic}
        return {f"{_GROUPS}row": "posts"} if contender == "row-at-a-time" else {}

    def _commands(self, contender: str, at_ms: int) -> dict[str, Sequence[str]]:
        """The processes of a contender, by the name under which their CPU time is told."""
        python = [sys.executable, "-m"]
        if contender == "pipeline":
            stages = ("classify", tier_stage(self._tier()))
            return {stage: [*python, "pipeline", "worker", stage] for stage in stages}
        if contender == "row-at-a-time":
            return {"row-at-a-time": [*python, "pipeline.bench.row_at_a_time", f"{_GROUPS}row"]}
        work = self.workload
        ttl_s = self.topology.routing.window_ms // 1000
        arguments = (work.posts, work.followers, work.segment_size, at_ms, ttl_s)
        return {"ceiling": [*python, "pipeline.bench.fanout_ceiling", *map(str, arguments)]}

    def _environment(self, keyspace: str) -> dict[str, str]:
        return {
            "TIDELINE_HOME": str(self.folder),
            "TIDELINE_KAFKA": self.engines.kafka,
            "TIDELINE_CASSANDRA": self.engines.cassandra,
            "TIDELINE_KEYSPACE": keyspace,
            "TIDELINE_TOPOLOGY": str(self.topology.folder),
            "TIDELINE_PROFILE": self.topology.profile,
        }

    def _tier(self) -> str:
        tiers = [budgets.Tier(t.name, t.max_followers, t.lag_budget) for t in self.topology.tiers.values()]
        return budgets.tier_for(self.workload.followers, tiers).name

    async def _publish(self, at_ms: int, outbox: Outbox) -> None:
        events = [Accepted("posts", b"%d" % post.author_id, post) for post in self.workload.events(at_ms)]
        sent_ms = now_ms()
        await outbox.send_all(outgoing(event, source="tideline/bench", now_ms=sent_ms) for event in events)

    def _last_rows(self, at_ms: int) -> list[tuple[int, int]]:
        """The last row of each segment of each post."""
        return [(push.readers[-1], push.entries[0].post_id) for push in self.workload.pushes(at_ms, ttl_s=0)]

    def _cpu(self, processes: Sequence[Running]) -> dict[str, float]:
        pids = {process.name: process.popen.pid for process in processes}
        every = {**pids, **self.engines.pids, "client": os.getpid()}
        return {name: cpu_seconds(pid) for name, pid in every.items()}

    async def _counted(self, contender: str, at_ms: int, found_in: BenchedTable) -> int:
        """The number of rows there are; raises EngineError unless they are exactly those of the workload."""
        found, wanted = await found_in.rows(), self.workload.table(at_ms)
        if len(found) != len(wanted) or set(found) != wanted:
            missing, others = len(wanted.difference(found)), len(set(found) - wanted)
            raise EngineError(f"bench: {contender}: {missing} of {len(wanted)} rows missing, {others} others")
        return len(found)

    async def _bytes_a_row(self, of: BenchedTable) -> float | None:
        if self.engines.sstables is None:
            return None
        return await of.bytes_on_disk(self.engines.sstables) / self.workload.rows


def _check(processes: Sequence[Running]) -> None:
    for process in processes:
        process.check()


def _shape(workload: Workload) -> Mapping[str, int]:
    return {"posts": workload.posts, "followers": workload.followers, "rows": workload.rows}

"""Breaks the workers of one instance, so that `test_controls` can see the verifier go red.

Python runs this at its start where PYTHONPATH names this folder (`tests.faults.sabotage`). Only `tideline worker` is
touched, and only as the variable SABOTAGE says. The product has no switch for any of it.
"""

import os
import sys


def _sabotage(how: str) -> None:
    import asyncio
    import copy
    import random
    from functools import partial

    import faust

    from pipeline.control import controller
    from pipeline.kafka.loop import SafeLoop, incoming
    from pipeline.runtime import resources, wiring
    from pipeline.stages.classify import Classify
    from pipeline.stages.fanout import Fanout
    from pipeline.topology.specs import RoutingSpec

    safe_run, agent, write = SafeLoop.run, faust.App.agent, Fanout.handle
    put_routes, cache, decide = Classify._put_routes, wiring.SegmentCache, controller.decide

    # What makes races wide, and harms nobody who keeps to the rules: `nothing` has it too, and stays clean.

    async def slow_write(self, batch):
        if random.random() < 0.5:
            await asyncio.sleep(1.5)
        return await write(self, batch)

    if how != "no-margin":  # which takes effect where rows are written at once
        Fanout.handle = slow_write
    resources.open_stores = partial(resources.open_stores, deadline_s=1.0)

    # What breaks a rule.

    async def run_by_take(self, stream, handle):
        async for events in stream.take_events(self._batch, self._within_s):
            good, *_ = self._decoded([incoming(event) for event in events])
            await handle(good)

    def agent_of_two(self, *given, **named):
        return agent(self, *given, **(named | {"concurrency": 2}))

    async def run_alone(self, stream, handle):
        await safe_run(copy.copy(self), stream, handle)  # its state is of one stream

    async def ack_and_then_settle(self, stream):
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._open:
                settling, events, size = self._open[0]
                for event in events:
                    await stream.ack(event)
                await settling
                self._open.popleft()
                self._open_bytes -= size
                self._moved.set()

    classified = Classify.handle

    async def stumble(self, batch):
        if any("stumbles" in (post.record.body or "") for post in batch):
            raise ZeroDivisionError("a bug that will be fixed")
        return await classified(self, batch)

    late: set[asyncio.Task[None]] = set()

    async def put_routes_late(self, *given):
        async def after_the_tasks():
            await asyncio.sleep(2)
            await put_routes(self, *given)

        late.add(asyncio.create_task(after_the_tasks()))

    def never_over(*given):
        return [change for change in decide(*given) if not change.over]

    def old_cache(*given, **named):
        return cache(*given, **(named | {"max_age_s": 1.0}))  # half of the margin there was

    match how:
        case "nothing":
            pass
        case "take":
            SafeLoop.run = run_by_take
        case "concurrency":
            SafeLoop.run, faust.App.agent = run_alone, agent_of_two
        case "ack-first":
            SafeLoop._ack_in_order = ack_and_then_settle
        case "route-late":
            Classify._put_routes = put_routes_late
        case "stumble":
            Classify.handle = stumble
        case "never-over":
            controller.decide = never_over
        case "no-margin":
            RoutingSpec.margin_ms = property(lambda _: 0)
            wiring.SegmentCache = old_cache
        case _:
            raise ValueError(how)


if "worker" in sys.orig_argv and "SABOTAGE" in os.environ:
    _sabotage(os.environ["SABOTAGE"])

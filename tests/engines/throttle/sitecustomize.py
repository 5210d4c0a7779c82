"""Makes fan-out writers slow without costing CPU: a store that answers late. For `tests/engines/test_capacity.py`.

Python runs this at its start where PYTHONPATH names this folder. Only `tideline worker` is touched: each batch takes
THROTTLE seconds more, so that a worker does `in_flight x batch / THROTTLE` tasks a second whatever the machine is at.
"""

import os
import sys


def _throttle(seconds: float) -> None:
    import asyncio

    from pipeline.stages.fanout import Fanout

    handle = Fanout.handle

    async def slow(self, batch):
        await asyncio.sleep(seconds)
        return await handle(self, batch)

    Fanout.handle = slow


if "worker" in sys.orig_argv and "THROTTLE" in os.environ:
    _throttle(float(os.environ["THROTTLE"]))

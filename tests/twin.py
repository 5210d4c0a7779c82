"""What a process opens, in memory, for tests: production's wiring makes the stages and the read path of it."""

from dataclasses import replace

from pipeline import topology
from pipeline.config.settings import Settings
from pipeline.runtime import wiring
from pipeline.runtime.memory import MemoryResources
from pipeline.topology.specs import RoutingSpec
from tests.stages.fakes import RecordingOutbox

LOADED = topology.load(profile="small-graph")
SETTINGS = Settings(cursor_keys=f"k1:{'c' * 32}", token_keys=f"k1:{'c' * 32}")
T0 = 1_700_000_000_000


class Clock:
    """Time passes when a test says so, and while somebody sleeps."""

    def __init__(self, now=T0):
        self.now, self.slept = now, []

    def now_ms(self):
        return self.now

    def monotonic_s(self):
        return self.now / 1000

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += round(seconds * 1000)


def shaped(*, window_ms=None, tiers=None, partitions=None, rows_per_second=10**9, **routing):
    """The topology of the small graph, but for this. `tiers`: by name, followers below which they take posts;
    `partitions`: by topic.
    """

    class Window(RoutingSpec):
        @property
        def window_ms(self):
            return super().window_ms if window_ms is None else window_ms

    kept = LOADED.tiers if tiers is None else {name: LOADED.tiers[name] for name in tiers}
    return replace(
        LOADED,
        routing=Window.model_construct(**(LOADED.routing.model_dump() | routing)),
        tiers={n: t.model_copy(update={"max_followers": (tiers or {}).get(n)}) for n, t in kept.items()},
        topics=LOADED.topics
        | {n: LOADED.topics[n].model_copy(update={"partitions": c}) for n, c in (partitions or {}).items()},
        stages=LOADED.stages
        | {
            name: LOADED.stages[name].model_copy(update={"rows_per_second": rows_per_second})
            for name in ("backfill", "retract")
        },
    )


def opened(stores=None, outbox=None, *, clock=None, fault=None, topology=LOADED, **more):
    """What a process opens: with a fault, one that dies. Its clock stands still unless another is given."""
    r = MemoryResources(
        topology, clock=clock or Clock(), stores=stores, sender=outbox, settings=SETTINGS, **more
    )
    if fault is not None:
        r.stores, r.sender = fault.stores(r.stores), fault.wrap(r.sender)
    return r


def stage(name, stores=None, outbox=None, **more):
    """The handler of a stage, as production makes it."""
    return wiring.handler_of(name, opened(stores, outbox or RecordingOutbox(), **more))

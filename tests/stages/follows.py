"""The graph stage on an in-memory store, its tables in plain sight, and the model they must end as."""

from dataclasses import replace

from hypothesis import strategies as st

from pipeline.domain import snowflake
from pipeline.store.memory import memory_stores
from pipeline.store.ports import StoreUnavailable
from pipeline.store.values import NOT_COVERED
from pipeline.wire.records import FollowEvent, RouteRecord
from tests.stages.fakes import Fault, RecordingOutbox, deliver
from tests.twin import Clock, shaped, stage

AUTHOR, OTHER, SIZE, NOW, MARGIN = 7, 8, 2, 1_700_000_000_000, 60_000
BOUND = snowflake.first_id(NOW + MARGIN)
READERS = range(1, 7)


def follow(at, *readers, author=AUTHOR):
    return FollowEvent("followed", author, readers, at)


def unfollow(at, *readers, author=AUTHOR):
    return FollowEvent("unfollowed", author, readers, at)


class World:
    """A graph store and the stage on it, with its author's tables in plain sight."""

    def __init__(self, size=SIZE):
        self.stores, self.outbox = memory_stores(lambda: 0.0), RecordingOutbox()
        self.size, self.store = size, self.stores.graph
        self.log = []

    def place(self, event):
        """The offset of an event: where it came first, also when it is replayed."""
        for place, known in enumerate(self.log):
            if known is event:
                return place
        self.log.append(event)
        return len(self.log) - 1

    def stage(self, store=None, *, clock=None, size=None):
        """The handler of the stage, on another store of the graph if one is given."""
        stores = replace(self.stores, graph=store or self.store)
        shape = shaped(segment_size=size or self.size, margin_seconds=MARGIN / 1000)
        return stage("graph", stores, self.outbox, topology=shape, clock=clock or Clock(NOW))

    async def handle(self, events, fault=None):
        """One batch; with a fault, False when the process died in it."""
        await self.stores.routes.put_routes(
            [RouteRecord(a, (), 1) for a in (AUTHOR, OTHER)]
        )  # they have posted
        handle = self.stage((fault or Fault()).wrap(self.store))
        try:
            assert await handle([deliver(event, offset=self.place(event)) for event in events]) == []
        except StoreUnavailable:
            return False
        return True

    async def edges(self):
        """Every edge to the author that its reader sees."""
        return [edge for reader in READERS for edge in await self.store.following(reader)]

    async def segments(self):
        """The members of each segment."""
        graph = (await self.store.author_graphs([AUTHOR]))[AUTHOR]
        return [list((await self.store.followers(AUTHOR, n)).ids) for n in range(graph.segments)]

    async def check(self):
        """What is true after every single call, also before a crash."""
        segments = await self.segments()
        seats = [reader for members in segments for reader in members]
        assert len(seats) == len(set(seats)), "a reader is in two segments"
        lives = await self.store.segment_lives(AUTHOR, len(segments))
        assert [live or 0 for live in lives] == [len(members) for members in segments]
        for edge in await self.edges():
            assert edge.covered_from == NOT_COVERED or edge.reader_id in segments[edge.segment]

    async def check_end(self, log):
        """What is true when the log is worked off."""
        await self.check()
        wanted = model(log)
        graph = (await self.store.author_graphs([AUTHOR]))[AUTHOR]
        assert {edge.reader_id for edge in await self.edges()} == wanted
        assert {reader for members in await self.segments() for reader in members} == wanted
        assert all(edge.covered_from in (BOUND, 0) for edge in await self.edges())
        assert graph.followers == len(wanted)


def model(log):
    """By reader the last writer wins, at the same time the later on the partition."""
    last = {}
    for place, event in enumerate(log):
        for reader in event.follower_ids:
            last[reader] = max(last.get(reader, (0, 0, "")), (event.at, place, event.type))
    return {reader for reader, (*_, kind) in last.items() if kind == "followed"}


readers = st.sampled_from([(1,), (1,), (2,), (1, 2), (1, 2, 3), (3, 4), (5, 6)])
kinds = st.sampled_from(["followed", "unfollowed"])
lates = st.sampled_from([0, 0, 0, 0, -2, -1, 1])
logs = st.lists(st.tuples(kinds, readers, lates), min_size=1, max_size=6).map(
    lambda drawn: [FollowEvent(kind, AUTHOR, who, 5 + n + late) for n, (kind, who, late) in enumerate(drawn)]
)

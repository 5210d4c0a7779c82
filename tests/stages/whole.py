"""All stages of the path on the twins of Kafka and of the stores: interleavings and crashes under control.

Production's wiring makes them. Every call of a port waits for its turn, and a seeded scheduler says whose it is,
when time passes, when a view follows its topic, and which call fails before or after its effect. What a stage
reads keeps the order of each key on a partition and nothing else, which is less than a group promises; a batch
that failed is delivered again, and now and then one that did not.
"""

import asyncio
from collections import defaultdict
from dataclasses import replace
from itertools import islice

from pipeline.domain.admission import INPUTS
from pipeline.domain.page_request import parse
from pipeline.kafka.messages import Delivery
from pipeline.kafka.ports import NotDelivered, Outgoing
from pipeline.path import RECORDS
from pipeline.query.caches import Sizes
from pipeline.runtime import wiring
from pipeline.runtime.memory import MemoryResources, broker
from pipeline.store.memory import memory_stores
from pipeline.store.ports import Stores, StoreUnavailable
from pipeline.wire.codec import decode, encode
from pipeline.wire.headers import entered_at, origin_ts
from tests.query.cores import KEYS, core_of
from tests.twin import SETTINGS, shaped

T0, MARGIN, WINDOW = 1_700_000_000_000, 2_000, 40_000
STAGES = ("graph", "readers", "counters", "moderation", "classify", "fanout.small", "backfill", "retract")
CLASSIFY = ("classify", "posts")
LIVE = ("follows", "edge.marks", "moderation", "posts", "fanout.small")
"""What has to be worked off before pages must be exact; repairs, accounts and activity may be anywhere."""

TOPOLOGY = shaped(
    window_ms=WINDOW,
    margin_seconds=MARGIN / 1000,
    push_below=100,
    pull_above=100,
    cost_floor=0,
    segment_size=2,
    tasks_per_post=2,
    tiers={"small": None},
    partitions={"fanout.small": 3},
)


class Whole:
    """The stages and everything between them; it is their clock as well."""

    def __init__(self, random, *, crashes=0.02, again=0.05):
        self.random, self.crashes, self.again, self.now = random, crashes, again, T0
        self.stores = memory_stores(lambda: self.now / 1000)
        self.queues = defaultdict(lambda: defaultdict(list))
        self.pending, self.timers, self.running = [], [], {}
        self.lagging = random.choice(
            [*LIVE, "fanout.backfill", "fanout.retract", "activity", "reader.marks", ""]
        )
        self.kafka = broker(TOPOLOGY, self, at_once=False)
        failing = self.opened(_ports(self, fails=True))
        self.handlers = {stage: wiring.handler_of(stage, failing) for stage in STAGES}
        self.readers_of = defaultdict(list)
        for stage in STAGES:
            for topic in [stage] if stage == "fanout.small" else TOPOLOGY.stages[stage].topics:
                self.readers_of[topic].append(stage)
        self.topics = list(self.readers_of)
        slow = self.opened(_ports(self, fails=False))
        self.query = core_of(self.opened(self.stores))
        self.slow_query = core_of(slow)
        self.cached_query = core_of(slow, Sizes())

    def opened(self, stores):
        """What a process opens that has these stores."""
        more = {"clock": self, "kafka": self.kafka, "sender": _Sender(self), "settings": SETTINGS}
        return MemoryResources(TOPOLOGY, stores=stores, **more)

    def now_ms(self):
        """As `Clock`."""
        return self.now

    def monotonic_s(self):
        """As `Clock`."""
        return self.now / 1000

    async def sleep(self, seconds):
        """As `Clock`."""
        future = asyncio.get_running_loop().create_future()
        self.timers.append((self.now + seconds * 1000, future))
        await future

    def send(self, topic, key, record):
        """An event as a user sends it."""
        self.take(Outgoing(topic, encode(record), str(key).encode(), []))

    def take(self, message):
        """A message the broker has acknowledged."""
        kept = self.kafka.append(message)
        stages = self.readers_of.get(message.topic)
        if stages:
            at = kept.timestamp_ms
            entered = entered_at(kept.headers, at, own=kept.topic not in INPUTS)
            kept = replace(kept, entered_ms=entered)
            delivery = Delivery(decode(kept.value, RECORDS[kept.topic]), kept, origin_ts(kept.headers, at))
            for stage in stages:  # topics of one stage are one stream, whose keys are authors or readers
                self.queues[stage, kept.topic][kept.key, kept.partition].append(delivery)

    def follow(self, *but):
        """Every view reads on to its end, but for those of these topics."""
        for view in self.kafka.views:
            if view.topic not in but:
                view.follow()

    async def turn(self):
        """Wait for the scheduler; how the call fails, if it does."""
        future = asyncio.get_running_loop().create_future()
        self.pending.append((self.random.random(), future))
        return await future

    def advance(self, ms):
        """Let time pass, but not while a post is between the read of its audience and its tasks."""
        if any(queue == CLASSIFY for queue, _ in self.running.values()):
            ms = min(ms, max(0, self.slack))
            self.slack -= ms
        self.now += ms
        due = [one for one in self.timers if one[0] <= self.now]
        self.timers = [one for one in self.timers if one[0] > self.now]
        for _, future in due:
            if not future.done():
                future.set_result(None)

    def _start(self, topics):
        """Start a batch of some keys that nobody works on; whether there was one."""
        ready = []
        busy = {(stage, key) for (stage, _), keys in self.running.values() for key in keys}
        for queue in [one for one in self.queues if one[1] in topics]:
            if sum(1 for (stage, _), _ in self.running.values() if stage == queue[0]) < 2:
                free = [k for k, left in self.queues[queue].items() if left and (queue[0], k) not in busy]
                ready += [(queue, free)] * bool(free)
        if not ready:
            return False
        if self.random.random() < 0.9:  # one topic is slow in this history
            ready = [one for one in ready if one[0][1] != self.lagging] or ready
        queue, free = self.random.choice(ready)
        keys = self.random.sample(free, self.random.randint(1, len(free)))
        taken = {key: self.random.randint(1, min(4, len(self.queues[queue][key]))) for key in keys}
        batch = [one for key, count in taken.items() for one in islice(self.queues[queue][key], count)]
        batch.sort(key=lambda one: one.message.offset)
        if queue == CLASSIFY and not any(other == CLASSIFY for other, _ in self.running.values()):
            self.slack = MARGIN // 4
        task = asyncio.ensure_future(self._batch(queue, batch, taken))
        self.running[task] = queue, keys
        return True

    async def _batch(self, queue, batch, taken):
        try:
            assert await self.handlers[queue[0]](batch) == []
        except (StoreUnavailable, NotDelivered):
            return
        if self.random.random() >= self.again:
            for key, count in taken.items():
                del self.queues[queue][key][:count]

    async def step(self, topics):
        """One thing happens."""
        self.pending = [call for call in self.pending if not call[1].done()]  # cancelled with their group
        if self.pending and (self.random.random() < 0.7 or not self._start(topics)):
            call = max(self.pending) if self.random.random() < 0.7 else self.random.choice(self.pending)
            self.pending.remove(call)  # one that drew a low number may wait while others do a lot
            crash = self.random.random() < self.crashes
            call[1].set_result(self.random.choice(["before", "after"]) if crash else "")
        elif not self.pending and not self._start(topics) and self.timers:
            self.advance(max(0, int(min(at for at, _ in self.timers)) - self.now + 1))
        if self.random.random() < 0.05:
            self.advance(self.random.choice([1, 5, 200, 700]))
        if self.random.random() < 0.1:
            for view in self.random.sample(self.kafka.views, len(self.kafka.views) // 4):
                view.follow(self.random.choice([None, None, 1]))
        loop = asyncio.get_running_loop()
        while loop._ready:  # noqa: ASYNC110 - until whatever was set free waits for its next turn
            await asyncio.sleep(0)
        for task in [task for task in self.running if task.done()]:
            del self.running[task]
            task.result()

    def left(self, topics):
        """Whether there is work on these topics."""
        waiting = (keys for (_, topic), keys in self.queues.items() if topic in topics)
        return any(left for keys in waiting for left in keys.values()) or any(
            topic in topics for (_, topic), _ in self.running.values()
        )

    async def work(self, steps):
        """So many steps of anything."""
        for _ in range(steps):
            if not self.pending and not self.timers and not self.left(self.topics):
                break
            await self.step(self.topics)

    async def drain(self, topics):
        """Until these topics are worked off; others may go on as well."""
        steps = 0
        while self.left(topics):
            await self.step(topics if self.random.random() < 0.9 else self.topics)
            steps += 1
            assert steps < 50_000, f"never ends: {self.running.values()}"

    async def slow_page(self, reader, limit=100):
        """The same while the repairs go on, whose calls come between those of the pages."""
        return _ids(await self.meanwhile(self.session(reader, limit, self.slow_query)))

    async def meanwhile(self, session):
        """What this gives, while the repairs go on."""
        task = asyncio.ensure_future(session)
        while not task.done():
            await self.step(["fanout.backfill", "fanout.retract"])
        return task.result()

    async def page(self, reader, limit=100):
        """All pages of a session in one list of ids."""
        return _ids(await self.session(reader, limit, self.query))

    async def session(self, reader, limit, query):
        """All pages of a session in one list of items; `as_of`: when the last one that ended had begun."""
        found, token = [], None
        while True:
            page = await query.page(self.request(reader, limit, token))
            found += page.items
            self.as_of = page.as_of
            token = page.next_cursor
            if token is None:
                return found

    def request(self, reader, limit, token=None, mode=None):
        """A page, asked for as a client does."""
        return parse(
            reader_id=str(reader),
            limit=str(limit),
            cursor=token,
            mode=mode,
            explain=None,
            now_ms=self.now,
            cursor_keys=KEYS,
        )


def _ids(items):
    return [item.post.post_id for item in items]


def _ports(whole, *, fails):
    return Stores(*(_Port(getattr(whole.stores, name), whole, fails=fails) for name in Stores.__slots__))


class _Port:
    """A port whose calls wait for their turn."""

    def __init__(self, port, whole, *, fails=True):
        self._port, self._whole, self._fails = port, whole, fails

    def __getattr__(self, name):
        method = getattr(self._port, name)

        async def call(*args, **named):
            fails = await self._whole.turn() if self._fails else await self._whole.turn() and ""
            if fails == "before":
                raise StoreUnavailable("before")
            result = await method(*args, **named)
            if fails:
                raise StoreUnavailable("after")
            return result

        return call


class _Sender:
    """Sends message by message, so that a failure may come in between."""

    def __init__(self, whole):
        self._whole = whole

    async def send_all(self, messages):
        kept = list(messages)
        for message in kept:
            fails = await self._whole.turn()
            if fails != "before":
                self._whole.take(message)
            if fails:
                raise NotDelivered(fails)
        return len(kept)

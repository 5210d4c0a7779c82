"""All stages of the path on in-memory stores, without Kafka: topics, interleavings and crashes under control.

Every call of a port waits for its turn, and a seeded scheduler says whose it is, when time passes, when a view
follows its topic, and which call fails before or after its effect. Topics keep the order of each key and nothing
else; a batch that failed is delivered again, and now and then one that did not.
"""

import asyncio
from collections import defaultdict
from itertools import islice

from pipeline.domain.budgets import Tier
from pipeline.domain.cursor import VALID_MS
from pipeline.domain.page_request import parse
from pipeline.domain.policy import Thresholds
from pipeline.kafka.emit import Emit
from pipeline.kafka.messages import Delivery, Incoming
from pipeline.kafka.ports import NotDelivered, Outgoing
from pipeline.path import RECORDS
from pipeline.query.caches import Caches, Sizes
from pipeline.query.known_routes import ByAuthor
from pipeline.stages.active_readers import ActiveReaders
from pipeline.stages.backfill import Backfill
from pipeline.stages.classify import Classify, Retention
from pipeline.stages.fanout import Fanout
from pipeline.stages.graph import Graph
from pipeline.stages.pace import Pace
from pipeline.stages.policy import Policy
from pipeline.stages.readers import Readers
from pipeline.stages.retract import Retract
from pipeline.stages.segment_cache import SegmentCache
from pipeline.stages.warmth import Warmth
from pipeline.store.memory import memory_stores
from pipeline.store.ports import Stores, StoreUnavailable
from pipeline.wire.codec import decode, encode
from tests.query.cores import KEYS, core

T0, MARGIN, WINDOW = 1_700_000_000_000, 2_000, 40_000
LIFE = WINDOW + VALID_MS
FOLLOWED = ("reader.cohorts", "author.routes", "author.suspensions", "page.changes")
LIVE = ("follows", "edge.marks", "policy", "posts", "fanout.small")
"""What has to be worked off before pages must be exact; repairs, accounts and activity may be anywhere."""


class View:
    """A topic as one process follows it: all up to a moment, which may be some time ago."""

    def __init__(self, whole, topic, put):
        self.whole, self.topic, self.put, self.position, self.as_of = whole, topic, put, 0, whole.now

    def follow(self, most=None):
        """Take the next messages; with all of them the view is as of now."""
        log = self.whole.logs[self.topic]
        for message in log[self.position : None if most is None else self.position + most]:
            record = None if message.value is None else decode(message.value, RECORDS[self.topic])
            self.put(message.key, record)
            self.position += 1
        if self.position == len(log):
            self.as_of = self.whole.now

    def age_s(self):
        """As `TopicView.age_s`."""
        return (self.whole.now - self.as_of) / 1000


class Whole:
    """The stages and everything between them."""

    def __init__(self, random, *, crashes=0.02, again=0.05):
        self.random, self.crashes, self.again, self.now = random, crashes, again, T0
        self.thresholds = Thresholds(100, 100)
        self.stores = memory_stores(lambda: self.now / 1000)
        self.logs = defaultdict(list)
        self.queues = defaultdict(lambda: defaultdict(list))
        self.pending, self.timers, self.running, self.offset = [], [], {}, 0
        self.lagging = random.choice(
            [*LIVE, "fanout.backfill", "fanout.retract", "activity", "reader.marks", ""]
        )
        ports = Stores(*(_Port(getattr(self.stores, name), self) for name in Stores.__slots__))
        self._views()
        self.handlers = self._stages(ports)

    def _views(self):
        self.active = ActiveReaders(max_age_s=MARGIN / 2000)
        routes, suspensions = ByAuthor(), ByAuthor()
        self.caches = Caches(Sizes(), MARGIN / 2000)
        puts = (self.active.put, routes.put, suspensions.put, self.caches.put)
        self.views = [View(self, topic, put) for topic, put in zip(FOLLOWED, puts, strict=True)]
        self.active.age_s, self.caches.age_s = self.views[0].age_s, self.views[3].age_s
        more = {
            "age_s": lambda: max(view.age_s() for view in self.views[1:3]),
            "window_ms": WINDOW,
            "margin_ms": MARGIN,
            "version": lambda: (routes.version, suspensions.version),
        }
        self.query = core(self.stores, routes.records, suspensions.records, **more)
        slow = Stores(*(_Port(getattr(self.stores, name), self, fails=False) for name in Stores.__slots__))
        self.slow_query = core(slow, routes.records, suspensions.records, **more)
        self.cached_query = core(slow, routes.records, suspensions.records, caches=self.caches, **more)

    def _stages(self, ports):
        def now():
            return self.now

        pace = Pace(10**9, lambda: False, lambda: self.now / 1000, self._sleep)
        graph = Graph(ports.graph, ports.routes, self._emit("graph"), now, 2, MARGIN)
        cache = SegmentCache(ports.graph, size=100, max_age_s=MARGIN / 2000, clock=lambda: self.now / 1000)
        emit = self._emit("readers")
        warmth = Warmth(ports, emit, {}.get, lambda: None, 0.2)
        readers = Readers(ports.readers, warmth, emit, now, MARGIN)
        return {
            "follows": graph.handle,
            "edge.marks": graph.handle,
            "accounts": readers.handle,
            "activity": readers.handle,
            "reader.marks": readers.handle,
            "policy": Policy(ports, self._emit("policy"), 2).handle,
            "posts": Classify(
                ports.posts,
                ports.graph,
                ports.routes,
                self._emit("classify"),
                lambda: self.thresholds,
                Retention(WINDOW, LIFE),
                [Tier("small", None, 2.0)],
                {"small": "fanout.small"},
                {"small": 3},
                2,
            ).handle,
            "fanout.small": Fanout(
                "small",
                "fanout.small",
                3,
                ports.timelines,
                cache,
                self.active,
                self._emit("fanout"),
                now,
                LIFE,
            ).handle,
            "fanout.backfill": Backfill(
                ports, self._emit("backfill"), pace, now, LIFE, MARGIN, self._sleep
            ).handle,
            "fanout.retract": Retract(
                ports, self._emit("retract"), pace, now, LIFE, MARGIN, self._sleep
            ).handle,
        }

    def _emit(self, stage):
        return Emit(_Outbox(self), stage)

    def send(self, topic, key, record):
        """An event as a user sends it."""
        self.take(Outgoing(topic, encode(record), str(key).encode(), []))

    def take(self, message):
        """A message the broker has acknowledged."""
        if message.topic in FOLLOWED:
            self.logs[message.topic].append(message)
            return
        record = decode(message.value, RECORDS[message.topic])
        self.offset += 1
        incoming = Incoming(message.topic, 0, self.offset, message.key, message.value, [], self.now)
        # topics of one stage are one stream, whose keys are authors or readers
        self.queues[message.topic][message.key].append(Delivery(record, incoming, self.now))

    async def turn(self):
        """Wait for the scheduler; how the call fails, if it does."""
        future = asyncio.get_running_loop().create_future()
        self.pending.append((self.random.random(), future))
        return await future

    async def _sleep(self, seconds):
        future = asyncio.get_running_loop().create_future()
        self.timers.append((self.now + seconds * 1000, future))
        await future

    def advance(self, ms):
        """Let time pass, but not while a post is between the read of its audience and its tasks."""
        if any(topic == "posts" for topic, _ in self.running.values()):
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
        busy = {(_stream(topic), key) for topic, keys in self.running.values() for key in keys}
        for topic in topics:
            at_work = sum(1 for other, _ in self.running.values() if _stream(other) == _stream(topic))
            if at_work < 2:
                free = [
                    k for k, queue in self.queues[topic].items() if queue and (_stream(topic), k) not in busy
                ]
                ready += [(topic, free)] * bool(free)
        if not ready:
            return False
        if self.random.random() < 0.9:  # one stage is slow in this history
            ready = [one for one in ready if one[0] != self.lagging] or ready
        topic, free = self.random.choice(ready)
        keys = self.random.sample(free, self.random.randint(1, len(free)))
        taken = {key: self.random.randint(1, min(4, len(self.queues[topic][key]))) for key in keys}
        batch = [one for key, count in taken.items() for one in islice(self.queues[topic][key], count)]
        batch.sort(key=lambda one: one.message.offset)
        if topic == "posts" and not any(other == "posts" for other, _ in self.running.values()):
            self.slack = MARGIN // 4
        task = asyncio.ensure_future(self._batch(topic, batch, taken))
        self.running[task] = topic, keys
        return True

    async def _batch(self, topic, batch, taken):
        try:
            assert await self.handlers[topic](batch) == []
        except (StoreUnavailable, NotDelivered):
            return
        if self.random.random() >= self.again:
            for key, count in taken.items():
                del self.queues[topic][key][:count]

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
            self.random.choice(self.views).follow(self.random.choice([None, None, 1]))
        loop = asyncio.get_running_loop()
        while loop._ready:  # noqa: ASYNC110 - until whatever was set free waits for its next turn
            await asyncio.sleep(0)
        for task in [task for task in self.running if task.done()]:
            del self.running[task]
            task.result()

    def left(self, topics):
        """Whether there is work on these topics."""
        return any(queue for topic in topics for queue in self.queues[topic].values()) or any(
            topic in topics for topic, _ in self.running.values()
        )

    async def work(self, steps):
        """So many steps of anything."""
        topics = list(self.handlers)
        for _ in range(steps):
            if not self.pending and not self.timers and not self.left(topics):
                break
            await self.step(topics)

    async def drain(self, topics):
        """Until these topics are worked off; others may go on as well."""
        steps = 0
        while self.left(topics):
            await self.step(topics if self.random.random() < 0.9 else list(self.handlers))
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


def _stream(topic):
    if topic in ("follows", "edge.marks"):
        return "graph"
    return "readers" if topic in ("accounts", "activity", "reader.marks") else topic


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


class _Outbox:
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

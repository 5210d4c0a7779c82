"""What pages remember between requests: bounded, loaded once however many ask, and coherent by invalidation.

    known ── hit ─▶ value          a change drops the key, from whichever thread hears of it
    all ──── miss ─▶ one load for all who ask meanwhile; a load that began before a change is not kept

`trusted` says whether every change up to a moment ago has been heard. While it is not, nothing that was
remembered is served; what is loaded then is shared for `life_s`, counted from when its load began, so that
nothing served is older than that, and the store gets a load of each key in that time, not one of each page.
"""

import asyncio
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Mapping
from typing import Generic, TypeVar

from pipeline.telemetry import metrics

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

Load = Callable[[Collection[Key]], Awaitable[Mapping[Key, Value]]]
"""Values by key; a key that has none is left out, and not remembered."""


class Cache(Generic[Key, Value]):
    """The newest values of at most `size` keys; the one unused for longest goes first.

    `clock`: seconds, never back.
    """

    def __init__(
        self,
        name: str,
        size: int,
        trusted: Callable[[], bool],
        life_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size, self._trusted, self._life_s, self._clock = size, trusted, life_s, clock
        self._brief: OrderedDict[Key, tuple[float, asyncio.Future[Value | None]]] = OrderedDict()
        self._entries: OrderedDict[Key, Value] = OrderedDict()
        self._loading: dict[Key, asyncio.Future[Value | None]] = {}
        self._began: dict[Key, deque[float]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._lock = threading.Lock()
        self._hits = metrics.CACHE_READS.labels(name, "hit")
        self._misses = metrics.CACHE_READS.labels(name, "miss")
        self._joins = metrics.CACHE_READS.labels(name, "joined")
        self._past = metrics.CACHE_READS.labels(name, "untrusted")

    def __len__(self) -> int:
        """How many keys are held."""
        return len(self._entries)

    def known(self, keys: Iterable[Key]) -> dict[Key, Value]:
        """What is remembered of these keys now."""
        if not self._trusted():
            return {}
        found: dict[Key, Value] = {}
        entries = self._entries
        for key in keys:
            value = entries.get(key)
            if value is not None:
                found[key] = value
        for key in found:
            try:
                entries.move_to_end(key)
            except KeyError:  # dropped meanwhile, by the thread that hears of changes
                continue
        self._hits.inc(len(found))
        return found

    def still(self, values: Mapping[Key, Value]) -> bool:
        """Whether these very values are what is remembered; asking does not make them stay longer."""
        entries = self._entries
        return self._trusted() and all(entries.get(key) is value for key, value in values.items())

    async def all(self, keys: Collection[Key], load: Load[Key, Value]) -> dict[Key, Value]:
        """The values of these keys: remembered, being loaded for somebody, or loaded now, in one call.

        A load goes on when whoever asked first has stopped waiting: others may wait, and the next will ask.
        """
        found = self.known(keys)
        if len(found) == len(keys):
            return found
        missing = [key for key in keys if key not in found]
        if not self._trusted():
            return await self._briefly(missing, load)
        asked = ((key, self._loading.get(key)) for key in missing)  # one look: a change may come after it
        waiting = {key: loading for key, loading in asked if loading is not None}
        fresh = [key for key in missing if key not in waiting]
        self._joins.inc(len(waiting))
        if fresh:
            self._misses.inc(len(fresh))
            begun = self._begin(fresh, load)
            self._loading |= begun
            waiting |= begun
        return found | await _values(waiting)

    async def _briefly(self, keys: Collection[Key], load: Load[Key, Value]) -> dict[Key, Value]:
        """The values of these keys, of loads that began within `life_s`."""
        if not self._life_s:
            self._past.inc(len(keys))
            return dict(await load(keys))
        now = self._clock()
        known = ((key, self._brief.get(key)) for key in keys)
        waiting = {
            key: brief[1]
            for key, brief in known
            if brief is not None and now - brief[0] < self._life_s and not _failed(brief[1])
        }
        fresh = [key for key in keys if key not in waiting]
        self._joins.inc(len(waiting))
        self._past.inc(len(fresh))
        if fresh:
            begun = self._begin(fresh, load)
            waiting |= begun
            for key, future in begun.items():
                self._brief[key] = now, future
                self._brief.move_to_end(key)
            while len(self._brief) > self._size:
                self._brief.popitem(last=False)
        return await _values(waiting)

    def waiting_s(self, key: Key) -> float:
        """Seconds that the oldest load of this key has been under way; 0 when there is none. A change does
        not shorten that: it says how the store is doing, not what it will answer.
        """
        began = self._began.get(key)
        return time.monotonic() - began[0] if began else 0.0

    def keep(self, key: Key, value: Value) -> None:
        """Remember what was not loaded but made."""
        if not self._trusted():
            return
        with self._lock:
            self._entries[key] = value
            self._entries.move_to_end(key)
            self._shrink()

    def drop(self, keys: Iterable[Key]) -> None:
        """Forget these keys, and do not keep what is being loaded for them. From any thread."""
        with self._lock:
            for key in keys:
                self._entries.pop(key, None)
                self._loading.pop(key, None)

    def clear(self) -> None:
        """Forget everything. From any thread."""
        with self._lock:
            self._entries.clear()
            self._loading.clear()
            self._brief.clear()

    def _begin(self, keys: list[Key], load: Load[Key, Value]) -> dict[Key, "asyncio.Future[Value | None]"]:
        loop = asyncio.get_running_loop()
        futures: dict[Key, asyncio.Future[Value | None]] = {key: loop.create_future() for key in keys}
        task = loop.create_task(self._load(futures, load))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return futures

    async def _load(self, futures: dict[Key, "asyncio.Future[Value | None]"], load: Load[Key, Value]) -> None:
        now = time.monotonic()
        for key in futures:
            self._began.setdefault(key, deque()).append(now)
        try:
            values = await load(list(futures))
        except BaseException as error:
            self._ended(futures, now)
            with self._lock:
                self._forget(futures)
            for future in futures.values():
                future.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
                future.exception()  # looked at: whoever asked may be gone
            if not isinstance(error, Exception):
                raise
            return
        self._ended(futures, now)
        with self._lock:
            for key in self._forget(futures):
                if key in values:
                    self._entries[key] = values[key]
            self._shrink()
        for key, future in futures.items():
            future.set_result(values.get(key))

    def _ended(self, keys: Iterable[Key], began: float) -> None:
        for key in keys:
            self._began[key].remove(began)
            if not self._began[key]:
                del self._began[key]

    def _forget(self, futures: Mapping[Key, "asyncio.Future[Value | None]"]) -> list[Key]:
        """End these loads; returns the keys that nothing has changed since they began."""
        ours = [key for key, future in futures.items() if self._loading.get(key) is future]
        for key in ours:
            del self._loading[key]
        return ours

    def _shrink(self) -> None:
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)


async def _values(futures: Mapping[Key, "asyncio.Future[Value | None]"]) -> dict[Key, Value]:
    """What comes of these loads; a load goes on when whoever waits for it does no more."""
    found = {key: await asyncio.shield(future) for key, future in futures.items()}
    return {key: value for key, value in found.items() if value is not None}


def _failed(future: "asyncio.Future[Value | None]") -> bool:
    return future.done() and future.exception() is not None

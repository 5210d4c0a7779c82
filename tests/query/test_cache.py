"""Cache: one load for all who ask, nothing kept that a change has overtaken, and never more than its size."""

import asyncio
import threading

import pytest

from pipeline.query.cache import Cache

TURNS = 5
"""Enough turns of the loop for whatever is ready to have run: nothing here waits for anything but events."""


class Table:
    """What is loaded from: a load reads at once and answers when it may."""

    def __init__(self, **values):
        self.values, self.loads, self.error = values, [], None
        self.answer = asyncio.Event()
        self.answer.set()

    async def load(self, keys):
        """The values as they were when the load began."""
        self.loads.append(sorted(keys))
        found = {key: self.values[key] for key in keys if key in self.values}
        await self.answer.wait()
        if self.error is not None:
            raise self.error
        return found


class Trust:
    """Whether all changes have been heard of."""

    yes = True

    def __call__(self):
        return self.yes


def cache_of(size=10, trusted=lambda: True, **more):
    return Cache("test", size, trusted, **more)


async def turns():
    """Let everything that is ready run."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def begun(cache, table, *keys):
    """Somebody who asks for these keys, and waits for a load."""
    table.answer.clear()
    asker = asyncio.create_task(cache.all(keys, table.load))
    await turns()
    assert not asker.done()
    return asker


async def test_what_was_loaded_is_remembered():
    """The second time nobody is asked, and what is missing is asked for alone."""
    cache, table = cache_of(), Table(a=1, b=2)

    assert await cache.all(["a"], table.load) == {"a": 1}
    assert await cache.all(["a", "b"], table.load) == {"a": 1, "b": 2}
    assert await cache.all(["b", "a"], table.load) == {"a": 1, "b": 2}

    assert table.loads == [["a"], ["b"]]
    assert cache.known(["a", "b", "c"]) == {"a": 1, "b": 2}


@pytest.mark.parametrize("askers", [1, 2, 50])
async def test_all_who_ask_meanwhile_share_a_load(askers):
    """However many; each gets the value."""
    cache, table = cache_of(), Table(a=1)
    table.answer.clear()
    asking = [asyncio.create_task(cache.all(["a"], table.load)) for _ in range(askers)]
    await turns()

    table.answer.set()

    assert await asyncio.gather(*asking) == [{"a": 1}] * askers
    assert table.loads == [["a"]]


async def test_who_asks_for_more_loads_only_what_nobody_does():
    """
    ::

        first   a b ────────▶
        second    b c ──────▶    loads c alone
    """
    cache, table = cache_of(), Table(a=1, b=2, c=3)
    first = await begun(cache, table, "a", "b")
    second = await begun(cache, table, "b", "c")

    table.answer.set()

    assert await first == {"a": 1, "b": 2}
    assert await second == {"b": 2, "c": 3}
    assert table.loads == [["a", "b"], ["c"]]


async def test_a_load_that_a_change_has_overtaken_is_not_kept():
    """
    ::

        load    ├── reads 1 ───────────▶ 1, as of the beginning of the request
        change           ▲ 2
        later             ├── reads 2 ──▶ 2, and remembered
    """
    cache, table = cache_of(), Table(a=1)
    early = await begun(cache, table, "a")
    table.values["a"] = 2
    cache.drop(["a"])
    late = await begun(cache, table, "a")

    table.answer.set()

    assert await early == {"a": 1}
    assert await late == {"a": 2}
    assert cache.known(["a"]) == {"a": 2}


async def test_an_overtaken_load_that_ends_last_does_not_come_back():
    """The order in which loads end is not the order in which they began."""
    cache, table = cache_of(), Table(a=1)
    early = await begun(cache, table, "a")
    slow, table.answer = table.answer, asyncio.Event()
    table.values["a"] = 2
    cache.drop(["a"])
    table.answer.set()

    assert await cache.all(["a"], table.load) == {"a": 2}
    slow.set()
    assert await early == {"a": 1}

    assert cache.known(["a"]) == {"a": 2}


async def test_a_change_of_one_key_leaves_the_others_of_a_load():
    """They are what the tables hold."""
    cache, table = cache_of(), Table(a=1, b=2)
    asker = await begun(cache, table, "a", "b")
    cache.drop(["a"])
    table.answer.set()
    await asker

    assert cache.known(["a", "b"]) == {"b": 2}


@pytest.mark.parametrize("forget", [lambda cache: cache.drop(["a"]), lambda cache: cache.clear()])
async def test_a_change_is_heard_from_another_thread(forget):
    """What is remembered goes, and so does what is being loaded."""
    cache, table = cache_of(), Table(a=1)
    await cache.all(["a"], table.load)
    await asyncio.to_thread(forget, cache)
    assert cache.known(["a"]) == {}

    asker = await begun(cache, table, "a")
    await asyncio.to_thread(forget, cache)
    table.answer.set()
    await asker

    assert cache.known(["a"]) == {}


class Looked:
    """A key that says when it is looked up: a change may come between any two looks."""

    def __init__(self):
        self.looks, self.at, self.then = 0, 0, None

    def __hash__(self):
        self.looks += 1
        if self.looks == self.at:
            self.then()
        return 7


async def test_a_change_may_come_at_any_moment():
    """Before the first look at a key, between the first and the second, …: whoever asks gets the value."""
    at, looks = 0, 1
    while at <= looks:
        at += 1
        cache, key = cache_of(), Looked()

        async def load(keys):
            return dict.fromkeys(keys, 1)

        def change(cache=cache, key=key):
            if not cache._lock.locked():  # else the thread that hears of it waits its turn
                thread = threading.Thread(target=cache.drop, args=([key],))
                thread.start()
                thread.join()

        for asked in range(3):
            key.looks, key.at, key.then = 0, at if asked == 1 else 0, change
            asking = [asyncio.create_task(cache.all([key], load)) for _ in range(2)]
            assert [list(found.values()) for found in await asyncio.gather(*asking)] == [[1], [1]]
            looks = key.looks if asked == 1 else looks
            cache.drop([key]) if not asked else None
    assert at > 5


@pytest.mark.parametrize(("size", "kept"), [(0, ""), (1, "c"), (2, "ac"), (3, "abc"), (4, "abc")])
async def test_the_one_unused_for_longest_goes_first(size, kept):
    """`a` was used after `b` was loaded."""
    cache, table = cache_of(size), Table(a=1, b=2, c=3)
    for keys in ("a", "b", "a", "c"):
        await cache.all([keys], table.load)

    assert "".join(sorted(cache.known("abc"))) == kept
    assert len(cache) == len(kept)


async def test_a_load_of_more_than_fits_is_served_whole():
    cache, table = cache_of(1), Table(a=1, b=2, c=3)

    assert await cache.all(["a", "b", "c"], table.load) == {"a": 1, "b": 2, "c": 3}
    assert len(cache) == 1


async def test_what_is_kept_is_bounded_as_well():
    """And the newest of a key counts."""
    cache = cache_of(2)
    for key, value in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        cache.keep(key, value)

    assert cache.known("abc") == {"a": 3, "c": 4}


async def test_without_trust_everybody_loads_for_themselves_and_nothing_is_kept():
    """As if there were no cache; what was remembered counts again once all changes have been heard."""
    trust = Trust()
    cache, table = cache_of(trusted=trust), Table(a=1, b=2)
    await cache.all(["a"], table.load)
    trust.yes = False

    assert cache.known(["a"]) == {}
    table.answer.clear()
    asking = [asyncio.create_task(cache.all(["a", "b"], table.load)) for _ in range(2)]
    await turns()
    table.answer.set()
    assert await asyncio.gather(*asking) == [{"a": 1, "b": 2}] * 2
    cache.keep("c", 3)

    assert table.loads == [["a"], ["a", "b"], ["a", "b"]]
    trust.yes = True
    assert cache.known("abc") == {"a": 1}


async def test_without_trust_nobody_waits_for_a_load_of_others():
    """It began when changes were still heard of, and may be overtaken by one that was not."""
    trust = Trust()
    cache, table = cache_of(trusted=trust), Table(a=1)
    early = await begun(cache, table, "a")
    trust.yes = False
    table.values["a"] = 2
    late = await begun(cache, table, "a")

    table.answer.set()

    assert (await early, await late) == ({"a": 1}, {"a": 2})


@pytest.mark.parametrize(("age", "loads"), [(0.0, 1), (0.999, 1), (1.0, 2), (5.0, 2)])
async def test_without_trust_a_load_serves_others_for_its_life(age, loads):
    """From when it began, however long it took, so that nothing served is older; then it is loaded anew."""
    now = 10.0
    cache, table = cache_of(trusted=lambda: False, life_s=1.0, clock=lambda: now), Table(a=1)
    early = await begun(cache, table, "a")

    now += age
    table.values["a"] = 2
    late = await begun(cache, table, "a", "b")
    table.answer.set()

    assert await early == {"a": 1}
    assert await late == {"a": loads}
    assert sum("a" in keys for keys in table.loads) == loads


async def test_what_was_loaded_without_trust_does_not_count_with_it():
    """Nobody said that it had changed meanwhile."""
    trust, now = Trust(), 10.0
    cache, table = cache_of(trusted=trust, life_s=1.0, clock=lambda: now), Table(a=1)
    trust.yes = False
    await cache.all(["a"], table.load)
    table.values["a"] = 2
    trust.yes = True

    assert cache.known(["a"]) == {}
    assert await cache.all(["a"], table.load) == {"a": 2}


async def test_a_load_that_failed_without_trust_is_not_shared():
    """Whoever comes later tries again; an absent key is shared as well."""
    cache, table = cache_of(trusted=lambda: False, life_s=1.0, clock=lambda: 10.0), Table(a=1)
    table.error = ValueError("away")
    with pytest.raises(ValueError, match="away"):
        await cache.all(["a"], table.load)
    table.error = None

    assert await cache.all(["a", "b"], table.load) == {"a": 1}
    assert await cache.all(["a", "b"], table.load) == {"a": 1}
    assert table.loads == [["a"], ["a", "b"]]


async def test_no_more_is_shared_than_there_is_room_for():
    cache, table = (
        cache_of(size=2, trusted=lambda: False, life_s=1.0, clock=lambda: 10.0),
        Table(a=1, b=2, c=3),
    )

    assert await cache.all(["a", "b", "c"], table.load) == {"a": 1, "b": 2, "c": 3}
    assert await cache.all(["b", "c"], table.load) == {"b": 2, "c": 3}
    assert await cache.all(["a"], table.load) == {"a": 1}

    assert table.loads == [["a", "b", "c"], ["a"]]


async def test_who_stops_waiting_stops_nobody_else():
    """The first asker is cancelled: the second gets the value of the same load, and it is remembered."""
    cache, table = cache_of(), Table(a=1)
    first, second = await begun(cache, table, "a"), await begun(cache, table, "a")

    first.cancel()
    await turns()
    assert first.cancelled()
    table.answer.set()

    assert await second == {"a": 1}
    assert table.loads == [["a"]]
    assert cache.known(["a"]) == {"a": 1}


async def test_a_load_nobody_waits_for_is_remembered():
    """A page that ran out of time has still paid for it."""
    cache, table = cache_of(), Table(a=1)
    asker = await begun(cache, table, "a")
    asker.cancel()
    await turns()
    table.answer.set()
    await turns()

    assert cache.known(["a"]) == {"a": 1}


async def test_a_load_that_fails_fails_all_who_wait_and_is_not_remembered():
    cache, table = cache_of(), Table(a=1)
    asking = [await begun(cache, table, "a"), await begun(cache, table, "a")]
    table.error = OSError("away")
    table.answer.set()

    assert [str(one) for one in await asyncio.gather(*asking, return_exceptions=True)] == ["away"] * 2
    table.error = None
    assert await cache.all(["a"], table.load) == {"a": 1}
    assert table.loads == [["a"], ["a"]]


async def test_a_key_without_a_value_is_asked_for_again():
    """What is not there may come, and nobody tells."""
    cache, table = cache_of(), Table(a=1)

    assert await cache.all(["a", "b"], table.load) == {"a": 1}
    table.values["b"] = 2
    assert await cache.all(["a", "b"], table.load) == {"a": 1, "b": 2}

    assert table.loads == [["a", "b"], ["b"]]


async def test_a_load_is_under_way_until_it_has_ended_however_it_ends():
    table, cache = Table(a=1, b=2), cache_of()
    first = await begun(cache, table, "a")
    cache.drop("a")
    second = await begun(cache, table, "a", "b")

    assert cache.waiting_s("a") > cache.waiting_s("b") > 0

    table.error = ValueError("no")
    table.answer.set()
    await asyncio.gather(first, second, return_exceptions=True)
    assert cache.waiting_s("a") == cache.waiting_s("b") == 0
    assert not cache._began

"""CounterStore: the largest sketch of a window stays, and a page reads how many readers that is."""

import time
from itertools import permutations

import pytest

from pipeline.domain.engagement import MAX_HASHES, sketch
from pipeline.store.values import CounterWindow, Engaged

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOUR = 490_000


def engaged(post, hour, part, readers, ttl_s=1000):
    return Engaged(CounterWindow(post, hour, part), sketch(readers), ttl_s)


async def test_the_largest_sketch_stays_in_any_order(stores, fresh):
    """A writer that is behind, late or repeated takes nothing away; also when it comes to estimates."""
    first = fresh()
    sizes = (1, MAX_HASHES - 1, MAX_HASHES, 700)
    for n, order in enumerate(permutations(sizes)):
        for size in order * 2:
            await stores.counters.put_sketches([engaged(first + n, HOUR, 0, range(size))])

        window = CounterWindow(first + n, HOUR, 0)
        assert await stores.counters.sketches([window]) == {window: sketch(range(700))}
        assert (await stores.counters.engaged([first + n], HOUR))[first + n] == pytest.approx(700, rel=0.2)


async def test_hours_from_the_first_one_on_and_all_parts_are_summed(stores, fresh):
    """Limit − 1, limit, limit + 1; a reader counts once a window."""
    post = fresh()
    await stores.counters.put_sketches(
        [
            engaged(post, HOUR - 1, 0, range(5)),
            engaged(post, HOUR, 0, range(3)),
            engaged(post, HOUR, 3, range(10, 14)),
            engaged(post, HOUR + 1, 0, range(2)),
            engaged(post + 1, HOUR, 0, range(9)),
        ]
    )

    found = [await stores.counters.engaged([post], since) for since in range(HOUR - 1, HOUR + 3)]

    assert found == [{post: 14}, {post: 9}, {post: 2}, {}]


async def test_many_posts_are_counted_at_once(stores, fresh):
    """More than one question holds; who has none is left out, and asking twice is asking once."""
    first = fresh()
    posts = range(first, first + 250)
    await stores.counters.put_sketches([engaged(post, HOUR, 1, [7]) for post in posts[::2]])

    assert await stores.counters.engaged([*posts, *posts], HOUR) == dict.fromkeys(posts[::2], 1)
    assert await stores.counters.engaged([], HOUR) == {}


async def test_windows_are_read_one_by_one(stores, fresh):
    """Post, hour and part each make another."""
    post = fresh()
    windows = [CounterWindow(post + p, HOUR + h, part) for p in (0, 1) for h in (0, 1) for part in (0, 1)]
    stored = {window: sketch(range(n + 1)) for n, window in enumerate(windows[:-1])}
    await stores.counters.put_sketches([Engaged(window, each, 1000) for window, each in stored.items()])
    await stores.counters.put_sketches([])

    assert await stores.counters.sketches(windows) == stored
    assert await stores.counters.sketches([]) == {}


async def test_a_window_is_gone_when_its_life_is_over(stores, fresh):
    """Wait for it: the clock is the store's own."""
    post = fresh()
    await stores.counters.put_sketches([engaged(post, HOUR, 0, [1], ttl_s=1), engaged(post, HOUR, 1, [1])])
    deadline = time.monotonic() + 30

    while await stores.counters.engaged([post], HOUR) != {post: 1}:
        assert time.monotonic() < deadline

    assert list(await stores.counters.sketches([CounterWindow(post, HOUR, part) for part in (0, 1)])) == [
        CounterWindow(post, HOUR, 1)
    ]

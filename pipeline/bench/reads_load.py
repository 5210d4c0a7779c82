"""A closed loop of readers, turn by turn: each asks again as soon as it has its answer."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.query.page import Page

Ask = Callable[[int], Awaitable[Page | None]]
"""One read of a reader's feed; None where what comes back is no page of this process."""


class Sample(NamedTuple):
    """One answer: when it came (s, monotonic), what it took, and what the page said of itself."""

    at: float
    seconds: float
    reader: int
    degraded: tuple[str, ...] = ()
    lacks: tuple[int, ...] = ()


@dataclass(slots=True)
class Turns:
    """What one contender did: its answers turn by turn, and the seconds of each turn."""

    samples: list[list[Sample]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


async def turn(ask: Ask, readers: Iterator[int], at_once: int, seconds: float) -> list[Sample]:
    """So many readers at once, for so long. An answer that is under way at the end still counts."""
    samples: list[Sample] = []
    end = time.perf_counter() + seconds

    async def loop() -> None:
        while (began := time.perf_counter()) < end:
            reader = next(readers)
            page = await ask(reader)
            now = time.perf_counter()
            if page is None:
                samples.append(Sample(now, now - began, reader))
            else:
                said = tuple(page.degraded), tuple(page.lacks)
                samples.append(Sample(now, now - began, reader, *said))

    await asyncio.gather(*(loop() for _ in range(at_once)))
    return samples


async def interleaved(
    contenders: Mapping[str, Ask],
    readers: Iterator[int],
    at_once: int,
    rounds: int,
    turn_s: float,
    say: Callable[[str], None],
) -> dict[str, Turns]:
    """A B C, A B C: the machine's own pace moves, so every contender meets each of its moods."""
    measured = {name: Turns() for name in contenders}
    for number in range(1, rounds + 1):
        say(f"round {number} of {rounds}")
        for name, ask in contenders.items():
            began = time.perf_counter()
            measured[name].samples.append(await turn(ask, readers, at_once, turn_s))
            measured[name].seconds.append(time.perf_counter() - began)
    return measured

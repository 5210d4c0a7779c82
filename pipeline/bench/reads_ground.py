"""What `bench reads` stands on: a running pipeline, filled by the real path, and posts that keep coming."""

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from pipeline.bench import graph, reads_world
from pipeline.bench.reads_world import World
from pipeline.bench.watch import Watch
from pipeline.clock import now_ms
from pipeline.control import lag
from pipeline.domain.intake import Accepted
from pipeline.errors import TidelineError
from pipeline.kafka.outbox import Outbox
from pipeline.local.instance import Instance
from pipeline.ops import routing_forced
from pipeline.ops.publish import outgoing
from pipeline.wire.records import AuthorClass, ForcedClass

POSTS_A_SECOND = 4.0
"""While it is measured: of ten, three are by pulled authors, as a page has more of theirs."""

PATIENCE_S = 600.0

_SOURCE = "tideline/bench"
_LOOK_S = 0.25
_BATCH = 200


@dataclass(frozen=True, slots=True)
class Ground:
    """The pipeline, and how it is spoken to."""

    home: Path
    running: Instance
    outbox: Outbox
    watch: Watch
    world: World
    say: Callable[[str], None]

    async def fill(self) -> None:
        """Accounts, the real graph, the readers' own follows, the classes, and the posts; all processed."""
        self.say("registering the readers")
        at = now_ms()
        await self._send(list(self.world.accounts(at)))
        await self.settled()
        self.say("importing the real graph")
        await self._import()
        await self._send(list(self.world.edges(at)))
        for author in self.world.pulled:
            forced = ForcedClass(author, AuthorClass.PULL, "bench reads", at)
            await routing_forced.force(self.running.kafka, forced)
        await self.settled()
        authors = self.world.authors_of_posts()
        self.say(f"publishing {len(authors):,} posts")
        for first in range(0, len(authors), _BATCH):
            some = enumerate(authors[first : first + _BATCH], first)
            await self._send([reads_world.post(number, author, now_ms()) for number, author in some])
        await self.settled()

    async def settled(self) -> None:
        """Wait until every stage has processed everything."""
        deadline = time.monotonic() + PATIENCE_S
        while not lag.settled(await self.watch.stages()):
            if time.monotonic() > deadline:
                raise TidelineError(f"not everything was processed in {PATIENCE_S:.0f} s", "tideline lag")
            await asyncio.sleep(_LOOK_S)

    async def post(self, author: int) -> None:
        """One post, now."""
        await self._send([reads_world.post(now_ms(), author, now_ms())])

    @asynccontextmanager
    async def trickle(self) -> AsyncIterator[None]:
        """Posts by the authors whom the readers follow, a few a second, until the end."""

        async def keep_posting() -> None:
            rng = random.Random(1)
            for _ in count():
                await asyncio.sleep(1 / POSTS_A_SECOND)
                await self.post(rng.choice(rng.choices([self.world.pulled, self.world.pushed], [3, 7])[0]))

        posting = asyncio.create_task(keep_posting())
        try:
            yield
        finally:
            posting.cancel()

    async def _send(self, events: Sequence[Accepted] | Iterable[Accepted]) -> None:
        await self.outbox.send_all(outgoing(one, source=_SOURCE, now_ms=now_ms()) for one in events)

    async def _import(self) -> None:
        sending = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pipeline", "import", "follows", str(graph.SHIPPED)),
            *("--home", str(self.home)),
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            _, words = await sending.communicate()
        finally:
            if sending.returncode is None:
                sending.kill()
        if sending.returncode:
            raise TidelineError(f"the import failed: {words.decode(errors='replace')}")

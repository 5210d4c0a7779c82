"""What happens in the world while it is being broken: seeded, steady, and with every class of author in it."""

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.engines import events
from tests.engines.events import Event
from tests.engines.model import Model

COHORTS = True
"""Whether readers lapse while running: the internal event `lapsed` on the topic `reader.marks`."""

REGIONS = ("eu", "us", "")

THRESHOLDS = ((1000, 5000), (310, 330), (150, 240), (50, 200), (20, 60), (180, 5000))
"""(push_below, pull_above): from all pushed over all three classes to nearly all pulled."""


def producer_of(author: int) -> str:
    """Who produces an author's posts, by their own word: one each, so that a controller may slow it."""
    return f"app of {author}"


@dataclass(frozen=True)
class World:
    """How large the world is. Under the profile small-graph tiers begin at 50 and 300 followers."""

    readers: int = 400
    never_registered: int = 60
    audiences: Sequence[int] = field(
        default=(*range(3, 45, 3), *range(50, 194, 9), *range(200, 296, 16), *range(305, 349, 11))
    )


class Workload:
    """Draws events and tells the model. `model` knows what every feed has to be."""

    def __init__(self, seed: int, world: World, *, cohorts: bool = COHORTS) -> None:
        self._random = random.Random(f"workload {seed}")
        first = self._random.getrandbits(40) << 20
        self.readers = [*range(first, first + world.readers)]
        self.authors = [*range(first + world.readers, first + world.readers + len(world.audiences))]
        self._audience = dict(zip(self.authors, world.audiences, strict=True))
        self._registered = self.readers[world.never_registered :]
        self._cohorts = cohorts
        self._following: dict[int, set[int]] = defaultdict(set)
        self._suspended: list[int] = []
        self._posts: list[Event] = []
        self.model = Model()
        self.published: list[Event] = []

    def opening(self) -> list[Event]:
        """Accounts, and the follows of the start."""
        accounts = [events.account(reader, self._random.choice(REGIONS)) for reader in self._registered]
        follows = [self._follow(author, self._audience[author]) for author in self.authors]
        return self._said([*accounts, *follows])

    def step(self, number: int) -> list[Event]:
        """So many things that happen, one after another."""
        kinds: dict[Callable[[], list[Event]], int] = {
            self._post: 70,
            self._burst: 4,
            self._edge: 22,
            self._change: 7,
            self._relation: 8,
            self._suspension: 2,
            self._take_down: 4,
            self._account: 2,
            self._opened: 4,
            self._lapsed: 4 if self._cohorts else 0,
        }
        drawn = self._random.choices([*kinds], [*kinds.values()], k=number)
        return self._said([event for make in drawn for event in make()])

    def thresholds(self) -> tuple[int, int]:
        """The next `push_below` and `pull_above`."""
        return self._random.choice(THRESHOLDS)

    def amount(self) -> int:
        """How much happens at once: mostly little, sometimes a wave that a stage is killed in."""
        return self._random.choices([2, 4, 40], [40, 40, 1])[0]

    def said_of(self, *, reader: int, author: int, post: int) -> list[Event]:
        """What was published of these, for somebody who wants to understand a red run."""

        def concerns(event: Event) -> bool:
            if "post_id" in event:
                return bool(event["post_id"] == post)
            if event["topic"] == "follows":
                return bool(event["author_id"] == author) and reader in event["follower_ids"]
            readers = (event.get("reader_id"), event.get("user_id"))
            return reader in readers or (event.get("author_id") == author and readers == (None, None))

        found = [event for event in self.published if concerns(event)]
        return [{k: v for k, v in event.items() if k != "follower_ids"} for event in found]

    def _said(self, said: list[Event]) -> list[Event]:
        self.published += said
        self.model.take(said)
        return said

    def _author(self) -> int:
        return self._random.choice(self.authors)

    def _post(self) -> list[Event]:
        return [self._posted(self._author())]

    def _burst(self) -> list[Event]:
        author = self._author()
        return [self._posted(author) for _ in range(self._random.randint(2, 8))]

    def _posted(self, author: int) -> Event:
        visibility = self._random.choices(["public", "followers", "private"], [16, 2, 1])[0]
        self._posts.append(events.post(author, f"post {len(self._posts)}", visibility=visibility))
        return self._posts[-1]

    def _edge(self) -> list[Event]:
        """Towards the author's audience and around it, one to five readers at a time."""
        author, number = self._author(), self._random.randint(1, 5)
        too_many = len(self._following[author]) - self._audience[author]
        leave = self._random.random() < (0.5 if abs(too_many) < 5 else too_many > 0)
        full = len(self._following[author]) + number > len(self.readers)
        if full or (leave and len(self._following[author]) > number):
            leaving = self._random.sample(sorted(self._following[author]), number)
            self._following[author] -= {*leaving}
            return [events.unfollowed(author, *leaving)]
        return [self._follow(author, number)]

    def _follow(self, author: int, number: int) -> Event:
        others = sorted({*self.readers} - self._following[author])
        coming = self._random.sample(others, number)
        self._following[author] |= {*coming}
        return events.followed(author, *coming)

    def _change(self) -> list[Event]:
        if not self._posts:
            return self._post()
        published = self._random.choice(self._posts[-200:])
        if self._random.random() < 0.3:
            return [events.deleted(published)]
        return [events.edited(published, body=f"{published['body']}, edited {events.now()}")]

    def _relation(self) -> list[Event]:
        kind = self._random.choices(["blocked", "unblocked", "muted", "unmuted"], [2, 3, 2, 3])[0]
        return [
            events.moderation(kind, reader_id=self._random.choice(self.readers), author_id=self._author())
        ]

    def _suspension(self) -> list[Event]:
        """One author in twelve at most is suspended at a time, or the feeds would dry up."""
        if len(self._suspended) < len(self.authors) // 12:
            self._suspended.append(self._author())
            return [events.moderation("suspended", author_id=self._suspended[-1])]
        return (
            [events.moderation("reinstated", author_id=self._suspended.pop(0))]
            if self._suspended
            else self._post()
        )

    def _take_down(self) -> list[Event]:
        if not self._posts:
            return self._post()
        kind = self._random.choice(["taken_down", "restored"])
        regions = self._random.choice([[], ["eu"], ["us", "eu"]])
        post_id = self._random.choice(self._posts[-200:])["post_id"]
        return [events.moderation(kind, post_id=post_id, regions=regions)]

    def _account(self) -> list[Event]:
        return [
            events.account(self._random.choice(self._registered), self._random.choice(REGIONS), "updated")
        ]

    def _opened(self) -> list[Event]:
        """Of anyone: also of those who never registered, and of those who had lapsed."""
        return [events.opened(self._random.choice(self.readers))]

    def _lapsed(self) -> list[Event]:
        return [events.lapsed(self._random.choice(self.readers))]

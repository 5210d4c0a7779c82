"""A small world and what happens in it, drawn from a seed: follows, posts, edits, blocks, take-downs."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from tests.engines import events
from tests.engines.events import Event
from tests.engines.model import Model

REGIONS = ("eu", "us", "")


class Traffic:
    """Readers who follow authors. `events` is everything so far, `model` what it amounts to."""

    def __init__(self, seed: int, readers: int, audiences: Sequence[int], **every_post: Any) -> None:
        """An author for each of `audiences`, that many followers at the start; one reader posts as well."""
        self._random = random.Random(seed)
        self._every_post = every_post
        self.readers = events.take(readers)
        self.authors = events.take(len(audiences))
        self._audiences = audiences
        self.events: list[Event] = []
        self.model = Model()
        self._posts: list[Event] = []

    def opening(self) -> list[Event]:
        """Accounts, and the follows of the start."""
        accounts = [events.account(reader, self._random.choice(REGIONS)) for reader in self.readers]
        follows = [
            events.followed(author, *self._random.sample(self.readers, audience))
            for author, audience in zip(self.authors, self._audiences, strict=True)
        ]
        follows.append(events.followed(self.readers[0], *self.readers[1:6]))
        return self._said([*accounts, *follows])

    def burst(self, number: int) -> list[Event]:
        """So many events, one after another."""
        kinds: dict[Callable[[], Event], int] = {
            self._post: 50,
            self._edge: 25,
            self._change: 6,
            self._relation: 8,
            self._suspension: 2,
            self._take_down: 4,
            self._account: 3,
            self._opened: 2,
        }
        drawn = self._random.choices([*kinds], [*kinds.values()], k=number)
        return self._said([make() for make in drawn])

    def shuffled(self) -> list[Event]:
        """Everything so far in another order, also within a key."""
        return self._random.sample(self.events, len(self.events))

    def _said(self, said: list[Event]) -> list[Event]:
        self.events += said
        self.model.take(said)
        return said

    def _post(self) -> Event:
        author = self._random.choice([*self.authors, self.readers[0]])
        visibility = self._random.choices(["public", "followers", "private"], [8, 1, 1])[0]
        body = f"post {len(self._posts)}"
        self._posts.append(events.post(author, body, visibility=visibility, **self._every_post))
        return self._posts[-1]

    def _edge(self) -> Event:
        change = self._random.choice([events.followed, events.unfollowed])
        return change(self._author(), *self._random.sample(self.readers, self._random.randint(1, 3)))

    def _change(self) -> Event:
        if not self._posts:
            return self._post()
        published = self._random.choice(self._posts)
        if self._random.random() < 0.3:
            return events.deleted(published)
        return events.edited(published, body=f"{published['body']}, edited {events.now()}")

    def _relation(self) -> Event:
        kind = self._random.choice(["blocked", "unblocked", "muted", "unmuted"])
        return events.moderation(kind, reader_id=self._random.choice(self.readers), author_id=self._author())

    def _suspension(self) -> Event:
        return events.moderation(self._random.choice(["suspended", "reinstated"]), author_id=self._author())

    def _take_down(self) -> Event:
        if not self._posts:
            return self._post()
        kind = self._random.choice(["taken_down", "restored"])
        regions = self._random.choice([[], ["eu"], ["us", "eu"]])
        return events.moderation(kind, post_id=self._random.choice(self._posts)["post_id"], regions=regions)

    def _account(self) -> Event:
        return events.account(self._random.choice(self.readers), self._random.choice(REGIONS), "updated")

    def _opened(self) -> Event:
        return events.opened(self._random.choice(self.readers))

    def _author(self) -> int:
        return self._random.choice(self.authors)

"""The feeds that events make, by the words of docs/produce.md and docs/read.md alone: an oracle without code of the pipeline."""

from collections import defaultdict
from collections.abc import Iterable

from tests.engines.events import Event

Shown = tuple[int, str]
"""A post in a feed: its id and its text."""

_BEGINS = {"followed", "blocked", "muted", "suspended", "taken_down"}
_ENDS = {"unfollowed": "followed", "unblocked": "blocked", "unmuted": "muted", "reinstated": "suspended"}
_EVERYWHERE = ""


class Model:
    """What events have said so far; they may come in any order, and any number of times."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._facts: dict[tuple[object, ...], tuple[int, bool]] = {}
        """What holds between whom: since when, and whether it has ended. The newest word counts."""
        self._restored: dict[int, int] = {}
        self._published: dict[int, dict[int, Event]] = defaultdict(dict)
        """By author and post."""
        self._edits: dict[tuple[int, str], tuple[int, str]] = {}
        self._deleted: set[int] = set()
        self._regions: dict[int, tuple[int, str]] = {}
        self.take(events)

    def take(self, events: Iterable[Event]) -> None:
        """Hear these events."""
        for event in events:
            getattr(self, "_" + event["topic"].replace(".", "_"))(event)

    def _reader_marks(self, event: Event) -> None:
        """Who has lapsed has the same feed; only how it comes about is another."""

    def feed(self, reader: int) -> list[Shown]:
        """The posts the reader has to see, newest first."""
        seen = [
            (post_id, self._shown(post, "body"))
            for author, posts in self._published.items()
            if author == reader or self._hears(reader, author)
            for post_id, post in posts.items()
            if self._visible(reader, post)
        ]
        return sorted(seen, reverse=True)

    def follows(self, reader: int, author: int) -> bool:
        """Whether the reader follows the author now."""
        return self._holds("followed", reader, author)

    def _hears(self, reader: int, author: int) -> bool:
        return (
            self.follows(reader, author)
            and not self._holds("suspended", author)
            and not self._holds("muted", reader, author)
            and not self._holds("blocked", reader, author)
            and not self._holds("blocked", author, reader)
        )

    def _visible(self, reader: int, post: Event) -> bool:
        post_id = post["post_id"]
        region = self._regions.get(reader, (0, ""))[1]
        if post_id in self._deleted or self._down(post_id, _EVERYWHERE):
            return False
        if region and self._down(post_id, region):
            return False
        return post["author_id"] == reader or self._shown(post, "visibility") != "private"

    def _holds(self, *fact: object) -> bool:
        return not self._facts.get(fact, (0, True))[1]

    def _down(self, post_id: int, region: str) -> bool:
        fact = ("taken_down", post_id, region)
        return self._holds(*fact) and self._facts[fact][0] > self._restored.get(post_id, 0)

    def _shown(self, post: Event, name: str) -> str:
        edit = self._edits.get((post["post_id"], name))
        text: str = edit[1] if edit is not None else post.get(name, "public")
        return text

    def _say(self, at: int, ended: bool, *fact: object) -> None:
        self._facts[fact] = max(self._facts.get(fact, (0, False)), (at, ended))

    def _accounts(self, event: Event) -> None:
        reader = event["user_id"]
        self._regions[reader] = max(self._regions.get(reader, (0, "")), (event["at"], event["region"]))

    def _follows(self, event: Event) -> None:
        for reader in event["follower_ids"]:
            self._say(event["at"], event["type"] != "followed", "followed", reader, event["author_id"])

    def _posts(self, event: Event) -> None:
        post_id = event["post_id"]
        if event["type"] == "published":
            self._published[event["author_id"]][post_id] = event
        elif event["type"] == "deleted":
            self._deleted.add(post_id)
        else:
            for name in ("body", "visibility"):
                if name in event:
                    edit = event["at"], event[name]
                    self._edits[post_id, name] = max(self._edits.get((post_id, name), edit), edit)

    def _activity(self, event: Event) -> None:
        """Activity changes no feed."""

    def _moderation(self, event: Event) -> None:
        kind, at = event["type"], event["at"]
        ended = kind not in _BEGINS
        if kind == "restored" and not event.get("regions"):
            self._restored[event["post_id"]] = max(at, self._restored.get(event["post_id"], 0))
        elif kind in ("taken_down", "restored"):
            for region in event.get("regions") or (_EVERYWHERE,):
                self._say(at, ended, "taken_down", event["post_id"], region)
        else:
            reader = (event["reader_id"],) if "reader_id" in event else ()
            self._say(at, ended, _ENDS.get(kind, kind), *reader, event["author_id"])

"""Every page of every reader against the model: what is missing, there twice, or must not be there."""

import http.client
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson

from tests.engines.harness import Instance
from tests.engines.model import Model, Shown

WALKERS = 4
PAGE = 100

ANSWER_S = 60.0
"""How long a page may be refused: an API or a store that was just started again."""

MAX_FEED = 100_000
"""Posts after which a feed that does not end is called endless."""


@dataclass
class Found:
    """What a check found: deliveries it compared, and what is wrong as (reader, post)."""

    checked: int = 0
    pages: int = 0
    missing: list[tuple[int, int]] = field(default_factory=list)
    duplicates: list[tuple[int, int]] = field(default_factory=list)
    forbidden: list[tuple[int, int]] = field(default_factory=list)
    misordered: list[tuple[int, int]] = field(default_factory=list)
    stale: list[tuple[int, int]] = field(default_factory=list)
    """Shown with another text than that of its newest edit."""

    @property
    def clean(self) -> bool:
        """Whether every feed was right."""
        return not any(self.wrong.values())

    @property
    def wrong(self) -> dict[str, list[tuple[int, int]]]:
        """What is wrong, by how."""
        kinds = ("missing", "duplicates", "forbidden", "misordered", "stale")
        return {kind: getattr(self, kind) for kind in kinds}

    def compare(self, reader: int, feed: Sequence[Shown], expected: Sequence[Shown]) -> None:
        """One reader's feed as it came, and as it has to be."""
        self.checked += len(expected)
        if feed == expected:
            return
        shown, wanted = dict(feed), dict(expected)
        ids = [post for post, _ in feed]
        seen: set[int] = set()
        for before, post in zip([None, *ids], ids, strict=False):
            if post in seen:
                self.duplicates.append((reader, post))
            elif before is not None and post > before:
                self.misordered.append((reader, post))
            seen.add(post)
        self.missing += [(reader, post) for post in wanted if post not in shown]
        self.forbidden += [(reader, post) for post in shown if post not in wanted]
        self.stale += [(reader, p) for p, text in shown.items() if p in wanted and wanted[p] != text]


def check(instance: Instance, readers: Sequence[int], model: Model) -> Found:
    """Walk the whole feed of each of these readers; everything published has to be processed before."""
    found = Found()
    shares = [readers[number::WALKERS] for number in range(WALKERS)]
    with ThreadPoolExecutor(WALKERS, "walk") as pool:
        for feeds in pool.map(lambda share: [*_feeds(instance.api, share)], shares):
            for reader, feed in feeds:
                found.compare(reader, feed, model.feed(reader))
                found.pages += 1 + len(feed) // PAGE
    return found


def _feeds(api: str, readers: Sequence[int]) -> Iterator[tuple[int, list[Shown]]]:
    """Each reader's whole feed, page by page, over one connection."""
    connection = http.client.HTTPConnection(urlsplit(api).netloc, timeout=ANSWER_S)
    try:
        for reader in readers:
            feed: list[Shown] = []
            cursor: str | None = ""
            while cursor is not None and len(feed) < MAX_FEED:
                query = urlencode({"limit": PAGE} | ({"cursor": cursor} if cursor else {}))
                page = _answer(connection, f"/v1/readers/{reader}/timeline?{query}")
                feed += [(int(item["post_id"]), item["body"]) for item in page["items"]]
                cursor = page["next_cursor"]
            yield reader, feed
    finally:
        connection.close()


PATIENT = {"Request-Timeout-Ms": "10000"}
"""As much time as the API allows: a page that is cut short for want of it is asked for with more, not believed."""


def _answer(connection: http.client.HTTPConnection, path: str) -> dict[str, Any]:
    """What the API says in the end: a refused page is asked for again, as clients do."""
    deadline = time.monotonic() + ANSWER_S
    while True:
        try:
            connection.request("GET", path, headers=PATIENT)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            problem = repr(error)
        else:
            if answer.status == 200:
                page: dict[str, Any] = orjson.loads(body)
                return page
            problem = f"{answer.status}: {body.decode(errors='replace')}"
        assert time.monotonic() < deadline, f"{path}: {problem}"
        time.sleep(0.2)

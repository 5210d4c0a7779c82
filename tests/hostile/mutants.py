"""Hostile records: the examples of all schemas, changed in every way that somebody else's clock, client or code changes them.

A record's `fate` is what has to become of it. It is known from how the record was made, never asked of the
pipeline: nothing here shares code with it, and bytes are made by fastavro alone. Ids are above 2**61, each record
has its own, and post ids have the upper half of a millisecond's sequences: ordinary readers, authors and posts are
others, so the model of the ordinary feeds stays right.
"""

import io
import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

SCHEMAS = Path(__file__).parents[2] / "schemas"
EPOCH_MS = 1_577_836_800_000
HOUR_MS = 3_600_000
FIRST_ID = 1 << 61
BOMB_BYTES = 24 * 1024 * 1024

Record = dict[str, Any]
Headers = list[tuple[str, bytes]]


class Fate(StrEnum):
    """What has to become of a record."""

    TAKEN = "taken"
    """Processed: no dead letter."""
    REFUSED = "refused"
    """A dead letter, of one of the reasons that go with it."""
    EITHER = "either"
    """One or the other; a dead letter has a reason."""
    UNSEEN = "unseen"
    """Of a transaction that was not committed: as if it had not been sent."""


@dataclass(frozen=True)
class Mutant:
    """A record to send, and what must become of it. `partition` None: by its key."""

    kind: str
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    fate: Fate
    reasons: frozenset[str] = frozenset()
    partition: int | None = None
    post: tuple[int, int] | None = None
    """Of a post that is taken: its id and its author."""


KINDS: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "accounts": ("account_event", ("registered", "updated"), "user_id"),
    "follows": ("follow_event", ("followed", "unfollowed"), "author_id"),
    "posts": ("post_event", ("published", "edited", "deleted"), "author_id"),
    "activity": ("activity_event", ("opened", "engaged", "hidden", "unhidden"), "reader_id"),
    "moderation": ("moderation_event", ("blocked", "muted", "suspended", "taken_down", "restored"), ""),
    "policy": ("policy_event", ("unblocked", "unmuted", "reinstated"), ""),
    "timeline.requests": ("timeline_request", ("",), "reader_id"),
}
"""By input topic: its schema, the types of its events, and the field that is the key."""

PARTITIONS = 1
"""A partition that every topic has, and the keys of most records have not."""

OURS = ("retracted", "warmed", "lapsed", "rebuild")
"""Types of the pipeline's own events."""


class Mutants:
    """Draws records from a seed. `now_ms`: the clock of the ordinary; `victim`: by type of event, a post of theirs."""

    def __init__(self, seed: int, now_ms: Callable[[], int], victim: Callable[[str], int | None]) -> None:
        self._random, self._now_ms, self._victim = random.Random(f"hostile {seed}"), now_ms, victim
        self._ids = count(FIRST_ID + (self._random.getrandbits(32) << 20))
        self._schemas = {path.stem: json.loads(path.read_text()) for path in sorted(SCHEMAS.glob("*.avsc"))}
        self._parsed = {name: fastavro.parse_schema(schema) for name, schema in self._schemas.items()}
        self._prints = {
            name: bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))
            for name, schema in self._schemas.items()
        }
        self._examples = {name: _example(name, schema) for name, schema in self._schemas.items()}
        self._inputs = {schema for schema, _, _ in KINDS.values()}

    def __iter__(self) -> Iterator[Mutant]:
        ways = [self._fields, self._bytes, self._headers, self._places, self._clean]
        while True:
            (way,) = self._random.choices(ways, [8, 3, 2, 1, 6])
            yield way(self._random.choice([*KINDS]))

    # Records as they should be

    def _fresh(self, topic: str) -> tuple[Record, str]:
        """A right record of now about ids of its own, and the field that is its key."""
        name, types, key = KINDS[topic]
        now, a, b = self._now_ms(), next(self._ids), next(self._ids)
        record = dict(self._examples[name])
        kind = self._random.choice(types)
        post = self._post_id(now)
        match topic:
            case "timeline.requests":
                return record | {
                    "request_id": f"hostile-{a}",
                    "reader_id": a,
                    "reply_to": "timeline.replies",
                }, key
            case "accounts":
                record |= {"type": kind, "user_id": a, "at": now, "region": "eu", "changed": None}
            case "follows":
                record |= {"type": kind, "author_id": a, "follower_ids": [b], "at": now}
            case "posts":
                record |= {"type": kind, "post_id": post, "author_id": a, "at": now}
                if kind == "deleted":
                    record |= dict.fromkeys(("visibility", "region", "body", "media"))
            case "activity":
                about = (
                    {"author_id": None, "post_id": None}
                    if kind == "opened"
                    else {"author_id": b, "post_id": post}
                )
                record |= {"type": kind, "reader_id": a, "at": now, **about}
            case "moderation" | "policy":
                empty = {"reader_id": None, "author_id": None, "post_id": None, "regions": []}
                about, key = {
                    "suspended": ({"author_id": a}, "author_id"),
                    "reinstated": ({"author_id": a}, "author_id"),
                    "taken_down": ({"post_id": post, "regions": ["eu"]}, "post_id"),
                    "restored": ({"post_id": post}, "post_id"),
                }.get(kind, ({"reader_id": a, "author_id": b}, "reader_id"))
                record |= {"type": kind, "at": now, **empty, **about}
        return record, key

    def _post_id(self, at: int) -> int:
        return (at - EPOCH_MS) << 22 | 1 << 21 | self._random.getrandbits(21)

    def _encoded(self, name: str, record: Record) -> bytes:
        out = io.BytesIO()
        out.write(b"\xc3\x01" + self._prints[name])
        fastavro.schemaless_writer(out, self._parsed[name], record)
        return out.getvalue()

    def _made(
        self,
        kind: str,
        topic: str,
        record: Record,
        key: str,
        fate: Fate,
        *reasons: str,
        headers: Headers | None = None,
    ) -> Mutant:
        now = self._now_ms()
        given = [("ce_source", b"hostile"), ("origin_ts", b"%d" % now)] if headers is None else headers
        value = self._encoded(KINDS[topic][0], record)
        return Mutant(kind, topic, b"%d" % record[key], value, given, fate, frozenset(reasons))

    def _clean(self, topic: str) -> Mutant:
        record, key = self._fresh(topic)
        made = self._made(f"clean {topic}", topic, record, key, Fate.TAKEN)
        if record.get("type") == "published":
            return replace(made, post=(record["post_id"], record["author_id"]))
        return made

    # Values

    def _fields(self, topic: str) -> Mutant:
        record, key = self._fresh(topic)
        changes = {"timeline.requests": self._request, "posts": self._post, "follows": self._follow}
        if topic in changes and self._random.random() < 0.5:
            return changes[topic](record, key)
        if topic == "timeline.requests":
            return self._request(record, key)
        return self._random.choice([self._time, self._time, self._id, self._type, self._empty])(
            topic, record, key
        )

    def _time(self, topic: str, record: Record, key: str) -> Mutant:
        """Of other units, or of a clock that is ahead."""
        now = record["at"]
        wrong = {
            "seconds": now // 1000,
            "microseconds": now * 1000,
            "an hour ahead": now + HOUR_MS,
            "a century ahead": now + 100 * 365 * 24 * HOUR_MS,
            "negative": -now,
            "zero": 0,
            "the largest": 2**63 - 1,
        }
        kind = self._random.choice([*wrong])
        return self._made(
            f"time {kind}", topic, record | {"at": wrong[kind]}, key, Fate.REFUSED, "clock", "field"
        )

    def _id(self, topic: str, record: Record, key: str) -> Mutant:
        """That is none."""
        names = [name for name, value in record.items() if name.endswith("_id") and value is not None]
        name, wrong = self._random.choice(names), self._random.choice([0, -1, -(2**63)])
        return self._made(
            f"{name} {wrong}", topic, record | {name: wrong}, key, Fate.REFUSED, "field", "clock"
        )

    def _type(self, topic: str, record: Record, key: str) -> Mutant:
        """That nobody knows, or that the pipeline has for itself."""
        wrong = self._random.choice(["", "publishd", "x" * 100_000, "\x1b[2J\nforged", *OURS])
        return self._made(f"type {wrong[:10]!r}", topic, record | {"type": wrong}, key, Fate.REFUSED, "type")

    def _empty(self, topic: str, record: Record, key: str) -> Mutant:
        """Without what its type needs; where all of it can be empty, an id is none."""
        names = [
            name
            for name in ("author_id", "post_id", "reader_id")
            if topic in ("activity", "moderation", "policy")
        ]
        names = [name for name in names if record.get(name) is not None and name != key]
        nullable = [name for name in names if topic != "activity" or name != "reader_id"]
        if not nullable:
            return self._id(topic, record, key)
        return self._made("missing field", topic, record | {nullable[0]: None}, key, Fate.REFUSED, "field")

    def _post(self, record: Record, key: str) -> Mutant:
        record |= {"type": "published"} | {
            name: record[name] or self._examples["post_event"][name]
            for name in ("visibility", "region", "body", "media")
        }
        now, kind = record["at"], self._random.choice(["edited", "deleted", "published"])
        if (victim := self._victim(kind)) is not None and self._random.random() < 0.2:
            body = {} if kind != "deleted" else dict.fromkeys(("visibility", "region", "body", "media"))
            theirs = record | {"type": kind, "post_id": victim, **body}
            return self._made(f"{kind} another's post", "posts", theirs, key, Fate.EITHER)
        wrong: dict[str, tuple[Record, str]] = {
            "unknown visibility": ({"visibility": "friends"}, "field"),
            "body too large": ({"body": "ü" * 32_769}, "field"),
            "region too long": ({"region": "r" * 17}, "field"),
            "too many media": ({"media": [{"k": "v"}] * 17}, "field"),
            "media too large": ({"media": [{"k": "v" * 2049}]}, "field"),
            "id of tomorrow": ({"post_id": self._post_id(now + 24 * HOUR_MS)}, "clock"),
            "id of another time": ({"post_id": self._post_id(now - 2 * HOUR_MS)}, "clock"),
            "older than the window": (
                {"at": now - 400 * 24 * HOUR_MS, "post_id": self._post_id(now - 400 * 24 * HOUR_MS)},
                "clock",
            ),
        }
        late = {"an hour late": HOUR_MS, "six hours late": 6 * HOUR_MS}
        kind = self._random.choice([*wrong, *late])
        if kind in late:
            at = now - late[kind]
            record |= {"at": at, "post_id": self._post_id(at)}
            made = self._made(kind, "posts", record, key, Fate.TAKEN)
            return replace(made, post=(record["post_id"], record["author_id"]))
        change, reason = wrong[kind]
        return self._made(kind, "posts", record | change, key, Fate.REFUSED, reason)

    def _follow(self, record: Record, key: str) -> Mutant:
        author = record["author_id"]
        wrong = {
            "nobody follows": [],
            "oneself": [author],
            "oneself among others": [next(self._ids), author],
            "twice the same": [next(self._ids)] * 2,
            "1,001 followers": [next(self._ids) for _ in range(1001)],
            "an id that is none": [next(self._ids), 0],
        }
        kind = self._random.choice([*wrong])
        return self._made(kind, "follows", record | {"follower_ids": wrong[kind]}, key, Fate.REFUSED, "field")

    def _request(self, record: Record, key: str) -> Mutant:
        ways: dict[str, tuple[Record, Fate, tuple[str, ...]]] = {
            "asks too much": ({"limit": 2**31 - 1}, Fate.TAKEN, ()),
            "asks for less than nothing": ({"limit": -1}, Fate.TAKEN, ()),
            "mode unknown": ({"mode": "\x00worst"}, Fate.TAKEN, ()),
            "cursor forged": ({"cursor": "A" * 10_000}, Fate.TAKEN, ()),
            "reader is none": ({"reader_id": 0}, Fate.TAKEN, ()),
            "reply to posts": ({"reply_to": "posts"}, Fate.REFUSED, ("reply_to",)),
            "reply to nowhere": ({"reply_to": "timeline.replies.of.nobody"}, Fate.REFUSED, ("reply_to",)),
            "reply to a name that is none": (
                {"reply_to": "timeline.replies/../posts"},
                Fate.REFUSED,
                ("reply_to",),
            ),
            "request_id too long": ({"request_id": "r" * 100_000}, Fate.REFUSED, ("field",)),
        }
        kind = self._random.choice([*ways])
        change, fate, reasons = ways[kind]
        return self._made(kind, "timeline.requests", record | change, key, fate, *reasons)

    # Bytes

    def _bytes(self, topic: str) -> Mutant:
        record, key = self._fresh(topic)
        made = self._made("", topic, record, key, Fate.REFUSED, "codec")
        right, name = made.value or b"", KINDS[topic][0]
        other = self._random.choice([one for one in self._schemas if one not in self._inputs])
        ways: dict[str, bytes | None] = {
            "truncated": right[: self._random.randrange(1, len(right))],
            "garbage": self._random.randbytes(self._random.randrange(1, 2000)),
            "empty": b"",
            "a tombstone": None,
            "JSON": json.dumps(record).encode(),
            "fingerprint of nothing": right[:2] + self._random.randbytes(8) + right[10:],
            "another record": self._encoded(other, self._examples[other]),
            "of another topic": self._encoded(*self._elsewhere(name)),
            "bare Avro": right[10:],
            "an endless length": right[:10] + b"\xff" * 9 + b"\x01",
        }
        kind = self._random.choice([*ways])
        return replace(made, kind=f"bytes: {kind}", value=ways[kind])

    def _elsewhere(self, name: str) -> tuple[str, Record]:
        other = self._random.choice([one for one in sorted(self._inputs) if one != name])
        return other, self._examples[other]

    def bomb(self) -> Mutant:
        """What gzip makes small: no record, at any size."""
        record, key = self._fresh("posts")
        made = self._made("bomb", "posts", record, key, Fate.REFUSED)
        return replace(made, value=bytes(BOMB_BYTES))

    # Headers, keys, partitions

    def _headers(self, topic: str) -> Mutant:
        record, key = self._fresh(topic)
        now = self._now_ms()
        ahead = b"%d" % (now + HOUR_MS)
        ways: dict[str, tuple[Headers, Fate, tuple[str, ...]]] = {
            "origin_ts ahead": ([("origin_ts", ahead)], Fate.REFUSED, ("clock",)),
            "origin_ts in microseconds": ([("origin_ts", ahead + b"000")], Fate.REFUSED, ("clock",)),
            "ce_time ahead": ([("ce_time", b"2150-01-01T00:00:00Z")], Fate.REFUSED, ("clock",)),
            "origin_ts long ago": ([("origin_ts", b"%d" % (now - 24 * HOUR_MS))], Fate.TAKEN, ()),
            "origin_ts no number": ([("origin_ts", b"\xff\xfe")], Fate.TAKEN, ()),
            "not UTF-8": ([("ce_source", b"\xff\xfe\xc3("), ("traceparent", b"\x80")], Fate.TAKEN, ()),
            "pretending": ([("ce_source", b"tideline/classify")], Fate.TAKEN, ()),
            "ours": (
                [
                    ("tideline_appended_at", b"1"),
                    ("tideline_entered_at", ahead),
                    ("__streams.errors.topic", b"x"),
                ],
                Fate.EITHER,
                (),
            ),
            "very many": ([(f"h{n}", b"v" * 50) for n in range(1000)], Fate.EITHER, ()),
            "twice the same": ([("ce_id", b"1"), ("ce_id", b"\n2")], Fate.TAKEN, ()),
            "none": ([], Fate.TAKEN, ()),
        }
        kind = self._random.choice([*ways])
        headers, fate, reasons = ways[kind]
        return self._made(f"headers: {kind}", topic, record, key, fate, *reasons, headers=headers)

    def _places(self, topic: str) -> Mutant:
        record, key = self._fresh(topic)
        made = self._made("", topic, record, key, Fate.EITHER)
        keys = {
            "no key": None,
            "key of nobody": b"\xff\x00",
            "huge key": b"k" * 50_000,
            "another's key": b"7",
        }
        kind = self._random.choice([*keys, "partition of others"])
        if kind in keys:
            return replace(made, kind=kind, key=keys[kind])
        return replace(made, kind=kind, partition=PARTITIONS)


def _example(name: str, schema: Record) -> Record:
    """Bytes are text in JSON."""
    found = json.loads((SCHEMAS / "examples" / f"{name}.json").read_text())
    binary = [one["name"] for one in schema["fields"] if one["type"] == "bytes"]
    return found | {one: found[one].encode() for one in binary}

"""What an event may look like: JSON-shaped values in, `Accepted` or `Rejected` out.

Every field is checked, every unknown one refused by name. Ids are 64-bit integers or decimal strings, times
milliseconds; an event without a time (`at`, `created_at`) is of now. What is accepted can be encoded.
Services also send records of their own making: those are held against the same shapes by `checked`, see
`admission`, so that what is refused here is refused there.

    accounts  registered             user_id, region "", protected false, at
              updated                user_id, at; region, protected if changed
              erased                 user_id, at
    follows   followed, unfollowed   author_id, follower_id or follower_ids (at most 1,000), at
    posts     published              author_id, created_at, body, post_id (else one is made here),
                                     visibility public, region "", media [], imported false,
                                     made false: whether the id was made of what the post says
              edited                 post_id, author_id, at; visibility, region, body, media if changed
              deleted                post_id, author_id, at
    activity  opened                 reader_id, at
              engaged                reader_id, author_id, post_id, at
              hidden, unhidden       reader_id, author_id, post_id, at
    moderation  blocked, unblocked   reader_id, author_id, at
              muted, unmuted         reader_id, author_id, at
              suspended, reinstated  author_id, at
              taken_down, restored   post_id, regions [] (everywhere), at
"""

import dataclasses
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

from pipeline.domain import fields, made_ids, snowflake
from pipeline.domain.fields import FieldError
from pipeline.wire.enums import EventType
from pipeline.wire.records import AccountEvent, ActivityEvent, FollowEvent, ModerationEvent, PostEvent

Event = AccountEvent | FollowEvent | PostEvent | ActivityEvent | ModerationEvent
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Accepted:
    """An event, the topic it belongs to, and the key that keeps it in order with its kind."""

    topic: str
    key: bytes
    record: Event

    @property
    def event_id(self) -> str:
        """The same for the same event, however often it is published; other events have others."""
        return f"{self.topic}:{self.key.decode()}:{self.record.type}:{self.record.at}:{_about(self.record)}"


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why a value is not an event. `field` is empty when it is about the value as a whole."""

    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}" if self.field else self.reason


def parse(value: object, *, default_topic: str | None, now_ms: int | None = None) -> Accepted | Rejected:
    """The event this value describes. `default_topic` is for values that do not name their topic.

    `now_ms`: the time of an event that names none; without it every event must name its time. A published
    post without a post_id gets one, see `made_ids`. Never raises for any value.
    """
    if not isinstance(value, dict):
        return Rejected("", "must be a JSON object")
    topic, kind = value.get("topic", default_topic), value.get("type")
    if isinstance(topic, str):
        topic = RENAMED.get(topic, topic)
    if not isinstance(topic, str) or topic not in _SHAPES:
        return Rejected("topic", f"must be one of {', '.join(_SHAPES)}")
    if not isinstance(kind, str) or kind not in _SHAPES[topic]:
        return Rejected("type", f"must be one of {', '.join(_SHAPES[topic])} on topic {topic}")
    shape = _SHAPES[topic][kind]
    outcome = _read(shape, value, now_ms)
    if isinstance(outcome, Rejected):
        return outcome
    record = shape.record(kind, **outcome)
    return Accepted(topic, b"%d" % getattr(record, shape.key), record)


def checked(record: Event) -> Event | Rejected:
    """A record that came as one, as `parse` would have made it, or why it would not have.

    A field that its type does not have must be empty. A published post without a visibility is public, as a
    line without one is.
    """
    topic, kinds = next(
        (topic, _SHAPES[topic]) for topic, kind in _RECORDS.items() if isinstance(record, kind)
    )
    shape = kinds.get(record.type)
    if shape is None:
        return Rejected("type", f"must be one of {', '.join(kinds)} on topic {topic}")
    outcome = _read(shape, _given(record, shape), None)
    return outcome if isinstance(outcome, Rejected) else shape.record(record.type, **outcome)


def _given(record: Event, shape: "_Shape") -> Fields:
    """The fields of a record, as a line has them."""
    given: Fields = {}
    for one in dataclasses.fields(record):
        value = getattr(record, one.name)
        if value not in (one.default, shape.defaults.get(one.name, one.default)):
            given[one.name] = list(value) if isinstance(value, tuple) else value
    if "created_at" in shape.checks:
        given["created_at"] = given.pop("at")
    if isinstance(record, AccountEvent) and record.type == EventType.UPDATED and record.changed is not None:
        settings = {name: getattr(record, name, None) for name in given.pop("changed", ())}
        given = {"user_id": record.user_id, "at": record.at, **settings}
    return given


def _as_read(read: Fields) -> Fields | Rejected:
    return read


@dataclass(frozen=True, slots=True)
class _Shape:
    """One type of event: its record, the record's field that is the key, and the check of each field.

    `defaults`: the fields that may be left out. `finish` makes what was read into what the record takes.
    """

    record: Callable[..., Event]
    key: str
    checks: Mapping[str, Callable[[Any], Any]]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    finish: Callable[[Fields], Fields | Rejected] = _as_read


def _read(shape: _Shape, value: Mapping[Any, Any], now_ms: int | None) -> Fields | Rejected:
    read: Fields = dict(shape.defaults)
    if now_ms is not None:
        read |= {name: now_ms for name in _TIMES if name in shape.checks}
    for name, given in value.items():
        if name in ("topic", "type"):
            continue
        check = shape.checks.get(name)
        if check is None:
            return Rejected(str(name)[:64], f"unknown; this type has {', '.join(shape.checks)}")
        try:
            read[name] = check(given)
        except FieldError as wrong:
            return Rejected(name, str(wrong))
    for name in shape.checks:
        if name not in read:
            return Rejected(name, "is missing")
    return shape.finish(read)


def _updated(read: Fields) -> Fields | Rejected:
    """Which settings are named, if not all; the others are not changed, whatever the record has for them."""
    unnamed = {name: empty for name, empty in _SETTINGS.items() if read[name] is None}
    named = tuple(name for name in _SETTINGS if name not in unnamed)
    return {**read, **unnamed, "changed": named if unnamed else None}


def _follow(read: Fields) -> Fields | Rejected:
    """One follower or many, in either case as `follower_ids`."""
    one, many = read.pop("follower_id"), read.pop("follower_ids")
    if (one is None) == (many is None):
        return Rejected("follower_id", "give either follower_id or follower_ids")
    read["follower_ids"] = many or (one,)
    if read["author_id"] in read["follower_ids"]:
        return Rejected("follower_id" if many is None else "follower_ids", "nobody follows themselves")
    return read


def _published(read: Fields) -> Fields | Rejected:
    read["at"] = read.pop("created_at")
    if read["post_id"] is None:
        if not snowflake.EPOCH_MS <= read["at"] <= snowflake.time_ms(snowflake.MAX_ID):
            return Rejected("created_at", "must be from 2020 to 2089 for a post without a post_id")
        digest = made_ids.digest_of(read["author_id"], read["at"], read["body"], read["media"])
        read |= {"post_id": made_ids.post_id_of(digest, read["at"]), "made": True}
    return read


def _relation(read: Fields) -> Fields | Rejected:
    if read["author_id"] == read["reader_id"]:
        return Rejected("author_id", "must not be the reader")
    return read


def _about(record: Event) -> str:
    """What tells apart two events of one topic, key, type and millisecond."""
    match record:
        case AccountEvent():
            changed = _SETTINGS if record.type == EventType.UPDATED else ()
            named = (f"{name}={getattr(record, name)}" for name in changed if record.sets(name))
            return ":".join((str(record.user_id), *named))
        case FollowEvent(follower_ids=(follower,)):
            return str(follower)
        case FollowEvent(follower_ids=many):
            return blake2b(struct.pack(f">{len(many)}q", *many), digest_size=8).hexdigest()
        case PostEvent(type=EventType.EDITED):
            edit = repr((record.visibility, record.region, record.body, record.media))
            return f"{record.post_id}:{blake2b(edit.encode(), digest_size=8).hexdigest()}"
        case PostEvent():
            return str(record.post_id)
        case ActivityEvent():
            return f"{record.author_id or ''}:{record.post_id or ''}"
        case ModerationEvent():
            return f"{record.author_id or ''}:{record.post_id or ''}:{','.join(record.regions)}"


_ID, _TIME = fields.identifier, fields.time
_TIMES = ("at", "created_at")
_OF_A_POST = {"post_id": _ID, "author_id": _ID, "at": _TIME}
_SHOWN = {
    "visibility": fields.visibility,
    "region": fields.region,
    "body": fields.body,
    "media": fields.media,
}

_SETTINGS: Fields = {"region": "", "protected": False}
_ACCOUNT = _Shape(
    AccountEvent,
    "user_id",
    {"user_id": _ID, "at": _TIME, "region": fields.region, "protected": fields.flag},
    _SETTINGS,
)
_UPDATED = replace(_ACCOUNT, finish=_updated, defaults=dict.fromkeys(_SETTINGS))
_ERASED = _Shape(AccountEvent, "user_id", {"user_id": _ID, "at": _TIME}, _SETTINGS)
_FOLLOW = _Shape(
    FollowEvent,
    "author_id",
    {"author_id": _ID, "follower_id": _ID, "follower_ids": fields.followers, "at": _TIME},
    {"follower_id": None, "follower_ids": None},
    _follow,
)
_PUBLISHED = _Shape(
    PostEvent,
    "author_id",
    {
        "post_id": _ID,
        "author_id": _ID,
        "created_at": _TIME,
        **_SHOWN,
        "imported": fields.flag,
        "made": fields.flag,
    },
    {"post_id": None, "visibility": "public", "region": "", "media": (), "imported": False, "made": False},
    _published,
)
_EDITED = _Shape(PostEvent, "author_id", {**_OF_A_POST, **_SHOWN}, dict.fromkeys(_SHOWN))
_DELETED = _Shape(PostEvent, "author_id", _OF_A_POST)
_OPENED = _Shape(ActivityEvent, "reader_id", {"reader_id": _ID, "at": _TIME})
_OF_A_READER_WITH_A_POST = _Shape(ActivityEvent, "reader_id", {"reader_id": _ID, **_OF_A_POST})
_RELATION = _Shape(
    ModerationEvent, "reader_id", {"reader_id": _ID, "author_id": _ID, "at": _TIME}, finish=_relation
)
_SUSPENSION = _Shape(ModerationEvent, "author_id", {"author_id": _ID, "at": _TIME})
_TAKE_DOWN = _Shape(
    ModerationEvent, "post_id", {"post_id": _ID, "regions": fields.regions, "at": _TIME}, {"regions": ()}
)

_SHAPES: Mapping[str, Mapping[str, _Shape]] = {
    "accounts": {EventType.REGISTERED: _ACCOUNT, EventType.UPDATED: _UPDATED, EventType.ERASED: _ERASED},
    "follows": {EventType.FOLLOWED: _FOLLOW, EventType.UNFOLLOWED: _FOLLOW},
    "posts": {EventType.PUBLISHED: _PUBLISHED, EventType.EDITED: _EDITED, EventType.DELETED: _DELETED},
    "activity": {
        EventType.OPENED: _OPENED,
        **dict.fromkeys((EventType.ENGAGED, EventType.HIDDEN, EventType.UNHIDDEN), _OF_A_READER_WITH_A_POST),
    },
    "moderation": {
        **dict.fromkeys(
            (EventType.BLOCKED, EventType.UNBLOCKED, EventType.MUTED, EventType.UNMUTED), _RELATION
        ),
        **dict.fromkeys((EventType.SUSPENDED, EventType.REINSTATED), _SUSPENSION),
        **dict.fromkeys((EventType.TAKEN_DOWN, EventType.RESTORED), _TAKE_DOWN),
    },
}

_RECORDS: Mapping[str, type[Event]] = {
    "accounts": AccountEvent,
    "follows": FollowEvent,
    "posts": PostEvent,
    "activity": ActivityEvent,
    "moderation": ModerationEvent,
}

TOPICS = tuple(_SHAPES)
"""The topics events may be published to."""

RENAMED = {"policy": "moderation"}
"""Topics by the name they had before: for one release taken for the new one, and read."""

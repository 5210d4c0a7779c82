"""The messages that carry a post, from every topic on its path, and how far those who process them are."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.domain import snowflake
from pipeline.kafka.bounds import Partition
from pipeline.kafka.messages import DEAD_LETTERS, Incoming
from pipeline.kafka.offsets import Offsets
from pipeline.kafka.spans import Spans, spans
from pipeline.path import RECORDS, tier_stage
from pipeline.topology import Topology
from pipeline.wire.codec import CodecError, decode
from pipeline.wire.enums import EventType
from pipeline.wire.headers import ERRORS, origin_ts
from pipeline.wire.records import ClassifiedPost, FanoutTask, PostEvent


@dataclass(frozen=True, slots=True)
class Hop:
    """A message about the post. `stage`: who processes it, "" if none of ours. `done` None: unknown.

    `before`: records that are processed first. A task pushes to `segments`, first and last. `rest`: it is
    what was left of another one.
    """

    stage: str
    what: str
    topic: str
    partition: int
    offset: int
    at_ms: int
    done: bool | None = None
    before: int | None = None
    segments: tuple[int, int] | None = None
    rest: bool = False


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter about the post: where it is kept, and why."""

    partition: int
    offset: int
    at_ms: int
    reason: str
    detail: str
    author_id: int


@dataclass(frozen=True, slots=True)
class Looked:
    """What the topics hold. `followers` as they were when the post was classified."""

    hops: tuple[Hop, ...]
    letters: tuple[Letter, ...]
    cut: tuple[str, ...]
    author_id: int | None
    followers: int | None


def look(bootstrap: str, topology: Topology, post_id: int, records: int) -> Looked:
    """Read what every topic on the path holds of the post since the time of its id."""
    stages = _stages(topology)
    with Offsets(bootstrap) as offsets:
        positions = offsets.committed(
            {group: topology.places([topic]) for topic, (_, group) in stages.items()}
        )
    kafka = {topology.topics[topic].name: topic for topic in (*stages, "posts.classified")}
    committed = {place: position for (_, place), position in positions.items()}
    since_ms = snowflake.time_ms(post_id) - topology.routing.clock_ahead_ms
    with spans(bootstrap) as reader:
        messages, cut = _since(reader, topology.places(kafka.values()), since_ms, records, _about(post_id))
        found = [(one, record) for one in messages if (record := _record(one, kafka, post_id)) is not None]
        letters, more = _letters(reader, topology, since_ms, records, post_id, kafka)
    hops = [
        _hop(message, record, stages.get(kafka[message.topic], ("", ""))[0], committed)
        for message, record in found
    ]
    order = [*stages, "posts.classified"]
    hops.sort(key=lambda hop: (hop.at_ms, order.index(kafka[hop.topic]), hop.partition, hop.offset))
    authors = [*(record.author_id for _, record in found), *(letter.author_id for letter in letters)]
    return Looked(
        tuple(hops),
        tuple(letters),
        tuple(sorted({topic for topic, _ in (*cut, *more)})),
        authors[0] if authors else None,
        next((record.followers for _, record in found if isinstance(record, ClassifiedPost)), None),
    )


def _stages(topology: Topology) -> dict[str, tuple[str, str]]:
    """By topic that a post goes through, the stage that processes it, and its group."""
    tiers = {tier.topic: (tier_stage(name), tier.group) for name, tier in topology.tiers.items()}
    return {"posts": ("classify", topology.stages["classify"].group), **tiers}


def _since(
    reader: Spans,
    places: Iterable[Partition],
    since_ms: int,
    records: int,
    wanted: Callable[[bytes], bool],
) -> tuple[list[Incoming], list[Partition]]:
    """The wanted messages of these partitions since a time, and the partitions that hold more than that."""
    starts = {
        place: start
        for place, start in reader.at_time(dict.fromkeys(places, since_ms)).items()
        if start is not None
    }
    ends = {
        place: end
        for topic in {topic for topic, _ in starts}
        for place, (_, end) in reader.whole(topic).items()
    }
    stretches = {place: (start, min(ends[place], start + records)) for place, start in starts.items()}
    cut = [place for place, (_, end) in stretches.items() if end < ends[place]]
    return [one for one in reader.messages(stretches) if wanted(one.value or b"")], cut


def _about(post_id: int) -> Callable[[bytes], bool]:
    """Whether bytes may be of a record with this id: quick, so that only those few are decoded."""
    needle = zigzag(post_id)
    return lambda value: needle in value


def zigzag(value: int) -> bytes:
    """A 64-bit number as Avro writes it."""
    left = (value << 1 ^ value >> 63) & 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*out, left])


def _record(
    message: Incoming, kafka: Mapping[str, str], post_id: int
) -> PostEvent | ClassifiedPost | FanoutTask | None:
    """What a message says about the post; None when it is about another, or cannot be read."""
    try:
        record: Any = decode(message.value or b"", RECORDS[kafka[message.topic]])
    except CodecError:
        return None
    return record if record.post_id == post_id else None


def _hop(
    message: Incoming,
    record: PostEvent | ClassifiedPost | FanoutTask,
    stage: str,
    committed: Mapping[Partition, int | None],
) -> Hop:
    place = message.topic, message.partition
    what = record.type if isinstance(record, PostEvent) else "classified"
    at_ms = (
        origin_ts(message.headers, message.timestamp_ms)
        if what == EventType.PUBLISHED
        else message.timestamp_ms
    )
    hop = Hop(stage, what, *place, message.offset, at_ms)
    if isinstance(record, FanoutTask):
        source = dict(message.headers).get("ce_source", b"").decode(errors="replace")
        segments = (record.first_segment, record.last_segment)
        hop = replace(hop, what="task", segments=segments, rest=source.endswith(f"/{stage}"))
    if stage and place in committed:
        at = committed[place] or 0  # never committed: from the beginning
        hop = replace(hop, done=hop.offset < at, before=max(0, hop.offset - at))
    return hop


def _letters(
    reader: Spans, topology: Topology, since_ms: int, records: int, post_id: int, kafka: Mapping[str, str]
) -> tuple[list[Letter], list[Partition]]:
    """The dead letters whose bytes are a record about the post."""
    places = topology.places([DEAD_LETTERS])
    found, cut = _since(reader, places, since_ms, records, _about(post_id))
    return list(_read_letters(found, kafka, post_id)), cut


def _read_letters(found: Sequence[Incoming], kafka: Mapping[str, str], post_id: int) -> Iterator[Letter]:
    for message in found:
        said = {
            name.removeprefix(ERRORS): value.decode(errors="backslashreplace")
            for name, value in message.headers
        }
        origin = said.get("topic", "")
        record = _record(replace(message, topic=origin), kafka, post_id) if origin in kafka else None
        if record is not None:
            yield Letter(
                message.partition,
                message.offset,
                message.timestamp_ms,
                said.get("exception", ""),
                said.get("message", ""),
                record.author_id,
            )

"""How `tideline trace` says what it found: as JSON, and a line a hop for people."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pipeline.domain.visibility import is_private
from pipeline.ops.trace import Trace
from pipeline.ops.trace_reached import Reached
from pipeline.ops.trace_topics import Hop
from pipeline.wire.records import AuthorClass


def document(found: Trace) -> dict[str, Any]:
    """A post as JSON. Ids are strings, times ms, null is none or unknown."""
    stored, written, reached = found.stored, found.written, found.reached
    return {
        "post_id": str(found.post_id),
        "author_id": str(found.author_id),
        "published_at": found.published_ms,
        "stored": stored
        and {
            "created_at": stored.created_at,
            "visibility": stored.visibility,
            "deleted": stored.deleted,
            "taken_down": sorted(stored.taken_down),
        },
        "author_suspended": found.suspended,
        "class": found.author_class,
        "reason": found.reason,
        "tier": found.tier,
        "hops": [_hop_document(hop, found.published_ms) for hop in found.hops],
        "segments": {"seen": len(found.segments), "written": len(written)},
        "reached": reached
        and {
            "followers": reached.followers,
            "asked": reached.asked,
            "exact": reached.exact,
            "rows": reached.rows,
            "pull": reached.pull,
            "neither": reached.neither,
        },
        "dead_letters": [
            {
                "partition": letter.partition,
                "offset": letter.offset,
                "kept_at": letter.at_ms,
                "reason": letter.reason,
                "detail": letter.detail,
            }
            for letter in found.letters
        ],
        "cut": list(found.cut),
        "visible_to_all": visible(found),
        "verdict": verdict(found),
    }


def _hop_document(hop: Hop, published_ms: int) -> dict[str, Any]:
    return {
        "what": hop.what,
        "stage": hop.stage or None,
        "topic": hop.topic,
        "partition": hop.partition,
        "offset": hop.offset,
        "at": hop.at_ms,
        "since_publish_ms": hop.at_ms - published_ms,
        "done": hop.done,
        "records_before": hop.before,
        "segments": hop.segments and list(hop.segments),
        "rest": hop.rest,
    }


def lines(found: Trace) -> Iterator[str]:
    """A post for people; the last line says where it is."""
    yield f"post {found.post_id} of author {found.author_id}, published {_when(found.published_ms)}"
    stored = found.stored
    if stored is None:
        yield "  stored      no"
    else:
        where = f", taken down in {', '.join(sorted(stored.taken_down))}" if stored.taken_down else ""
        yield f"  stored      {stored.visibility}{', deleted' if stored.deleted else ''}{where}"
        yield f"  class       {found.author_class}, because {found.reason}; tier {found.tier}"
    for hop in found.hops:
        yield _hop_line(hop, found.published_ms)
    if found.tasks:
        yield f"  segments    {len(found.written):,} of {len(found.segments):,} written"
    if found.reached is not None:
        yield f"  readers     {_reached(found.reached)}"
    for letter in found.letters:
        yield (
            f"  dead letter {letter.partition}@{letter.offset}, {_since(letter.at_ms - found.published_ms)}:"
            f" {letter.reason}: {letter.detail}"
        )
    if found.cut:
        yield f"  not all of {', '.join(found.cut)} was looked through: --records looks further"
    yield verdict(found)


def _hop_line(hop: Hop, published_ms: int) -> str:
    what = hop.what
    if hop.segments is not None:
        first, last = hop.segments
        span = f"segment {first}" if first == last else f"segments {first} to {last}"
        what = f"{'rest' if hop.rest else 'task'}, {span}"
    if not hop.stage:
        state = ""
    elif hop.done is None:
        state = "unknown whether processed"
    else:
        state = "processed" if hop.done else f"waits, {hop.before:,} records before it"
    place = f"{hop.topic} {hop.partition} @{hop.offset}"
    return f"  {_since(hop.at_ms - published_ms):<11} {place:<28} {what:<26} {state}".rstrip()


def _reached(reached: Reached) -> str:
    of = "all" if reached.exact else f"a sample of {reached.asked:,} of"
    waiting = f", {reached.neither:,} neither" if reached.neither else ""
    followers = f"of {of} {reached.followers:,} followers"
    return f"{followers} {reached.rows:,} have the row, {reached.pull:,} pull it{waiting}"


def visible(found: Trace) -> bool | None:
    """Whether everybody who may see the post does; None: not known."""
    stored = found.stored
    if stored is None or found.waiting or _hidden(found):
        return False
    if found.author_class is AuthorClass.PULL:
        return True
    if any(hop.done is None and hop.stage for hop in found.hops):
        return None
    if found.segments - found.written:
        return None
    if found.reached is None:
        return True
    if found.reached.neither:
        return False
    return True if found.tasks or found.reached.exact else None


def verdict(found: Trace) -> str:
    """Where the post is, in one sentence."""
    waiting = found.waiting
    if found.stored is None and found.letters:
        return f"nowhere: it is in the dead letters ({found.letters[-1].reason})"
    if hidden := _hidden(found):
        return f"visible to nobody: {hidden}"
    if waiting:
        first = waiting[0]
        more = f", as do {len(waiting) - 1} other messages of it" if len(waiting) > 1 else ""
        place = f"{first.stage} partition {first.partition}"
        return f"waiting at {place}, {first.before:,} records before it{more}"
    if found.stored is None:
        return (
            "not known: it is in no table, and nothing of it waits; `tideline dlq list` has what was refused"
        )
    known = visible(found)
    if known is None:
        return f"not known: {_unknown(found)}"
    if not known:
        short = found.reached.neither if found.reached else 0
        return f"written, but {short:,} of those asked neither have the row nor pull it: `tideline audit`"
    if found.author_class is AuthorClass.PULL:
        return "visible to all: readers pull it"
    if found.reached is None:
        return "visible to all: the author has no followers"
    return "visible to all: every row is written, and who has none pulls it"


def _hidden(found: Trace) -> str:
    """Why nobody is shown the post; "" when it is not hidden."""
    if found.suspended:
        return "its author is suspended"
    if found.stored is not None and found.stored.deleted:
        return "it is deleted"
    if found.stored is not None and is_private(found.stored.visibility):
        return "it is private"
    return "it is taken down everywhere" if found.stored is not None and found.stored.gone else ""


def _unknown(found: Trace) -> str:
    if any(hop.done is None and hop.stage for hop in found.hops):
        return "Kafka does not say how far the stages are"
    if found.cut:
        return "there are more records since the post than were looked through; --records looks further"
    return "its tasks are not in the topics any more; `tideline audit` looks at rows"


def _since(ms: int) -> str:
    return f"{ms / 1000:+.3f} s" if abs(ms) < 1_000_000 else f"{ms / 1000:+,.0f} s"


def _when(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000).astimezone().isoformat(sep=" ", timespec="milliseconds")[:23]

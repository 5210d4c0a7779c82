"""What is in force, put there and taken back by hand: topics `containment` and `containment.journal`.

Stages go by the topic within a moment, and by `until` whether or not anybody takes a record back. What is
done by hand is never changed by the controller; every step is in the journal, whoever took it.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from pipeline.clock import now_ms
from pipeline.config.names import HOME, Names
from pipeline.control.controller import CONTAINMENT, JOURNAL, announced
from pipeline.control.lag import StageLag
from pipeline.domain.containment import PATHS, READS, Kind, holds
from pipeline.domain.control import REPAIRS, ContainmentChange
from pipeline.errors import ConfigError, TidelineError
from pipeline.kafka.emit import Emit
from pipeline.kafka.outbox import Outbox
from pipeline.kafka.quotas import Quotas
from pipeline.kafka.tail import tail
from pipeline.kafka.view import whole
from pipeline.path import tier_stage
from pipeline.topology import Topology
from pipeline.topology.specs import WORKERS
from pipeline.wire.codec import CodecError, decode
from pipeline.wire.headers import MAX_NAME_BYTES, OURS
from pipeline.wire.records import Containment, JournalEntry


def read(bootstrap: str, names: Names = HOME, *, now_ms: int) -> list[Containment]:
    """What is in force now. Raises EngineError when Kafka does not answer."""
    found = whole(bootstrap, names.topic(CONTAINMENT), Containment)
    return [one for one in found if holds(one, now_ms)]


def journal(bootstrap: str, most: int, names: Names = HOME) -> list[JournalEntry]:
    """The newest entries, oldest first."""
    found: list[JournalEntry] = []
    for message in reversed(tail(bootstrap, names.topic(JOURNAL), most).messages):
        try:
            found.append(decode(message.value or b"", JournalEntry))
        except CodecError:
            continue  # of a version to come
    return found


async def put(bootstrap: str, record: Containment, names: Names = HOME) -> None:
    """Put this in force; returns when the broker has acknowledged it and the entry of the journal.

    Raises ConfigError for a user that somebody else has given a quota: it would be lost.
    """
    if record.kind == Kind.THROTTLE:
        await _unlimited(bootstrap, record.target, names)
    await _announce(bootstrap, [ContainmentChange("started", record)], names, record.since, record.by)


async def _unlimited(bootstrap: str, user: str, names: Names) -> None:
    quota = (await Quotas(bootstrap).all()).get(user)
    ours = {(one.kind, one.target) for one in whole(bootstrap, names.topic(CONTAINMENT), Containment)}
    if quota is not None and (Kind.THROTTLE, user) not in ours:
        raise ConfigError(
            f"throttle {user}: the broker has a quota of {quota:g} bytes/s for it, and we did not set it",
            "kafka-configs.sh --describe --entity-type users (or clients)",
        )


async def release(bootstrap: str, kind: str, target: str, by: str, names: Names = HOME) -> list[Containment]:
    """Take back what is in force, whoever put it there. Raises TidelineError when nothing is.

    A user that is throttled is let go by the controller, which takes its record out with its quota.
    """
    at_ms = now_ms()
    found = [one for one in read(bootstrap, names, now_ms=at_ms) if (one.kind, one.target) == (kind, target)]
    if not found:
        raise TidelineError(f"{kind} {target}: nothing of that is in force", "tideline contain list")
    if kind == Kind.THROTTLE:
        changes = [ContainmentChange("ended", replace(one, until=at_ms)) for one in found]
    else:
        changes = [ContainmentChange("released", one) for one in found]
    await _announce(bootstrap, changes, names, at_ms, by)
    return found


async def _announce(
    bootstrap: str, changes: Sequence[ContainmentChange], names: Names, now_ms: int, by: str
) -> None:
    async with Outbox(bootstrap, names) as outbox:
        emit = Emit(outbox, names.stage("contain"))
        await emit.all(message for one in changes for message in announced(emit, one, now_ms, by))


def stage_of(record: Containment) -> str | None:
    """The stage whose state says whether this is still needed; None: there is none."""
    if record.kind == Kind.DEFER and not record.tier:
        return record.target
    tier = record.target if record.kind in (Kind.SHED, Kind.FREEZE) else record.tier
    return tier_stage(tier) if tier else None


def check(kind: Kind, target: str, topology: Topology) -> None:
    """Raises ConfigError when there is no such target."""
    targets: dict[Kind, Sequence[str]] = {
        Kind.SHED: tuple(topology.tiers),
        Kind.FREEZE: tuple(topology.tiers),
        Kind.PATH: PATHS,
        Kind.DEFER: REPAIRS,
        Kind.NARROW: (READS,),
    }
    if kind in targets and target not in targets[kind]:
        raise ConfigError(f"{kind} {target}: no such target", f"known: {', '.join(targets[kind])}")
    if kind in (Kind.PULL, Kind.RATE) and not target.lstrip("-").isdigit():
        raise ConfigError(f"{kind} {target}: not an author's id")
    if kind is Kind.THROTTLE and not 0 < len(target.encode()) <= MAX_NAME_BYTES:
        raise ConfigError(f"{kind}: a user's name has 1 to {MAX_NAME_BYTES} bytes")
    if kind is Kind.THROTTLE and target in _ourselves(topology):
        raise ConfigError(f"{kind} {target}: that is the pipeline itself, and every tier would wait")


def _ourselves(topology: Topology) -> set[str]:
    """Whom the broker may know the stages as."""
    workers = topology.acls.get(WORKERS)
    return {OURS} | {one.partition(":")[2] for one in (workers.principals if workers else ())}


def document(record: Containment, now: StageLag | None = None) -> dict[str, Any]:
    """What `tideline contain list --json` prints of one; `until` null: until it is released.

    `now`: how its stage stands, null: it has none.
    """
    said = asdict(record)
    return {
        "class": said.pop("author_class"),
        **said,
        "until": record.until or None,
        "now": now
        and {
            "stage": now.stage,
            "workers": now.workers,
            "lag": now.lag,
            "age_seconds": now.age_s,
            "budget_spent": now.spent,
        },
    }

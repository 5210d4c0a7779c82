"""What follow events change: from the stored edges of one author and a run of events to a plan.

An edge is a register: of two events the later `at` counts, of the same `at` the later place on the partition
(`domain.order`), so events may come twice, late or shuffled and end the same. An edge whose work was cut off
by a crash is found and done again, in the segment it was given: such late joins may take a segment over its
size, by the events of one batch at most.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.domain import segments
from pipeline.domain.order import Version
from pipeline.wire.enums import EventType
from pipeline.wire.records import FollowEvent


@dataclass(frozen=True, slots=True)
class EdgeNow:
    """An edge as stored: `settled` is False while its push side may not have caught up."""

    follows: bool
    version: Version
    segment: int
    settled: bool = True


@dataclass(slots=True)
class SegmentPlan:
    """Who must be in a segment and who must not, and since when members are warm (None: cold).

    `check`: some of it may be done already.
    """

    add: list[int] = field(default_factory=list)
    remove: list[int] = field(default_factory=list)
    warm: dict[int, int | None] = field(default_factory=dict)
    check: bool = False


@dataclass(slots=True)
class EdgePlan:
    """What to write for one author: edges by reader as `(version, segment)`, and changes by segment.

    `joins` end covered, `refreshed` only move in time, `gone` end removed (segment -1: never was in one).
    `vacated`: by segment, readers who left it and come back; nobody may be in two, and a crash may have kept
    them in it, so they leave it before they join.
    """

    joins: dict[int, tuple[Version, int]] = field(default_factory=dict)
    refreshed: dict[int, Version] = field(default_factory=dict)
    gone: dict[int, tuple[Version, int]] = field(default_factory=dict)
    changes: dict[int, SegmentPlan] = field(default_factory=dict)
    vacated: dict[int, list[int]] = field(default_factory=dict)

    def change(self, segment: int) -> SegmentPlan:
        """The plan of a segment, made on first use."""
        return self.changes.setdefault(segment, SegmentPlan())


def plan(
    events: Iterable[tuple[FollowEvent, Version]],
    stored: Mapping[int, EdgeNow],
    lives: Sequence[int],
    segment_size: int,
) -> EdgePlan:
    """Plan the changes of these events of one author; `lives`: the live count of each of its segments."""
    result, newcomers = EdgePlan(), {}
    for reader, (version, follows) in _last_writes(events).items():
        edge = stored.get(reader)
        if edge is not None and version < edge.version:
            continue
        if not follows:
            _leave(result, reader, version, edge)
        elif edge is None or not edge.follows:
            newcomers[reader] = version
            if edge is not None and edge.segment >= 0:
                result.vacated.setdefault(edge.segment, []).append(reader)
        elif not edge.settled:
            result.joins[reader] = (version, edge.segment)
            change = result.change(edge.segment)
            change.add.append(reader)
            change.check = True
        elif version > edge.version:
            result.refreshed[reader] = version
    _seat(result, newcomers, lives, segment_size)
    return result


def _last_writes(events: Iterable[tuple[FollowEvent, Version]]) -> dict[int, tuple[Version, bool]]:
    """By reader, the latest version and whether it follows."""
    last: dict[int, tuple[Version, bool]] = {}
    for event, version in events:
        for reader in event.follower_ids:
            if reader not in last or version > last[reader][0]:
                last[reader] = (version, event.type == EventType.FOLLOWED)
    return last


def _leave(result: EdgePlan, reader: int, version: Version, edge: EdgeNow | None) -> None:
    segment = -1 if edge is None else edge.segment
    result.gone[reader] = (version, segment)
    if segment >= 0:
        change = result.change(segment)
        change.remove.append(reader)
        change.check = True


def _seat(result: EdgePlan, newcomers: Mapping[int, Version], lives: Sequence[int], size: int) -> None:
    """Give every newcomer a seat in the lowest segments with room.

    Those who leave free none in this run, and those who were cut off keep theirs.
    """
    waiting = iter(newcomers.items())
    taken = list(lives)
    for segment, change in result.changes.items():
        taken += [0] * (segment + 1 - len(taken))
        taken[segment] += len(change.add)
    for segment, count in segments.place(taken, len(newcomers), size):
        for _ in range(count):
            reader, version = next(waiting)
            result.joins[reader] = (version, segment)
            result.change(segment).add.append(reader)

"""What follow events change: from the stored edges of one author and a run of events to a plan.

An edge is a register where the last writer wins by `(at, unfollow after follow)`, so events may come twice,
late or shuffled and end the same. An edge whose work was cut off by a crash is found and done again, in the
segment it was given: such late joins may take a segment over its size, by the events of one batch at most.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.domain import segments
from pipeline.records import FollowEvent


@dataclass(frozen=True, slots=True)
class EdgeNow:
    """An edge as stored: `settled` is False while its push side may not have caught up."""

    follows: bool
    at: int
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
class Plan:
    """What to write for one author: edges by reader as `(at, segment)`, and changes by segment.

    `joins` end covered, `refreshed` only move in time, `gone` end removed (segment -1: never was in one).
    `vacated`: by segment, readers who left it and come back; nobody may be in two, and a crash may have kept
    them in it, so they leave it before they join.
    """

    joins: dict[int, tuple[int, int]] = field(default_factory=dict)
    refreshed: dict[int, int] = field(default_factory=dict)
    gone: dict[int, tuple[int, int]] = field(default_factory=dict)
    changes: dict[int, SegmentPlan] = field(default_factory=dict)
    vacated: dict[int, list[int]] = field(default_factory=dict)

    def change(self, segment: int) -> SegmentPlan:
        """The plan of a segment, made on first use."""
        return self.changes.setdefault(segment, SegmentPlan())


def plan(
    events: Iterable[FollowEvent], stored: Mapping[int, EdgeNow], lives: Sequence[int], segment_size: int
) -> Plan:
    """Plan the changes of these events of one author; `lives`: the live count of each of its segments."""
    result, newcomers = Plan(), {}
    for reader, (at, follows) in _last_writes(events).items():
        edge = stored.get(reader)
        if edge is not None and (at, not follows) < (edge.at, not edge.follows):
            continue
        if not follows:
            _leave(result, reader, at, edge)
        elif edge is None or not edge.follows:
            newcomers[reader] = at
            if edge is not None and edge.segment >= 0:
                result.vacated.setdefault(edge.segment, []).append(reader)
        elif not edge.settled:
            result.joins[reader] = (at, edge.segment)
            change = result.change(edge.segment)
            change.add.append(reader)
            change.check = True
        elif at > edge.at:
            result.refreshed[reader] = at
    _seat(result, newcomers, lives, segment_size)
    return result


def _last_writes(events: Iterable[FollowEvent]) -> dict[int, tuple[int, bool]]:
    """By reader, the newest `(at, follows)`; at the same time an unfollow wins."""
    last: dict[int, tuple[int, bool]] = {}
    for event in events:
        follows = event.type == "followed"
        for reader in event.follower_ids:
            known = last.get(reader)
            if known is None or (event.at, not follows) > (known[0], not known[1]):
                last[reader] = (event.at, follows)
    return last


def _leave(result: Plan, reader: int, at: int, edge: EdgeNow | None) -> None:
    segment = -1 if edge is None else edge.segment
    result.gone[reader] = (at, segment)
    if segment >= 0:
        change = result.change(segment)
        change.remove.append(reader)
        change.check = True


def _seat(result: Plan, newcomers: Mapping[int, int], lives: Sequence[int], size: int) -> None:
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
            reader, at = next(waiting)
            result.joins[reader] = (at, segment)
            result.change(segment).add.append(reader)

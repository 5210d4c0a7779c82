"""What the controller does about a tier that is behind, and when it stops: one pure step a second.

    share of the budget   0 ──── release ──────── shed ───── rate ───── pull ──── 1 ── defer, narrow
                                 └── what is in force is kept ──────────────────────────────────▶

The oldest record's age says how bad it is. From `shed` on cold readers are not pushed to, from `rate` and
`pull` on the authors who make most of the tier's work are slowed and then pulled; once the budget is broken
repairs wait and pages go without what is dear.
What was begun is kept for `hold_s` after the age was last at `release` or above, and ends by itself: a
controller that dies takes its actions with it. A backlog above `bound` deliveries sheds all pushes of the
tier: a queue never grows without end.

Nobody is contained for what a dead worker does: while a tier has no live worker nothing is started or kept,
and what it is late by for that reason does not count until it has caught up (`domain.outages`).

Nothing here remembers anything: what is in force is the state, and the next controller goes on from there.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.domain.containment import CONTROLLER, OPERATOR, READS, Kind, held, holds, key_of
from pipeline.wire.records import AuthorClass, Containment

REPAIRS = ("backfill", "retract")


@dataclass(frozen=True, slots=True)
class Rules:
    """When to act for one tier. Shares are of its budget; `bound` in deliveries, None: no bound.

    `hot_share`: the part of the tier's new deliveries from which on an author, or a region, is too much.
    `rate_per_minute`: posts of such an author that are still pushed; of a region ten times as many.
    """

    lag_budget_s: float
    release: float
    shed: float
    rate: float
    pull: float
    narrow: float
    hold_s: float
    hot_share: float
    rate_per_minute: int
    bound: int | None


@dataclass(frozen=True, slots=True)
class TierSample:
    """A tier, as it was seen. None is unknown. `workers`: how many live; `outage_s`: how long none did."""

    age_s: float | None
    pending: int | None
    workers: int | None = None
    outage_s: float = 0.0

    @property
    def behind_s(self) -> float | None:
        """By how much living workers are late."""
        return None if self.age_s is None else max(self.age_s - self.outage_s, 0.0)

    @property
    def down(self) -> bool:
        """Whether it is known that nobody works on it."""
        return self.workers == 0


@dataclass(frozen=True, slots=True)
class Hot:
    """Who makes a tier's work: an author or a region, and their share of what is new."""

    tier: str
    kind: Kind
    target: str
    share: float


@dataclass(frozen=True, slots=True)
class ContainmentChange:
    """What is done now: `record` as it is from now on, or as it was when it is over."""

    event: str
    record: Containment

    @property
    def over(self) -> bool:
        """Whether the record is taken out."""
        return self.event in ("released", "expired")


def decide(
    in_force: Mapping[str, Containment],
    seen: Mapping[str, TierSample],
    hot: Sequence[Hot],
    rules: Mapping[str, Rules],
    now_ms: int,
) -> list[ContainmentChange]:
    """What to start, to extend and to take out. What an operator did is left alone until it ends, and so is
    what it is about: nothing is started beside it.

    A tier that is unknown keeps what it has, and gets nothing new. One without a live worker gets nothing
    new, and what it has ends at its time.
    """
    changes = []
    wanted = {
        key_of(one): one
        for tier, rule in rules.items()
        for one in _wanted(tier, seen.get(tier, TierSample(None, None)), hot, rule, now_ms)
        if not holds(in_force.get(key_of(replace(one, by=OPERATOR))), now_ms)
    }
    for key, known in in_force.items():
        if not holds(known, now_ms):
            changes.append(ContainmentChange("released" if known.by == CONTROLLER else "expired", known))
        elif known.by == CONTROLLER and not (key in wanted and _stricter(wanted[key], known)):
            changes += _extended(known, seen, rules, now_ms)
    for key, want in wanted.items():
        if not holds(in_force.get(key), now_ms):
            changes.append(ContainmentChange("started", want))
        elif _stricter(want, in_force[key]):
            changes.append(ContainmentChange("started", replace(want, since=in_force[key].since)))
    return changes


def asks_who(seen: Mapping[str, TierSample], rules: Mapping[str, Rules]) -> bool:
    """Whether a tier is so late that something is done about who makes its work; else nobody need know."""
    states = ((_spent(seen.get(tier, TierSample(None, None)), rule), rule) for tier, rule in rules.items())
    return any(spent is not None and spent >= rule.rate for spent, rule in states)


def _spent(seen: TierSample, rule: Rules) -> float | None:
    return None if seen.behind_s is None or seen.down else seen.behind_s / rule.lag_budget_s


def _full(seen: TierSample, rule: Rules, share: float) -> bool:
    """Whether more waits than this share of the bound; what piled up in an outage does not count."""
    if seen.down or (seen.outage_s and (_spent(seen, rule) or 0.0) < rule.shed):
        return False
    return rule.bound is not None and seen.pending is not None and seen.pending > share * rule.bound


def _wanted(
    tier: str, seen: TierSample, hot: Sequence[Hot], rule: Rules, now_ms: int
) -> Iterator[Containment]:
    """What this tier needs now, the mildest first."""

    def action(
        kind: Kind, target: str, cause: str, to: AuthorClass = AuthorClass.PULL, rate: int = 0
    ) -> Containment:
        until = now_ms + round(rule.hold_s * 1000)
        return Containment(kind, target, to, rate, cause, CONTROLLER, now_ms, until, tier)

    spent = _spent(seen, rule)
    if spent is not None and spent >= rule.shed:
        late = f"{tier} is {seen.behind_s:.1f} s behind, {spent:.0%} of its budget of {rule.lag_budget_s:g} s"
        yield action(Kind.SHED, tier, late, AuthorClass.PARTIAL)
        causes = [one for one in hot if one.tier == tier and one.share >= rule.hot_share]
        for one in causes if spent >= rule.rate else ():
            why = f"{late}, and {one.share:.0%} of its new work is theirs"
            if one.kind is Kind.PACE:
                yield action(one.kind, one.target, why, rate=10 * rule.rate_per_minute)
            elif spent >= rule.pull:
                yield action(Kind.PULL, one.target, why)
            else:
                yield action(Kind.RATE, one.target, why, rate=rule.rate_per_minute)
        if spent >= 1:
            for stage in REPAIRS:
                yield action(Kind.DEFER, stage, late)
        if spent >= rule.narrow:
            yield action(Kind.NARROW, READS, late)
    if _full(seen, rule, 1.0):
        full = f"{tier} has {seen.pending or 0:,} deliveries to make, more than {rule.bound or 0:,}"
        yield action(Kind.SHED, tier, full)  # last: it takes the place of a milder one


def broker_quotas(
    in_force: Iterable[Containment], known: Mapping[str, float], now_ms: int
) -> dict[str, int | None]:
    """By producer, what its quota must become: bytes a second, or None for no quota any more.

    What is no longer in force is still on record until its quota has gone, so that none is ever forgotten.
    """
    records = {key_of(one): one for one in in_force if one.kind == Kind.THROTTLE}
    holding = {
        name: held(records.get, Kind.THROTTLE, name, now_ms)
        for name in {one.target for one in records.values()}
    }
    wanted = {name: one.bytes_per_second if one else None for name, one in holding.items()}
    return {name: rate for name, rate in wanted.items() if known.get(name) != rate}


def _stricter(want: Containment, known: Containment) -> bool:
    return want.author_class is AuthorClass.PULL and known.author_class is AuthorClass.PARTIAL


def _extended(
    known: Containment, seen: Mapping[str, TierSample], rules: Mapping[str, Rules], now_ms: int
) -> list[ContainmentChange]:
    """Keep it while its tier is not well, in steps of half the time that it is held."""
    rule, state = rules.get(known.tier), seen.get(known.tier, TierSample(None, None))
    if rule is None or not known.until or state.down:
        return []
    hold_ms = round(rule.hold_s * 1000)
    well = state.behind_s is not None and state.behind_s < rule.release * rule.lag_budget_s
    if (well and not _full(state, rule, rule.release)) or known.until - now_ms > hold_ms // 2:
        return []
    return [ContainmentChange("extended", replace(known, until=now_ms + hold_ms))]

"""The freshness of a tier as an SLO: recording rules in Sloth's names, and alerts on the burn of its budget.

The objective is that of topology/tiers.yaml: this share of the segments a tier writes is written within its
lag budget. Burn rates and windows are those of the SRE Workbook. A tier that writes nothing has no error
ratio, so these say nothing of writers that are dead: `alert_rules` do.
"""

from collections.abc import Iterator
from typing import Any

from pipeline.config.names import HOME_LABEL
from pipeline.errors import ConfigError
from pipeline.path import tier_stage
from pipeline.telemetry.metrics import LAG_BUCKETS
from pipeline.topology import TierSpec, Topology

Rule = dict[str, Any]

RUNBOOK = "docs/runbook.md"

WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
PERIOD_DAYS = 30
"""Of the budget; Prometheus has to keep as much."""

PAGE = (("5m", "1h", 14.4), ("30m", "6h", 6))
TICKET = (("2h", "1d", 3), ("6h", "3d", 1))
"""A short window, a long one, and the burn rate in both: 2 and 5 % of the budget are gone, or 10 % of it."""

_WRITTEN = "tideline_publish_to_written_seconds"


def groups(topology: Topology) -> Iterator[Rule]:
    """One group a tier, of the home feed and of every domain.

    Raises ConfigError where no bucket ends at a lag budget: nobody counts what met it.
    """
    for one in (topology, *topology.domains.values()):
        for tier in one.tiers.values():
            if tier.lag_budget not in LAG_BUCKETS:
                edges = ", ".join(f"{edge:g}" for edge in LAG_BUCKETS)
                raise ConfigError(
                    f"tier {one.names.stage(tier.name)}: freshness is not counted at {tier.lag_budget:g} s",
                    f"a lag_budget of one of {edges}",
                )
            domain = one.names.domain or HOME_LABEL
            yield {"name": f"slo.{domain}.fanout.{tier.name}", "rules": [*_rules(domain, tier)]}


def _rules(domain: str, tier: TierSpec) -> Iterator[Rule]:
    slo = f"fanout-{tier.name}"
    labels = {"sloth_id": f"{domain}-{slo}", "sloth_service": domain, "sloth_slo": slo}
    of = f'{{sloth_id="{domain}-{slo}"}}'
    for window in WINDOWS:
        yield _record(f"slo:sli_error:ratio_rate{window}", _late(domain, tier, window), labels, window)
    period = f"{PERIOD_DAYS}d"
    short = f"slo:sli_error:ratio_rate5m{of}[{period}]"
    mean = f"sum_over_time({short}) / count_over_time({short})"
    yield _record(f"slo:sli_error:ratio_rate{period}", mean, labels, period)
    yield _record("slo:objective:ratio", f"vector({tier.objective:g})", labels)
    yield _record("slo:error_budget:ratio", f"vector({_budget(tier)})", labels)
    yield _record("slo:time_period:days", f"vector({PERIOD_DAYS})", labels)
    for name, window in (("current", "5m"), ("period", period)):
        burn = (
            f"slo:sli_error:ratio_rate{window}{of} / on (sloth_id) group_left () slo:error_budget:ratio{of}"
        )
        yield _record(f"slo:{name}_burn_rate:ratio", burn, labels)
    yield _record("slo:period_error_budget_remaining:ratio", f"1 - slo:period_burn_rate:ratio{of}", labels)
    for alert, severity, pairs in (
        ("TierBurnsFast", "page", PAGE),
        ("TierBurnsSlowly", "ticket", TICKET),
    ):
        yield {
            "alert": alert,
            "expr": " or ".join(f"({_burns(of, tier, *pair)})" for pair in pairs),
            "labels": {
                "severity": severity,
                "domain": domain,
                "stage": tier_stage(tier.name),
                "tier": tier.name,
            },
            "annotations": {
                "summary": f"Tier {tier.name} ({domain}): {{{{ $value | humanizePercentage }}}} of what it "
                f"writes is later than {tier.lag_budget:g} s; {100 * (1 - tier.objective):.4g}% of it may be",
                "runbook_url": f"{RUNBOOK}#{alert.lower()}",
            },
        }


def _late(domain: str, tier: TierSpec, window: str) -> str:
    """The share of the segments written in a window that were written too late; nothing when none was."""
    of = f'domain="{domain}",tier="{tier.name}"'
    edge = float(tier.lag_budget)  # 2.0, as a client names the bucket
    met = f'sum(rate({_WRITTEN}_bucket{{{of},le="{edge}"}}[{window}]))'
    return f"1 - {met} / (sum(rate({_WRITTEN}_count{{{of}}}[{window}])) > 0)"


def _burns(of: str, tier: TierSpec, short: str, long: str, rate: float) -> str:
    """Both windows: the long one tells that it matters, the short one that it is not over."""
    limit = f"({rate:g} * {_budget(tier)})"
    both = (
        f"max without (sloth_window) (slo:sli_error:ratio_rate{window}{of}) > {limit}"
        for window in (short, long)
    )
    return " and ".join(both)


def _budget(tier: TierSpec) -> str:
    return f"{1 - tier.objective:.6g}"


def _record(name: str, expr: str, labels: dict[str, str], window: str = "") -> Rule:
    own = {"sloth_window": window} if window else {}
    return {"record": name, "expr": expr, "labels": {**labels, **own}}

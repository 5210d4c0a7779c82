"""Grafana dashboards, rendered from a line or two a panel. They hold for every topology: tiers are labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SOURCE = {"type": "prometheus", "uid": "tideline"}
_WIDTH, _HEIGHT = 12, 8

D = 'domain=~"$domain"'


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart. `queries`: PromQL and what to call its series; `unit` as Grafana names it."""

    title: str
    unit: str
    queries: Sequence[tuple[str, str]]
    meaning: str = ""


def _rate(counter: str, by: str, labels: str = D) -> str:
    return f"sum by ({by}) (rate({counter}{{{labels}}}[$__rate_interval]))"


def _p99(histogram: str, by: str, labels: str = D) -> str:
    return f"histogram_quantile(0.99, {_rate(f'{histogram}_bucket', f'le, {by}', labels)})"


TIERS = (
    Panel(
        "Age of the oldest post waiting, against the lag budget",
        "s",
        [
            (
                f"time() - min by (domain, stage) (tideline_oldest_unprocessed_timestamp_seconds{{{D}}})",
                "{{stage}}",
            ),
            (f"max by (domain, stage) (tideline_lag_budget_seconds{{{D}}})", "budget of {{stage}}"),
        ],
        "From the offsets in the broker: right with every worker dead. No line: nothing waits.",
    ),
    Panel(
        "Status",
        "none",
        [
            (
                f'max by (domain, stage, status) (tideline_stage_status{{{D},status!="OK"}}) > 0',
                "{{stage}} {{status}}",
            )
        ],
        "Stages that are not OK, in Burrow's words. No line: all are.",
    ),
    Panel(
        "Burn of the error budget",
        "none",
        [
            (
                f"max by (domain, stage, window) (tideline_error_budget_burn_rate{{{D}}})",
                "{{stage}} {{window}}",
            ),
            ('slo:current_burn_rate:ratio{sloth_service=~"$domain"}', "{{sloth_slo}} as written"),
        ],
        "1 uses the budget up just in time; 14.4 pages.",
    ),
    Panel(
        "Error budget left",
        "percentunit",
        [('slo:period_error_budget_remaining:ratio{sloth_service=~"$domain"}', "{{sloth_slo}}")],
    ),
    Panel(
        "Deliveries pending",
        "short",
        [(f"max by (domain, tier) (tideline_pending_deliveries{{{D}}})", "{{tier}}")],
        "Rows that the tasks in the topic still ask for.",
    ),
    Panel("Rows written", "wps", [(_rate("tideline_fanout_rows_total", "tier"), "{{tier}}")]),
    Panel(
        "Where a batch's time goes",
        "s",
        [(_p99("tideline_fanout_step_seconds", "tier, step"), "{{tier}} {{step}}")],
        "fetch: it waited in the topic.",
    ),
    Panel(
        "Records behind",
        "short",
        [(f"sum by (group) (kafka_consumergroup_group_lag{{{D}}})", "{{group}}")],
    ),
    Panel(
        "In force",
        "none",
        [(f"max by (domain, kind, target) (tideline_containment{{{D}}})", "{{kind}} {{target}}")],
    ),
    Panel(
        "Containments begun and ended",
        "short",
        [(_rate("tideline_containment_events_total", "kind, event, by"), "{{event}} {{kind}} by {{by}}")],
    ),
)

FRESHNESS = (
    Panel(
        "Publish to visible, p99",
        "s",
        [
            (
                _p99("tideline_publish_to_visible_seconds", "author_class, cohort, path"),
                "{{author_class}} {{path}} {{cohort}}",
            )
        ],
    ),
    Panel(
        "Publish to written, p99, against the lag budget",
        "s",
        [
            (_p99("tideline_publish_to_written_seconds", "tier"), "{{tier}}"),
            (
                f'max by (domain, stage) (tideline_lag_budget_seconds{{{D},stage=~"fanout.*"}})',
                "budget of {{stage}}",
            ),
            (_p99("tideline_producer_delay_seconds", "domain"), "before it came, as producers say"),
        ],
    ),
    Panel(
        "Age of the newest post shown",
        "s",
        [
            (
                f"time() - max by (domain, cohort) (tideline_newest_visible_timestamp_seconds{{{D}}})",
                "{{cohort}}",
            )
        ],
        "On first pages. It grows while nobody posts or nobody reads, too.",
    ),
    Panel(
        "Posts classified",
        "reqps",
        [(_rate("tideline_posts_classified_total", "author_class"), "{{author_class}}")],
    ),
    Panel(
        "Cost of a row and of a pull",
        "s",
        [
            (f"max by (domain, stage) (tideline_row_cost_seconds{{{D}}})", "row, {{stage}}"),
            (f"max by (domain, stage) (tideline_pull_cost_seconds{{{D}}})", "pull, {{stage}}"),
        ],
        "What decides between push and pull where routing leaves it open.",
    ),
    Panel("Tasks done", "ops", [(_rate("tideline_fanout_tasks_total", "tier"), "{{tier}}")]),
)

READS = (
    Panel(
        "Time of a page",
        "s",
        [
            (f"histogram_quantile({q}, {_rate('tideline_page_seconds_bucket', 'le')})", f"p{q * 100:g}")
            for q in (0.5, 0.99)
        ],
    ),
    Panel("Pages", "reqps", [(_rate("tideline_page_seconds_count", "domain"), "{{domain}}")]),
    Panel("Pages cut short", "reqps", [(_rate("tideline_pages_degraded_total", "step"), "{{step}}")]),
    Panel(
        "Answers",
        "reqps",
        [(_rate("tideline_api_answers_total", "status", f'{D},route=~"/v1/.*"'), "{{status}}")],
    ),
    Panel("Width of a page, step by step, p99", "short", [(_p99("tideline_page_width", "step"), "{{step}}")]),
    Panel(
        "Cache hits",
        "percentunit",
        [
            (
                _rate("tideline_cache_reads_total", "cache", D + ',outcome="hit"')
                + " / "
                + _rate("tideline_cache_reads_total", "cache"),
                "{{cache}}",
            )
        ],
    ),
    Panel(
        "Refreshes that brought nothing new",
        "percentunit",
        [
            (
                _rate("tideline_stale_refreshes_total", "domain")
                + " / "
                + _rate("tideline_page_seconds_count", "domain"),
                "{{domain}}",
            )
        ],
    ),
)

AUDIT = (
    Panel(
        "Findings",
        "short",
        [
            (
                f"sum by (kind, path) (increase(tideline_audit_findings_total{{{D}}}[$__rate_interval]))",
                "{{kind}} {{path}}",
            )
        ],
    ),
    Panel("Readers audited", "ops", [(_rate("tideline_audit_readers_total", "domain"), "{{domain}}")]),
    Panel(
        "Posts audited",
        "ops",
        [
            (
                _rate("tideline_audit_posts_total", "author_class, cohort, path"),
                "{{author_class}} {{path}} {{cohort}}",
            )
        ],
    ),
    Panel(
        "Since a reader was last as they must be",
        "s",
        [
            (
                f"time() - (max by (domain) (tideline_audit_last_clean_timestamp_seconds{{{D}}}) > 0)",
                "{{domain}}",
            )
        ],
    ),
    Panel(
        "Dead letters",
        "short",
        [
            (f"sum by (topic) (increase(tideline_dead_letters_total{{{D}}}[$__rate_interval]))", "{{topic}}"),
            (
                f"sum by (topic) (increase(tideline_view_skipped_total{{{D}}}[$__rate_interval]))",
                "{{topic}}, passed over",
            ),
            (
                f"sum by (domain) (increase(tideline_erased_records_total{{{D}}}[$__rate_interval]))",
                "{{domain}}, of erased accounts",
            ),
        ],
    ),
    Panel(
        "Controllers that act",
        "none",
        [(f"sum by (domain) (tideline_controller_acting{{{D}}})", "{{domain}}")],
        "One a domain.",
    ),
)

DASHBOARDS = {
    "tiers": ("Tiers against their budgets", TIERS),
    "freshness": ("Freshness by path", FRESHNESS),
    "reads": ("Read path", READS),
    "audit": ("Audit and dead letters", AUDIT),
}
"""By file name, the title and the panels."""


def render(name: str) -> dict[str, Any]:
    """A dashboard as Grafana reads it."""
    title, panels = DASHBOARDS[name]
    return {
        "uid": f"tideline-{name}",
        "title": f"Tideline: {title}",
        "tags": ["tideline"],
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_DOMAIN]},
        "panels": [_panel(number, panel) for number, panel in enumerate(panels)],
    }


_DOMAIN = {
    "name": "domain",
    "label": "Feed",
    "type": "query",
    "datasource": SOURCE,
    "query": {"query": 'label_values(up{job="tideline"}, domain)', "refId": "domain"},
    "refresh": 2,
    "includeAll": True,
    "multi": True,
    "allValue": ".*",
    "current": {"text": "All", "value": "$__all"},
}


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(number, 2)
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.meaning,
        "datasource": SOURCE,
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + n), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
            for n, (expr, legend) in enumerate(panel.queries)
        ],
    }

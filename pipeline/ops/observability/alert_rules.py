"""Alerts on what is so now, the same for every topology: stages, dead letters, audit, controller, pages."""

from pipeline.ops.observability.slo_rules import RUNBOOK, Rule

GROUP = "tideline"

LASTS_S = 3600
"""A containment in force for so long is no longer a measure against a burst: somebody should look."""


def group() -> Rule:
    """The rules, by what they protect: the pipeline, then readers, then those who look after both."""
    return {"name": GROUP, "rules": [*_PIPELINE, *_READERS, *_OPERATORS]}


def _alert(name: str, expr: str, lasts: str, severity: str, summary: str) -> Rule:
    return {
        "alert": name,
        "expr": expr,
        "for": lasts,
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "runbook_url": f"{RUNBOOK}#{name.lower()}"},
    }


def _grown(counter: str, by: str) -> str:
    """By how much a counter grew in ten minutes; one that was not there before has grown from nothing."""
    return f"sum by ({by}) (increase({counter}[10m]) > 0 or ({counter} unless {counter} offset 10m) > 0)"


_NO_WORKER = "max by (domain, stage) (tideline_stage_workers) == 0"
"""Of such a stage this is said, and nothing that follows from it."""

_PIPELINE = (
    _alert(
        "StageWithoutWorker",
        _NO_WORKER,
        "30s",
        "page",
        "{{ $labels.stage }} ({{ $labels.domain }}) has no live worker: nothing of what waits gets done",
    ),
    _alert(
        "StageStuck",
        'max by (domain, stage, status) (tideline_stage_status{status=~"STOP|STALL|REWIND"}) == 1'
        f" unless on (domain, stage) {_NO_WORKER}",
        "1m",
        "page",
        "{{ $labels.stage }} ({{ $labels.domain }}) is {{ $labels.status }}: work waits and none gets done",
    ),
    _alert(
        "StageOverBudget",
        "time() - min by (domain, stage) (tideline_oldest_unprocessed_timestamp_seconds)"
        " > on (domain, stage) max by (domain, stage) (tideline_lag_budget_seconds)"
        f" unless on (domain, stage) {_NO_WORKER}",
        "1m",
        "page",
        "{{ $labels.stage }} ({{ $labels.domain }}) is {{ $value | humanizeDuration }} behind, "
        "more than its lag budget",
    ),
    _alert(
        "StageHeld",
        "max by (domain, stage) (tideline_stage_held) == 1",
        "0m",
        "page",
        "{{ $labels.stage }} ({{ $labels.domain }}) stands still: nearly all it reads became dead letters",
    ),
    _alert(
        "DeadLettersArrive",
        _grown("tideline_dead_letters_total", "domain, topic"),
        "0m",
        "ticket",
        "{{ $value | humanize }} messages of {{ $labels.topic }} ({{ $labels.domain }}) could not be "
        "processed in ten minutes; they are kept",
    ),
)

_NO_FAULT = "late|row_left"
"""Findings that page nobody: what its tier has still to do, for which its own alerts page, and clean-up."""

_READERS = (
    _alert(
        "AuditFindsFaults",
        _grown(f'tideline_audit_findings_total{{kind!~"{_NO_FAULT}"}}', "domain, kind"),
        "0m",
        "page",
        "{{ $value | humanize }} posts {{ $labels.kind }} ({{ $labels.domain }}): "
        "readers do not see what they must",
    ),
    _alert(
        "PagesDegraded",
        "max by (domain) (sum by (domain, step) (rate(tideline_pages_degraded_total[5m])))"
        " / (sum by (domain) (rate(tideline_page_seconds_count[5m])) > 0) > 0.05",
        "5m",
        "ticket",
        "{{ $value | humanizePercentage }} of pages ({{ $labels.domain }}) are cut short to be in time",
    ),
    _alert(
        "PagesFail",
        'sum by (domain) (rate(tideline_api_answers_total{route=~"/v1/.*",status=~"5.."}[5m]))'
        ' / (sum by (domain) (rate(tideline_api_answers_total{route=~"/v1/.*"}[5m])) > 0) > 0.01',
        "2m",
        "page",
        "{{ $value | humanizePercentage }} of answers ({{ $labels.domain }}) are errors of ours",
    ),
)

_OPERATORS = (
    _alert(
        "ControllerAbsent",
        '(count by (domain) (up{job="tideline"})'
        " unless on (domain) max by (domain) (tideline_controller_acting) == 1)"
        ' or absent(up{job="tideline"})',
        "1m",
        "page",
        "No controller acts ({{ $labels.domain }}): nobody judges lag, and nothing is contained or released",
    ),
    _alert(
        "ControllersDisagree",
        "sum by (domain) (tideline_controller_acting) > 1",
        "1m",
        "page",
        "{{ $value | humanize }} controllers ({{ $labels.domain }}) act at once: there must be one",
    ),
    _alert(
        "WorkerDown",
        'up{job="tideline"} == 0',
        "2m",
        "ticket",
        "{{ $labels.worker }} {{ $labels.number }} ({{ $labels.domain }}) does not answer",
    ),
    _alert(
        "ContainmentLasts",
        f"time() - min by (domain, kind, target) (tideline_containment_since_timestamp_seconds) > {LASTS_S}",
        "0m",
        "ticket",
        "{{ $labels.kind }} {{ $labels.target }} ({{ $labels.domain }}) is in force "
        "since {{ $value | humanizeDuration }}",
    ),
)

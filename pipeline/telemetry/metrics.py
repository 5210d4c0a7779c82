"""Every metric of the product in one place: name, kind, labels and meaning.

Base units, bounded labels, and timestamps rather than ages. What a worker counts has no partition in its
labels, so a rebalance leaves nothing behind; what has one is told by the acting controller alone, which
takes out what is no longer so (`gauges`). `page` is docs/metrics.md; `tests/telemetry/test_metrics.py` holds
this module, that page and what a process exports against each other.
"""

from dataclasses import dataclass

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series of each, which nobody asks for


@dataclass(frozen=True, slots=True)
class Described:
    """A metric as it is exported. kind: counter | gauge | histogram."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


DESCRIBED: list[Described] = []
"""In the order of this module."""

LAG_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600)
"""Seconds, with an edge at every lag budget that the shipped topology sets: what met it is counted by it."""

_WORK_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 300)
_WIDTHS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


def _counter(name: str, meaning: str, *labels: str) -> Counter:
    DESCRIBED.append(Described(name, "counter", labels, meaning))
    return Counter(name, meaning, labels)


def _gauge(name: str, meaning: str, *labels: str) -> Gauge:
    DESCRIBED.append(Described(name, "gauge", labels, meaning))
    return Gauge(name, meaning, labels)


def _histogram(name: str, meaning: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
    DESCRIBED.append(Described(name, "histogram", labels, meaning))
    return Histogram(name, meaning, labels, buckets=buckets)


# The way of a post, told by whoever brings it further.

POSTS_CLASSIFIED = _counter("tideline_posts_classified_total", "Posts classified", "author_class")
FANOUT_TASKS = _counter("tideline_fanout_tasks_total", "Fan-out tasks done: one segment each", "tier")
FANOUT_ROWS = _counter("tideline_fanout_rows_total", "Timeline rows written and acknowledged", "tier")
FANOUT_STEP = _histogram(
    "tideline_fanout_step_seconds",
    "Where the time of a writer's batch goes: fetch (its oldest task waited in the topic), read (followers), "
    "expand (planning), write",
    "tier",
    "step",
    buckets=_WORK_BUCKETS,
)
PUBLISH_TO_WRITTEN = _histogram(
    "tideline_publish_to_written_seconds",
    "From the broker's time for a post to the acknowledged rows of one segment: what a lag budget is about",
    "tier",
    buckets=LAG_BUCKETS,
)
PUBLISH_TO_VISIBLE = _histogram(
    "tideline_publish_to_visible_seconds",
    "From the broker's time for a post (pull: that of its id) until readers of the cohort can see it. push: "
    "the rows of a segment are acknowledged; pull: a process that serves pages hears of it, for any cohort",
    "author_class",
    "cohort",
    "path",
    buckets=LAG_BUCKETS,
)
PRODUCER_DELAY = _histogram(
    "tideline_producer_delay_seconds",
    "From when a producer says that it published a post (origin_ts) to the broker's time for it. A claim: "
    "nobody is contained for it",
    buckets=LAG_BUCKETS,
)
DEAD_LETTERS = _counter("tideline_dead_letters_total", "Messages kept in dead.letters", "topic")
ERASED_RECORDS = _counter("tideline_erased_records_total", "Records about erased accounts, dropped")
STAGE_HELD = _gauge(
    "tideline_stage_held",
    "1: a stage stands still instead of emptying its topic into the dead letters",
    "stage",
)
VIEW_SKIPPED = _counter(
    "tideline_view_skipped_total",
    "Records of a followed topic that could not be used, and were passed over",
    "topic",
)
ROW_COST = _gauge("tideline_row_cost_seconds", "Moving mean of the time to write a timeline row", "stage")
PULL_COST = _gauge(
    "tideline_pull_cost_seconds", "Moving mean of the time to read an author for a page", "stage"
)

# Pages, told by whoever serves them.

PAGE_SECONDS = _histogram("tideline_page_seconds", "Time to assemble a page", buckets=_WORK_BUCKETS)
PAGE_WIDTH = _histogram(
    "tideline_page_width",
    "How many a step of an assembled page had before it: followees, sources, candidates, items …",
    "step",
    buckets=_WIDTHS,
)
PAGES_DEGRADED = _counter("tideline_pages_degraded_total", "Pages that took this step of the ladder", "step")
NEWEST_VISIBLE = _gauge(
    "tideline_newest_visible_timestamp_seconds",
    "When the newest post was made that a first page has shown to a reader of the cohort, own posts aside",
    "cohort",
)
CACHE_READS = _counter(
    "tideline_cache_reads_total", "Keys looked up in the caches of the read path", "cache", "outcome"
)
STALE_REFRESHES = _counter(
    "tideline_stale_refreshes_total", "Pages asked for again and unchanged: answered with 304, without a body"
)
API_ANSWERS = _counter("tideline_api_answers_total", "Answers of the HTTP API", "route", "status")

# The audit, told by the auditor.

_AUDITED = ("author_class", "cohort", "path")

AUDIT_READERS = _counter("tideline_audit_readers_total", "Readers whose feed and rows were audited")
AUDIT_POSTS = _counter(
    "tideline_audit_posts_total", "Posts audited: those served and those missing", *_AUDITED
)
AUDIT_FINDINGS = _counter(
    "tideline_audit_findings_total",
    "Differences from what must be served or stored; late: missing, and its tier has it still to do",
    "kind",
    *_AUDITED,
)
AUDIT_LAST_CLEAN = _gauge(
    "tideline_audit_last_clean_timestamp_seconds", "When an audited reader was last as they must be"
)

# How the stages stand, told by the acting controller. What is not known has no series.

CONTROLLER_ACTING = _gauge("tideline_controller_acting", "1: this process is the controller that acts")
STAGE_STATUS = _gauge(
    "tideline_stage_status",
    "1 for the status a stage has, of Burrow's words and UNKNOWN; else 0",
    "stage",
    "status",
)
STAGE_WORKERS = _gauge(
    "tideline_stage_workers", "Members of a stage's consumer group; 0: it has no live worker", "stage"
)
LAG_BUDGET = _gauge("tideline_lag_budget_seconds", "The lag budget of a stage that has one", "stage")
BURN_RATE = _gauge(
    "tideline_error_budget_burn_rate",
    "Of the error budget, over a window; 1 uses it up just in time",
    "stage",
    "window",
)
PENDING_DELIVERIES = _gauge("tideline_pending_deliveries", "Rows that a tier's tasks still ask for", "tier")
OLDEST_UNPROCESSED = _gauge(
    "tideline_oldest_unprocessed_timestamp_seconds",
    "When the oldest record was published that a stage has not processed; no series where nothing waits",
    "stage",
    "topic",
    "partition",
)
CONTAINMENT = _gauge(
    "tideline_containment",
    "1 for a containment in force; how many authors, or users, are contained",
    "kind",
    "target",
)
CONTAINMENT_SINCE = _gauge(
    "tideline_containment_since_timestamp_seconds",
    "Since when it has been in force; the oldest",
    "kind",
    "target",
)
CONTAINMENT_EVENTS = _counter(
    "tideline_containment_events_total",
    "Entries of the journal: started, extended, released, expired; by controller or operator",
    "kind",
    "event",
    "by",
)

# The same lag under the names of kafka-lag-exporter.

_OF_GROUP = ("cluster_name", "group", "topic", "partition")

GROUP_LAG = _gauge("kafka_consumergroup_group_lag", "Records a group has not processed", *_OF_GROUP)
GROUP_LAG_SECONDS = _gauge(
    "kafka_consumergroup_group_lag_seconds", "Age of the oldest record a group has not processed", *_OF_GROUP
)
LATEST_OFFSET = _gauge(
    "kafka_partition_latest_offset", "The next offset of a partition", "cluster_name", "topic", "partition"
)

_PAGE = """\
# Metrics

Every process serves its own at `/metrics`, on a loopback port of its own unless `TIDELINE_METRICS_HOST` and
`TIDELINE_METRICS_PORT` say otherwise; the API too, not on the port of its pages. For Prometheus,
`metrics/targets.json` in the home lists them with the labels `domain` (`home` for the home feed), `worker`
(the stage) and `number`. Times are in seconds, timestamps in seconds since the Unix epoch. What is not known
has no series, and is never 0.

`make observability` writes this page from `pipeline/telemetry/metrics.py`.

| name | type | labels | meaning |
|---|---|---|---|
"""


def page() -> str:
    """docs/metrics.md."""
    rows = (
        f"| `{one.name}` | {one.kind} | {' '.join(f'`{label}`' for label in one.labels)} | {one.meaning} |\n"
        for one in DESCRIBED
    )
    return _PAGE + "".join(rows)

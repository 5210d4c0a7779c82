"""Every metric of the product in one place: name, kind, labels and meaning. Base units, bounded labels."""

from prometheus_client import Counter, Gauge, Histogram

_LATENCY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300)
"""Seconds, with an edge at every lag budget that the shipped topology sets."""

FANOUT_ROWS = Counter("tideline_fanout_rows", "Timeline rows written and acknowledged", ["tier"])
FANOUT_TASKS = Counter("tideline_fanout_tasks", "Fan-out tasks done: one segment each", ["tier"])
PUBLISH_TO_WRITTEN = Histogram(
    "tideline_publish_to_written_seconds",
    "From the publish of a post to the acknowledged rows of one segment",
    ["tier"],
    buckets=_LATENCY_BUCKETS,
)
POSTS_CLASSIFIED = Counter("tideline_posts_classified", "Posts classified", ["author_class"])
PAGE_SECONDS = Histogram(
    "tideline_page_seconds", "Time to assemble a page", buckets=(0.002, 0.005, *_LATENCY_BUCKETS)
)
PAGE_SOURCES = Histogram(
    "tideline_page_sources", "Sources read for a page", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
)
PAGES_DEGRADED = Counter("tideline_pages_degraded", "Pages that took this step of the ladder", ["step"])
CACHE_READS = Counter(
    "tideline_cache_reads", "Keys looked up in the caches of the read path", ["cache", "outcome"]
)
API_ANSWERS = Counter("tideline_api_answers", "Answers of the HTTP API", ["route", "status"])
STALE_REFRESHES = Counter(
    "tideline_stale_refreshes", "Pages asked for again and unchanged: answered with 304, without a body"
)
DEAD_LETTERS = Counter("tideline_dead_letters", "Messages kept in dead.letters", ["topic"])

_AUDITED = ["author_class", "cohort", "path"]

AUDIT_READERS = Counter("tideline_audit_readers", "Readers whose feed and rows were audited")
AUDIT_POSTS = Counter("tideline_audit_posts", "Posts audited: those served and those missing", _AUDITED)
AUDIT_FINDINGS = Counter(
    "tideline_audit_findings", "Differences from what must be served or stored", ["kind", *_AUDITED]
)
AUDIT_LAST_CLEAN = Gauge(
    "tideline_audit_last_clean_timestamp_seconds", "When an audited reader was last as they must be"
)

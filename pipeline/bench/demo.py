"""The demo: a whole pipeline, a real graph, a burst, and an audit of what readers were served.

    start → import the graph → post, with a burst → wait until nothing is unprocessed → audit → verdict

It uses what anybody may use: `tideline run` and `tideline import` as child processes, the topics, the HTTP
API and the metrics. What it published is what the auditor computes the feeds from.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from pipeline import topology
from pipeline.bench import demo_readers, demo_traffic, graph, probe
from pipeline.bench.demo_traffic import Step
from pipeline.bench.demo_view import Moment, View
from pipeline.bench.graph import FollowGraph
from pipeline.bench.instance import Pipeline
from pipeline.bench.verdict import Figures, Latency, Tier, latency
from pipeline.domain.audit import Ledger
from pipeline.domain.intake import Rejected, parse
from pipeline.errors import TidelineError
from pipeline.kafka.offsets import Offsets
from pipeline.kafka.outbox import Outbox
from pipeline.local import instance
from pipeline.local.instance import Instance
from pipeline.ops import dead_letters
from pipeline.ops.audit import audit
from pipeline.ops.lag import Lag, StageLag, routes_read, settled
from pipeline.ops.publish import outgoing
from pipeline.records import FollowEvent
from pipeline.topology import Topology

PROFILE = "small-graph"
POSTS_A_SECOND = 40.0
"""Besides the burst. About 3,000 rows/s, and 20,000 rows/s in the burst: busy, on two cores with all engines."""

SEED = 20_120_704
"""The day of the announcement whose followers the graph holds. Any other seed draws another run."""

IMPORT_PATIENCE_S, SETTLE_PATIENCE_S = 600.0, 120.0
"""How long the graph may take at most, and what is unprocessed after the last post."""

_LOOK_S = 0.25

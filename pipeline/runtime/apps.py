"""A stage as a Faust app of its own: its own consumer group, its own process, its own lag."""

from collections.abc import Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

import faust
from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT

from pipeline.auth import oauth_aio
from pipeline.domain import admission
from pipeline.domain.hold import Limit
from pipeline.kafka import client
from pipeline.kafka.dead_letters import DeadLetters
from pipeline.kafka.faust_transport import App
from pipeline.kafka.loop import SafeLoop
from pipeline.kafka.watchdog import Watchdog
from pipeline.path import RECORDS, tier_of
from pipeline.runtime.admitting import admission_of
from pipeline.runtime.resources import LiveResources
from pipeline.runtime.wiring import handler_of
from pipeline.topology import TierSpec, Topology


def faust_app(stage: str, r: LiveResources, datadir: Path) -> tuple[faust.App, Watchdog]:
    """The stage as a Faust app in the safe loop (kafka.loop), and who watches it.

    Every setting here has cost somebody data.
    """
    spec = r.topology.tiers.get(tier_of(stage) or "") or r.topology.stages[stage]
    topics = [spec.topic] if isinstance(spec, TierSpec) else list(spec.topics)
    records = {r.topology.topics[topic].name: RECORDS[topic] for topic in topics}
    places = r.topology.places(topics)
    buffer = 4096
    app = App(
        spec.group,
        broker=[f"kafka://{address}" for address in r.kafka.split(",")],
        broker_credentials=_credentials(r.kafka),
        datadir=datadir,
        store="memory://",
        key_serializer="raw",
        value_serializer="raw",  # decoded by the loop: Faust would acknowledge what it cannot decode
        topic_allow_declare=False,  # `tideline topology apply` creates topics
        topic_disable_leader=True,
        web_enabled=False,
        stream_wait_empty=True,
        stream_buffer_maxsize=buffer,
        broker_max_poll_records=max(1, buffer // 5 // len(places)),
        broker_commit_interval=0.2,
        broker_session_timeout=10.0,
        broker_heartbeat_interval=3.0,
        consumer_auto_offset_reset="earliest",
    )
    loop = SafeLoop(
        records,
        DeadLetters(r.outbox),
        batch=spec.batch,
        in_flight=spec.in_flight,
        kept_elsewhere=_read_before(stage, topics, r.topology),
        group=spec.group,
        inputs={r.topology.topics[topic].name for topic in admission.INPUTS},
        admit=admission_of(r.topology),
        stage=stage,
        hold=Limit(r.topology.routing.hold_ratio, r.topology.routing.hold_records),
    )
    handle = handler_of(stage, r)
    source = app.topic(*records, key_type=bytes, value_type=bytes)

    async def process(stream: Any) -> None:
        await loop.run(stream, handle)

    app.agent(source, name=stage, concurrency=1)(process)
    return app, Watchdog(r.kafka, spec.group, places, partial(_assigned, app), loop.idle_s)


def _credentials(kafka: str) -> CredentialsT | None:
    """How clients of this address log in, as Faust takes it."""
    security = client.security_of(kafka)
    context, mechanism = security.context(), security.properties.get("sasl.mechanism")
    if security.oauth:
        return OAuthCredentials(oauth_cb=oauth_aio.Provider(security.oauth), ssl_context=context)
    if mechanism:
        return SASLCredentials(
            username=security.user,
            password=security.properties["sasl.password"],
            mechanism=mechanism,
            ssl_context=context,
        )
    return SSLCredentials(context) if context else None


def _read_before(stage: str, topics: Sequence[str], topology: Topology) -> list[str]:
    """Those of a stage's topics that one before it reads as well: a message is one dead letter, not two."""
    before = takewhile(lambda spec: spec.name != stage, topology.stages.values())
    heard = {topic for spec in before for topic in spec.topics}
    return [topic for topic in topics if topic in heard]


def _assigned(app: faust.App) -> list[tuple[str, int]]:
    """The partitions this worker has now."""
    return [(place.topic, place.partition) for place in app.consumer.assignment()]

"""Traces across hops: links to what came in, a span for what goes out, and nothing while nobody listens."""

import http.server
import os
import subprocess
import sys
import threading

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from pipeline.config.names import Names
from pipeline.kafka import tracing
from pipeline.kafka.emit import Emit
from pipeline.kafka.loop import SafeLoop
from pipeline.kafka.ports import NotDelivered
from pipeline.wire.records import ActivityEvent, PageChange
from tests.kafka.stream import DeadLetters, Outbox, Stream, event, running, until
from tests.stages.fakes import RecordingOutbox

TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331


def said(trace_id=TRACE, span_id=SPAN, flags=1):
    """The header of a sender."""
    return ("traceparent", f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}".encode())


@pytest.fixture
def spans(monkeypatch):
    """The spans that have ended, by name; the SDK is the provider."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)

    def ended(name):
        return [span for span in exporter.get_finished_spans() if span.name == name]

    return ended


class Stage:
    """Tells of each event that it heard of it, twice."""

    def __init__(self, outbox):
        self.emit = Emit(outbox, "readers", Names("alerts"))

    async def __call__(self, batch):
        await self.emit.all(
            self.emit.message("page.changes", "k", PageChange("reader", (1,), 5), source=one, part=part)
            for one in batch
            for part in range(2)
        )
        return []


async def heard(*events, outbox=None):
    """The stage has processed these events as one batch; what it sent."""
    outbox = outbox or RecordingOutbox()
    stream = Stream(list(events))
    loop = SafeLoop(
        {"activity": ActivityEvent}, DeadLetters(Outbox()), batch=9, in_flight=2, group="alerts.readers"
    )
    async with running(stream, Stage(outbox), loop=loop):
        await until(lambda: stream.acked)
    return outbox.sent


def context_of(message):
    return dict(message.headers).get("traceparent")


async def test_a_batch_is_linked_to_its_messages_and_is_a_trace_of_its_own(spans):
    """Many to one: no message is the parent of a batch, nor is whatever the process was at when it began."""
    with trace.get_tracer_provider().get_tracer("around").start_as_current_span("around"):
        await heard(event(1, headers=[said()]), event(2), event(3, headers=[said(TRACE + 1, SPAN + 1)]))

    (span,) = spans("process activity")
    assert span.parent is None
    assert span.context.trace_id not in (TRACE, TRACE + 1)
    assert [(link.context.trace_id, link.context.span_id) for link in span.links] == [
        (TRACE, SPAN),
        (TRACE + 1, SPAN + 1),
    ]
    assert dict(span.links[1].attributes) == {
        "messaging.destination.name": "activity",
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": 3,
    }
    assert dict(span.attributes) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "activity",
        "messaging.consumer.group.name": "alerts.readers",
        "messaging.batch.message_count": 3,
    }


async def test_what_a_message_causes_goes_on_in_its_trace_with_a_span_of_its_own(spans):
    """Each of the two is a child of the sender's span, linked to the batch in which it happened."""
    sent = await heard(event(1, headers=[said()]))

    sends, (batch,) = spans("send alerts.page.changes"), spans("process activity")
    assert {(span.context.trace_id, span.parent.span_id) for span in sends} == {(TRACE, SPAN)}
    assert [span.links[0].context.span_id for span in sends] == [batch.context.span_id] * 2
    assert [context_of(message) for message in sent] == [
        said(TRACE, span.context.span_id)[1] for span in sends
    ]
    assert sends[0].attributes["messaging.destination.name"] == "alerts.page.changes"
    assert all(span.end_time <= batch.end_time for span in sends)


async def test_only_what_came_with_a_trace_goes_on_with_one(spans):
    sent = await heard(event(1), event(2, headers=[said()]))

    assert [context_of(message) is None for message in sent] == [True, True, False, False]
    assert len(spans("send alerts.page.changes")) == 2


async def test_a_batch_that_nobody_traces_has_no_span(spans):
    """Flags 00: the sender has decided that this trace is not kept; what goes out says so too."""
    sent = await heard(event(1), event(2, headers=[said(flags=0)]))

    assert spans("process activity") == spans("send alerts.page.changes") == []
    assert context_of(sent[2]).startswith(b"00-%032x-" % TRACE)
    assert context_of(sent[2]).endswith(b"-00")


@pytest.mark.parametrize("value", [b"", b"x", b"00-0-0-01", b"\xff" * 55, b"ff-" + b"1" * 52, None])
async def test_what_is_no_traceparent_is_nobodys_trace(spans, value):
    """Headers come from strangers: the event is processed all the same."""
    sent = await heard(event(1, headers=[("traceparent", value)]))

    assert len(sent) == 2
    assert spans("process activity") == []


async def test_a_send_that_fails_ends_its_span_as_an_error(spans):
    """The batch is tried again, with new spans."""
    outbox = Outbox()
    outbox.failures = [NotDelivered("no broker")]

    await heard(event(1, headers=[said()]), outbox=outbox)

    ends = [span.status.status_code for span in spans("send alerts.page.changes")]
    assert StatusCode.UNSET in ends
    assert len(spans("process activity")) == 1


async def test_a_broker_that_takes_messages_and_fails_makes_errors_of_their_spans(spans):
    class Falls:
        async def send_all(self, messages):
            list(messages)
            raise NotDelivered("no broker")

    emit = Emit(Falls(), "readers")
    stranger = [emit.event("page.changes", "k", PageChange("reader", (1,), 5), at_ms=5)]
    traced = [type(one)(one.topic, one.value, one.key, [*one.headers, said()]) for one in stranger]

    with pytest.raises(NotDelivered):
        await emit.all(traced)

    (span,) = spans("send page.changes")
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "no broker")


async def test_without_a_provider_the_header_crosses_the_hop_as_it_came():
    """The API's own tracers are not even asked."""
    sent = await heard(event(1, headers=[said()]), event(2))

    assert [context_of(message) for message in sent] == [said()[1], said()[1], None, None]
    assert tracing._tracer() is None


def test_a_worker_exports_its_spans_over_http():
    """In a process of its own: a provider is set once and for all."""
    received = threading.Event()

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces" and b"send posts" in body and b"alerts/classify" in body:
                received.set()
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    script = (
        "from pipeline.kafka import tracing\n"
        "from pipeline.kafka.ports import Outgoing\n"
        "tracing.export('alerts/classify')\n"
        f"with tracing.sending([Outgoing('posts', b'', headers=[{said()!r}])], str) as sent:\n"
        "    list(sent)\n"
    )
    address = f"http://127.0.0.1:{server.server_port}"
    try:
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": address},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert received.wait(10)
    finally:
        server.shutdown()
        server.server_close()

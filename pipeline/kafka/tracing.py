"""Spans across the hops of the path, in OpenTelemetry's words for messaging: the one module that knows them.

    process T   a stage works on a batch of T; linked to the messages in it, which come from many traces
    send T      a message until the broker has it; its parent is what the message that caused it carried, and
                it is linked to the `process` in which that happened

So all hops of a post are one trace, whatever batches it shared, and a hop's `process` is one link away. There
is no `poll T`: Faust polls for itself. A batch that nobody traces has no span, and rows never have one.

Without a provider (the SDK's, set up by `export` or by whoever embeds this) nothing here does anything, and
the header `traceparent` crosses every hop as it came. docs/tracing.md has the attributes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import lru_cache

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from pipeline.errors import ConfigError
from pipeline.kafka.messages import Incoming
from pipeline.kafka.ports import Outgoing
from pipeline.wire.headers import TRACEPARENT

_SILENT = trace.ProxyTracerProvider, trace.NoOpTracerProvider
"""What the API has while no provider is set, and what turns tracing off."""

_W3C = TraceContextTextMapPropagator()
_ROOT = Context()


def processing(messages: Sequence[Incoming], group: str) -> AbstractContextManager[object]:
    """The span of a batch, current while the context lasts; nothing when none of its messages is sampled."""
    tracer = _tracer()
    links = [] if tracer is None else list(_links(messages))
    if tracer is None or not links:
        return nullcontext()
    topics = sorted({message.topic for message in messages})
    return tracer.start_as_current_span(
        f"process {' '.join(topics)}",
        _ROOT,
        SpanKind.CONSUMER,
        {
            **_attributes("process", topics),
            "messaging.consumer.group.name": group,
            "messaging.batch.message_count": len(messages),
        },
        links,
    )


@contextmanager
def sending(messages: Iterable[Outgoing], called: Callable[[str], str]) -> Iterator[Iterable[Outgoing]]:
    """These messages, those that carry a trace with a span of their own until the context ends.

    `called`: what a topic is called on Kafka.
    """
    tracer = _tracer()
    if tracer is None:
        yield messages
        return
    spans: list[Span] = []
    try:
        yield (_sent(tracer, message, called(message.topic), spans) for message in messages)
    except BaseException as error:
        for span in spans:
            span.set_status(StatusCode.ERROR, str(error))
        raise
    finally:
        for span in spans:
            span.end()


def export(service: str) -> None:
    """Send the spans of this process where OTEL_EXPORTER_OTLP_ENDPOINT says, from now until it ends.

    Raises ConfigError when the extra `otel` is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_NAMESPACE, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigError(
            f"spans cannot be exported: {error}", "pip install 'tideline[otel]', or unset TIDELINE_TRACES"
        ) from error
    provider = TracerProvider(
        resource=Resource.create({SERVICE_NAMESPACE: "tideline", SERVICE_NAME: service})
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def _tracer() -> Tracer | None:
    provider = trace.get_tracer_provider()
    return None if isinstance(provider, _SILENT) else _tracer_of(provider)


@lru_cache(maxsize=1)
def _tracer_of(provider: trace.TracerProvider) -> Tracer:
    return provider.get_tracer("tideline")


def _sent(tracer: Tracer, message: Outgoing, topic: str, spans: list[Span]) -> Outgoing:
    headers = dict(message.headers)
    if TRACEPARENT not in headers:
        return message
    here = trace.get_current_span().get_span_context()
    span = tracer.start_span(
        f"send {topic}",
        _context(headers[TRACEPARENT]),
        SpanKind.PRODUCER,
        _attributes("send", [topic]),
        [Link(here)] if here.is_valid else [],
    )
    spans.append(span)
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, trace.set_span_in_context(span))
    traced = headers | {name: carrier[name].encode() for name in carrier if name == TRACEPARENT}
    return replace(message, headers=list(traced.items()))


def _links(messages: Iterable[Incoming]) -> Iterator[Link]:
    for message in messages:
        for name, value in message.headers:
            if name == TRACEPARENT and value is not None:
                said = _said(_context(value))
                if said.is_valid and said.trace_flags.sampled:
                    yield Link(said, _place(message))
                break


def _context(traceparent: bytes) -> Context:
    """What a header says; nothing at all when it is no traceparent."""
    return _W3C.extract({TRACEPARENT: traceparent.decode(errors="replace")}, _ROOT)


def _said(context: Context) -> SpanContext:
    return trace.get_current_span(context).get_span_context()


def _attributes(operation: str, topics: Sequence[str]) -> dict[str, str]:
    name = {"messaging.destination.name": topics[0]} if len(topics) == 1 else {}
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        **name,
    }


def _place(message: Incoming) -> Mapping[str, str | int]:
    return {
        "messaging.destination.name": message.topic,
        "messaging.destination.partition.id": str(message.partition),
        "messaging.kafka.offset": message.offset,
    }

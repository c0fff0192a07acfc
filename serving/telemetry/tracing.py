"""OpenTelemetry by the setting `otlp_endpoint`: a span per request, and below it one per stage.

The packages are optional: without the setting nothing of them is imported.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from typing import Any

from feature_repo.contracts.errors import FoundError

_NOTHING: AbstractContextManager[Any] = nullcontext()
_tracer: Any = None
"""One per process: stages do not know which app they are part of."""


def start(endpoint: str) -> Callable[[], None]:
    """Sends spans to `endpoint`/v1/traces from now on; returns what ends it. Nothing happens without an endpoint."""
    global _tracer
    if not endpoint:
        return lambda: None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise FoundError(
            f"otlp_endpoint needs OpenTelemetry, which is not installed ({error}): `pip install 'found[otlp]'`, or set "
            "otlp_endpoint to nothing."
        ) from error
    provider = TracerProvider(resource=Resource.create({"service.name": "found", "service.version": version("found")}))
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _tracer = provider.get_tracer("found")

    def stop() -> None:
        global _tracer
        _tracer = None
        provider.shutdown()

    return stop


def span(name: str) -> AbstractContextManager[Any]:
    """A span below the one under way. An error in it is told by its type alone: messages quote what was asked."""
    if _tracer is None:
        return _NOTHING
    found: AbstractContextManager[Any] = _tracer.start_as_current_span(
        name, record_exception=False, set_status_on_exception=False
    )
    return found


def request_span(headers: Mapping[str, str]) -> AbstractContextManager[Any]:
    """The span of a request, below the caller's where `traceparent` names it."""
    if _tracer is None:
        return _NOTHING
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    found: AbstractContextManager[Any] = _tracer.start_as_current_span(
        "request",
        context=TraceContextTextMapPropagator().extract(headers),
        kind=SpanKind.SERVER,
        record_exception=False,
        set_status_on_exception=False,
    )
    return found


def describe(span: Any, *, method: str, route: str, status: int) -> None:
    """Names a request's span by its route; its status is an error from 500 on."""
    if span is None:
        return
    from opentelemetry.trace import StatusCode

    span.update_name(f"{method} {route}")
    span.set_attributes({"http.request.method": method, "http.route": route, "http.response.status_code": status})
    if status >= 500:
        span.set_status(StatusCode.ERROR)

"""OpenTelemetry: a span for each request, exported as OTLP over HTTP.

The extra `otel` must be installed, and the environment must name an exporter or an endpoint. The instrumentation
packages of OpenTelemetry are for ASGI, not for RSGI. Attributes follow the stable semantic conventions of HTTP servers:
https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastmar_runtime.bodies.request import Request
from fastmar_runtime.http.metadata import server_metadata
from fastmar_runtime.http.trace_context import TRACEPARENT, TRACESTATE

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

log = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
EXPORTER = "OTEL_TRACES_EXPORTER"
SERVICE = "fastmar"
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"))


def tracing(environ: Mapping[str, str]) -> Tracing | None:
    """The tracing that the environment requests; None if it requests none, or the extra is missing."""
    exporter = environ.get(EXPORTER) or ("otlp" if any(environ.get(name) for name in ENDPOINTS) else "none")
    if exporter == "none" or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if exporter != "otlp":
        log.warning(
            "%s=%s is not supported: no traces are exported. The supported exporter is otlp", EXPORTER, exporter
        )
        return None
    try:
        return Tracing(_provider(environ))
    except ImportError as error:
        log.warning("no traces are exported, since %s is not installed. Install the extra otel", error.name)
        return None


def _provider(environ: Mapping[str, str]) -> TracerProvider:
    """A provider with the settings of the `OTEL_...` variables, which OpenTelemetry reads itself."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - optional
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an optional dependency
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an optional dependency
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an optional dependency

    attributes: dict[str, Any] = {"service.version": server_metadata()["version"]}
    if "OTEL_SERVICE_NAME" not in environ and "service.name=" not in environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        attributes["service.name"] = SERVICE
    provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class Tracing:
    """Makes the spans of requests. Each request must be handled in a task of its own."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import context, trace  # noqa: PLC0415 - an optional dependency
        from opentelemetry.trace.propagation import tracecontext  # noqa: PLC0415 - an optional dependency

        self._provider = provider
        self._tracer = provider.get_tracer("fastmar_runtime")
        self._attach = context.attach
        self._trace = trace
        self._propagator = tracecontext.TraceContextTextMapPropagator()

    def start(self, method: str, scheme: str, path: str, route: str | None, headers: Any) -> Span:
        """Start the span of a request. It becomes the current span of this task.

        Args:
            method: its method.
            scheme: `http` or `https`.
            path: its path.
            route: the path if the server has it, else None.
            headers: its headers, with a method `get`.
        """
        carrier = {name: value for name in (TRACEPARENT, TRACESTATE) if (value := headers.get(name)) is not None}
        known = method if method in METHODS else "_OTHER"
        attributes = {"http.request.method": known, "url.scheme": scheme, "url.path": path}
        if route is not None:
            attributes["http.route"] = route
        name = method if method in METHODS else "HTTP"
        span = self._tracer.start_span(
            name if route is None else f"{name} {route}",
            self._propagator.extract(carrier),
            self._trace.SpanKind.SERVER,
            attributes,
        )
        self._attach(self._trace.set_span_in_context(span))
        return span

    def predicted(self, model: str, version: str, request: Request) -> None:
        """Add the model and the request to the current span."""
        self._trace.get_current_span().set_attributes(
            {
                "fastmar.model.name": model,
                "fastmar.model.version": version,
                "fastmar.records": len(request.records),
                "fastmar.batch.records": request.batch_records,
            }
        )

    def end(self, span: Span, status: int | None) -> None:
        """End a span. `status` is that of the response; None if the caller has disconnected."""
        if status is None:
            span.set_attribute("error.type", "disconnected")
        else:
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_attribute("error.type", str(status))
                span.set_status(self._trace.StatusCode.ERROR)
        span.end()

    def close(self) -> None:
        """Export the remaining spans."""
        self._provider.shutdown()


def trace_id_of(span: Span) -> str:
    """The trace id of a span, as in `traceparent`."""
    return f"{span.get_span_context().trace_id:032x}"

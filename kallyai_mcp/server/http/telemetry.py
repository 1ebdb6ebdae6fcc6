"""Traces and metrics by OpenTelemetry, as its standard variables say; nothing of what is in a run goes along.

The SDK of MCP makes a span of every message, with the host's own name for the request and the words of errors in it.
What is exported here is made anew from a list of what may be told: names of methods and tools that are served, statuses
and codes. Ids of traces are the host's, and numbers.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

logger = logging.getLogger(__name__)

SIGNALS = ("TRACES", "METRICS")
MEANING_IT = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_{}_ENDPOINT", "OTEL_{}_EXPORTER")
"""Variables that ask for a signal (OpenTelemetry, Environment Variable Specification)."""

SCOPE = "kallyai_mcp"
METHODS = frozenset(
    {
        "completion/complete",
        "initialize",
        "logging/setLevel",
        "notifications/cancelled",
        "notifications/initialized",
        "notifications/progress",
        "ping",
        "prompts/get",
        "prompts/list",
        "resources/list",
        "resources/read",
        "resources/templates/list",
        "server/discover",
        "subscriptions/listen",
        "tools/call",
        "tools/list",
    }
)
KEPT = frozenset({"gen_ai.operation.name", "http.request.method", "http.response.status_code", "url.template"})
"""Attributes whose values this program or the SDK chooses."""


def wanted(environment: Mapping[str, str]) -> list[str]:
    """Return the signals that the variables ask for."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return []
    return [signal for signal in SIGNALS if _is_wanted(environment, signal)]


def _is_wanted(environment: Mapping[str, str], signal: str) -> bool:
    named = environment.get(f"OTEL_{signal}_EXPORTER", "").strip().lower()
    return named != "none" and any(environment.get(name.format(signal)) for name in MEANING_IT)


class Telemetry:
    """Both signals, as far as they are asked for.

    Args:
        signals: Which ones.
        tools: Names of the tools that are served; spans name no other.
        spans: Takes the spans instead of what the variables name, for tests.
        reader: Reads the metrics instead, for tests.
    """

    def __init__(
        self, signals: Collection[str], tools: Collection[str], *, spans: SpanExporter | None = None, reader: Any = None
    ) -> None:
        from opentelemetry import metrics, trace
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        resource = Resource.create({} if _has_name() else {"service.name": "kallyai-mcp"})
        self._tracing = self._metering = None
        if "TRACES" in signals:
            self._tracing = TracerProvider(resource=resource, shutdown_on_exit=False)
            processor = BatchSpanProcessor(clean_exporter(spans or _span_exporter(), frozenset(tools)))
            self._tracing.add_span_processor(processor)
            trace.set_tracer_provider(self._tracing)
        if "METRICS" in signals:
            readers = [reader or PeriodicExportingMetricReader(_metric_exporter())]
            self._metering = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
            metrics.set_meter_provider(self._metering)
        meter = (self._metering or metrics).get_meter(SCOPE)
        self._tracer = (self._tracing or trace).get_tracer(SCOPE)
        self._runs = meter.create_counter("kallyai.runs", description="Runs by tool and outcome.")
        self._seconds = meter.create_histogram("kallyai.run.duration", "s", "How long runs lasted.")
        self._in_flight = meter.create_up_down_counter("kallyai.runs.in_flight", description="Runs under way.")
        self._answers = meter.create_histogram("kallyai.api.duration", "s", "How long the API took, by status.")

    def began(self, tool: str) -> None:
        """Count a run that begins."""
        del tool
        self._in_flight.add(1)

    def ended(self, tool: str, outcome: str, seconds: float) -> None:
        """Count a run that ends."""
        self._in_flight.add(-1)
        self._runs.add(1, {"tool": tool, "outcome": outcome})
        self._seconds.record(seconds, {"tool": tool})

    def exchanged(self, status: int | None, seconds: float) -> None:
        """Count an answer of the API, or that there was none."""
        self._answers.record(seconds, {"status": "failed" if status is None else str(status)})

    def span(self, method: str, path: str) -> Any:
        """Return a block around one request to the API, a child of the run's span; `path` is a template."""
        from opentelemetry.trace import SpanKind

        return self._tracer.start_as_current_span(
            f"{method} {path}",
            kind=SpanKind.CLIENT,
            attributes={"http.request.method": method, "url.template": path},
            record_exception=False,
            set_status_on_exception=False,
        )

    def close(self) -> None:
        """Send what is left; it takes a moment, and a network."""
        for provider in (self._tracing, self._metering):
            if provider is not None:
                provider.force_flush(1_000)


def made(environment: Mapping[str, str], tools: Collection[str]) -> Telemetry | None:
    """Return what the variables ask for; None for nothing, and with a warning where it is not installed."""
    if not (signals := wanted(environment)):
        return None
    if importlib.util.find_spec("opentelemetry.sdk") is None:
        logger.warning("OTEL_ variables are set; to obey them takes: pip install 'kallyai-mcp[telemetry]'")
        return None
    return Telemetry(signals, tools)


def clean_exporter(inner: SpanExporter, tools: frozenset[str]) -> SpanExporter:
    """Return an exporter that passes on what may be told of spans, and nothing else."""
    from opentelemetry.sdk.trace.export import SpanExporter

    class Clean(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return inner.export([clean(span, tools) for span in spans])

        def shutdown(self) -> None:
            inner.shutdown()

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            return inner.force_flush(timeout_millis)

    return Clean()


def clean(span: ReadableSpan, tools: frozenset[str]) -> ReadableSpan:
    """Return a span with nothing in it but what may be told."""
    from mcp_types.version import KNOWN_PROTOCOL_VERSIONS
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext, Status

    def bare(context: SpanContext | None) -> SpanContext | None:
        if context is None:
            return None
        return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags)

    attributes = dict(span.attributes or {})
    told = {name: value for name, value in attributes.items() if name in KEPT}
    method, tool = attributes.get("mcp.method.name"), attributes.get("gen_ai.tool.name")
    version, error = attributes.get("mcp.protocol.version"), attributes.get("error.type")
    if method is not None:
        told["mcp.method.name"] = method if method in METHODS else "other"
    if tool is not None:
        told["gen_ai.tool.name"] = tool if tool in tools else "other"
    if version in KNOWN_PROTOCOL_VERSIONS:
        told["mcp.protocol.version"] = str(version)
    if isinstance(error, str) and error.lstrip("-").replace("_", "").isalnum() and len(error) <= 40:
        told["error.type"] = error
    name = " ".join(str(told[key]) for key in ("mcp.method.name", "gen_ai.tool.name") if key in told)
    scope = span.instrumentation_scope
    if not name:
        is_ours = scope is not None and scope.name == SCOPE
        name = span.name if is_ours else "other"
    return ReadableSpan(
        name,
        context=bare(span.context),
        parent=bare(span.parent),
        resource=span.resource,
        attributes=told,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=scope,
    )


def _has_name() -> bool:
    return bool(os.environ.get("OTEL_SERVICE_NAME")) or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )


def _span_exporter() -> SpanExporter:
    if os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter(out=sys.stderr)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def _metric_exporter() -> Any:
    if os.environ.get("OTEL_METRICS_EXPORTER", "").strip().lower() == "console":
        from opentelemetry.sdk.metrics.export import ConsoleMetricExporter

        return ConsoleMetricExporter(out=sys.stderr)
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    return OTLPMetricExporter()

"""Hands what happens to those who count it: Prometheus, OpenTelemetry, both or nobody."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kallyai_mcp.server.http.telemetry import wanted

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from kallyai_mcp.model import Command
    from kallyai_mcp.server.http.metrics import Metrics
    from kallyai_mcp.server.http.telemetry import Telemetry
    from kallyai_mcp.serving import Serving


def observer_for(options: Serving, environment: Mapping[str, str]) -> ApiObserver | None:
    """Return what watches, if anybody wants to know: else nothing is spent on it."""
    wants_spans = any(name.startswith("OTEL_") for name in environment) and bool(wanted(environment))
    return ApiObserver() if wants_spans or options.metrics_port is not None else None


class Exchange:
    """One request to the API.

    Attributes:
        status: HTTP status of the answer, once there is one.
    """

    def __init__(self) -> None:
        self.status: int | None = None

    def answered(self, status: int) -> None:
        """Note the answer's status."""
        self.status = status


class ApiObserver:
    """Is told of every request to the API (`api.observer.Observer`).

    Attributes:
        metrics: Counts for Prometheus.
        telemetry: Counts for OpenTelemetry, and makes spans.
    """

    def __init__(self) -> None:
        self.metrics: Metrics | None = None
        self.telemetry: Telemetry | None = None

    @contextmanager
    def request(self, command: Command, /) -> Generator[Exchange]:
        """Watch one request."""
        exchange, started = Exchange(), time.perf_counter()
        telemetry = self.telemetry
        try:
            if telemetry is None:
                yield exchange
            else:
                with telemetry.span(command.method or "", command.path) as span:
                    try:
                        yield exchange
                    finally:
                        if exchange.status is not None:
                            span.set_attribute("http.response.status_code", exchange.status)
        finally:
            seconds = time.perf_counter() - started
            for watch in (self.metrics, telemetry):
                if watch is not None:
                    watch.exchanged(exchange.status, seconds)

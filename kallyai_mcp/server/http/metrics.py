"""Figures for Prometheus, on a port of their own. Labels are names of tools, codes and statuses, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATH = "/metrics"
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600)
"""Seconds; a phone call lasts minutes."""


class Metrics:
    """What is counted.

    Args:
        connections: Gives how many connections are open.
    """

    def __init__(self, connections: Callable[[], int]) -> None:
        self._registry = registry = CollectorRegistry()
        self._runs = Counter("kallyai_runs", "Runs by tool and outcome.", ("tool", "outcome"), registry=registry)
        self._seconds = Histogram(
            "kallyai_run_seconds", "How long runs lasted.", ("tool",), buckets=BUCKETS, registry=registry
        )
        self._in_flight = Gauge("kallyai_runs_in_flight", "Runs under way.", registry=registry)
        self._requests = Counter(
            "kallyai_http_requests", "Answers to hosts by HTTP status.", ("status",), registry=registry
        )
        self._answers = Counter(
            "kallyai_api_answers", "Answers of the API by HTTP status; failed for none.", ("status",), registry=registry
        )
        open_now = Gauge("kallyai_http_connections", "Connections of hosts that are open.", registry=registry)
        open_now.set_function(connections)

    def began(self, tool: str) -> None:
        """Count a run that begins."""
        del tool
        self._in_flight.inc()

    def ended(self, tool: str, outcome: str, seconds: float) -> None:
        """Count a run that ends."""
        self._in_flight.dec()
        self._runs.labels(tool, outcome).inc()
        self._seconds.labels(tool).observe(seconds)

    def exchanged(self, status: int | None, seconds: float) -> None:
        """Count an answer of the API, or that there was none."""
        del seconds
        self._answers.labels("failed" if status is None else str(status)).inc()

    def counting(self, app: ASGIApp) -> ASGIApp:
        """Return an application whose answers are counted."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    self._requests.labels(str(message["status"])).inc()
                await send(message)

            await app(scope, receive, sending)

        return counted

    async def page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the figures; the application of their port."""
        del receive
        found = scope["type"] == "http" and scope["path"] == PATH and scope["method"] in {"GET", "HEAD"}
        body = generate_latest(self._registry) if found else b"Metrics are at /metrics.\n"
        kind = CONTENT_TYPE_LATEST if found else "text/plain"
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200 if found else 404, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

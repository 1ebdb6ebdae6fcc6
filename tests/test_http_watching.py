"""What is told about runs to Prometheus and OpenTelemetry: figures and names, and nothing of anybody."""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from canaries import ACCESS, MAIL, PHONE, WORDS, spilled
from hosts import envelope
from http_world import PATH, START, web
from ports import free_port
from recorder import answer, recording

from kallyai_mcp.server.http.telemetry import wanted
from kallyai_mcp.server.http.watching import ApiObserver, observer_for
from kallyai_mcp.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from kallyai_mcp.api.observer import Observer

TEXTS = (PHONE, MAIL, WORDS, ACCESS)
TRACE = "0af7651916cd43dd8448eb211c80319c"


class Collector:
    """Takes what OpenTelemetry sends, and reads the bytes as they are."""

    def __init__(self) -> None:
        self.received: dict[str, list[bytes]] = {}
        self.changed = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with collector.changed:
                    collector.received.setdefault(self.path, []).append(body)
                    collector.changed.notify_all()
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
                del format, args

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def told(self, path: str, *what: bytes) -> bytes:
        """Return what came to a path, once each of these stands in it as often as it is named."""

        def is_there() -> bool:
            came = self._came(path)
            return all(came.count(one) >= number for one, number in Counter(what).items())

        with self.changed:
            assert self.changed.wait_for(is_there, START), f"{what} did not come to {path}"
            return self._came(path)

    def _came(self, path: str) -> bytes:
        return b"".join(self.received.get(path, []))

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def collector() -> Generator[Collector]:
    made = Collector()
    yield made
    made.close()


def test_figures_and_spans_tell_nothing_personal(tmp_path: Path, collector: Collector) -> None:
    port = free_port()
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server.server_port}",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "KALLYAI_ACCESS_TOKEN": ACCESS,
    }
    with (
        recording() as recorder,
        web(tmp_path, recorder.origin, "--metrics-port", str(port), environ=environ) as server,
    ):
        recorder.answers(answer({"call_id": "c1", "status": "success", "note": WORDS}))
        params = {"name": "kallyai_calls_make", "arguments": {"phone": PHONE, "task": f"Tell {MAIL}: {WORDS}"}}
        context: dict[str, Any] = {
            "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
            "tracestate": f"x={MAIL.replace('@', '_')}",
        }
        assert server.modern("tools/call", params, **context).status == 200
        body = {"name": PHONE, "arguments": {"x": MAIL}, "_meta": envelope()}
        message = {"jsonrpc": "2.0", "id": WORDS, "method": "tools/call", "params": body}
        headers = server.headers(("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"))
        refused = server.send("POST", PATH, [*headers, ("Mcp-Name", PHONE)], json.dumps(message).encode())
        assert refused.status == 400
        recorder.answers(answer({"detail": WORDS, "code": "x"}, 404))
        assert server.run("kallyai_calls_transcript", {"call_id": "c-7-c"})["isError"]
        page = server.send("GET", "/metrics", [("Host", server.name)])
        assert page.status == 404  # not on the port of the hosts
        server.port, hosts = port, server.port
        figures = server.send("GET", "/metrics", [("Host", "x")]).body.decode()
        assert server.send("GET", "/mcp", [("Host", "x")]).status == 404
        server.port = hosts
        trace = bytes.fromhex(TRACE)  # twice, for the request to the API is a child of the run's span
        collector.told("/v1/traces", b"tools/call kallyai_calls_make", b"POST /v1/calls", trace, trace)
        collector.told("/v1/metrics", b"kallyai.run.duration")
        server.close()  # and sends what is left, if it can in time
        spans, metrics = collector.told("/v1/traces"), collector.told("/v1/metrics")
        assert server.token not in figures
    assert 'kallyai_runs_total{outcome="done",tool="kallyai_calls_make"} 1.0' in figures
    assert 'kallyai_runs_total{outcome="refused",tool="unknown"} 1.0' in figures
    assert 'kallyai_api_answers_total{status="200"}' in figures
    assert 'kallyai_api_answers_total{status="404"} 1.0' in figures
    assert 'kallyai_http_requests_total{status="400"} 1.0' in figures
    assert "kallyai_http_connections" in figures
    assert 'kallyai_run_seconds_count{tool="kallyai_calls_make"} 1.0' in figures
    assert "kallyai_runs_in_flight 0.0" in figures
    for told in (spans, metrics, figures.encode()):
        text = told.decode("utf-8", "replace")
        assert spilled(text, TEXTS) == set()
        assert MAIL.replace("@", "_") not in text
        assert "c-7-c" not in text


@pytest.mark.parametrize(
    ("environment", "signals"),
    [
        ({}, []),
        ({"OTEL_SERVICE_NAME": "x"}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, ["TRACES", "METRICS"]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, ["TRACES"]),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, ["METRICS"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none"}, ["METRICS"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}, []),
    ],
)
def test_the_standard_variables_decide(environment: dict[str, str], signals: list[str]) -> None:
    assert wanted(environment) == signals
    assert (observer_for(Serving(), environment) is not None) == bool(signals)


def test_nobody_watches_unless_somebody_wants_to_know() -> None:
    assert observer_for(Serving(), {}) is None
    watching: Observer | None = observer_for(Serving(metrics_port=1), {})
    assert isinstance(watching, ApiObserver)

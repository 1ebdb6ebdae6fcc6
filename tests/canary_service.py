"""A service on loopback that quotes everybody's secrets in whatever it answers."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from canaries import ACCESS, DEVICE, NEW_ACCESS, NEW_REFRESH, PERSONAL, REFRESH, SECRETS, echo, header_safe

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence


@dataclass(frozen=True, slots=True)
class Fault:
    """How everything is answered: `cut` after so many bytes, or not before the client has left; `quoted` in headers."""

    status: int = 200
    body: bytes = b"{}"
    kind: str = "application/json"
    location: str | None = None
    cut: int | None = None
    held: bool = False
    quoted: str = ""


def faults_quoting(secrets: Sequence[str]) -> dict[str, Fault]:
    """Return every fault by name, with these secrets and a person's data in all that it says."""
    quoted = (*secrets, *PERSONAL)
    every_form, plain = echo(quoted), " | ".join(quoted)
    first = secrets[0]

    def as_json(status: int, value: Any) -> Fault:
        return Fault(status, json.dumps(value).encode(), quoted=plain)

    def envelope(status: int, **more: Any) -> Fault:
        error = {"code": "canary", "message": every_form, "details": {"quoted": plain, plain: plain}} | more
        return as_json(status, {"error": error, "message": every_form, "detail": plain})

    return {
        "ok": as_json(200, {"text": every_form, plain: [plain]}),
        **{str(status): envelope(status) for status in (400, 401, 402, 403, 404, 409, 422, 429, 500, 503)},
        "code": envelope(400, code=plain, correlation_id=plain, request_id=first),
        "short text": envelope(422, message=f"No: {' and '.join(secrets)}."),
        "oauth": as_json(400, {"error": first, "error_description": plain, "error_uri": plain}),
        "list": as_json(400, [plain, {"error": plain}]),
        "validation": as_json(422, {"detail": [{"loc": ["body", plain], "msg": plain, "input": plain}]}),
        "plain": Fault(500, plain.encode(), "text/plain", quoted=plain),
        "html": Fault(502, f"<html><title>{plain}</title>{every_form}".encode(), "text/html", quoted=plain),
        "html ok": Fault(200, f"<html>{every_form}".encode(), "text/html", quoted=plain),
        "half": Fault(200, f'{{"text": "{plain}'.encode(), quoted=plain),
        "not text": Fault(500, b"\xff\xfe" + plain.encode(), quoted=plain),
        "redirect": Fault(302, b"", location=f"https://elsewhere.example/?x={quote(first)}&to={PERSONAL[0]}"),
        "cut": Fault(200, plain.encode(), cut=len(first) + 2),
        "timeout": Fault(held=True),
    }


FAULTS = faults_quoting((ACCESS, REFRESH))
SIGN_IN_FAULTS = faults_quoting(SECRETS)
HEADERS = ("X-Request-Id", "X-Correlation-Id", "Set-Cookie", "WWW-Authenticate", "Server", "Retry-After")
SLOW = {"429", "500", "503", "cut", "timeout", "plain", "html", "not text"}
"""Those after which a read is repeated, with a wait."""


class CanaryService(ThreadingHTTPServer):
    """Answers the API by a fault, and signing in as it is told."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.origin = f"http://127.0.0.1:{self.server_address[1]}"
        self.released = threading.Event()
        self.asked = threading.Event()
        """Whether somebody has asked for the tokens of a sign-in."""
        self.fault = FAULTS["ok"]
        self.refresh = SIGN_IN_FAULTS["401"]
        self.device_start: Fault = _json(
            device_code=DEVICE,
            user_code="ABCD-EFGH",
            verification_uri=f"{self.origin}/page",
            expires_in=600,
            interval=1,
        )
        self.device_token = SIGN_IN_FAULTS["400"]

    def fault_at(self, path: str) -> Fault:
        """Return how a request to a path is answered."""
        if path == "/device/token":
            self.asked.set()
        routes = {"/v1/auth/refresh": self.refresh, "/device": self.device_start, "/device/token": self.device_token}
        return routes.get(path, self.fault)


def _json(status: int = 200, **fields: Any) -> Fault:
    return Fault(status, json.dumps(fields).encode())


GRANT = _json(access_token=NEW_ACCESS, refresh_token=NEW_REFRESH, expires_in=3600, token_type="Bearer")
PENDING = _json(400, error="authorization_pending", error_description=DEVICE)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _reply(self) -> None:
        assert isinstance(self.server, CanaryService)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.server.fault_at(self.path.partition("?")[0])
        if fault.held:
            self.server.released.wait(5)
        headers = dict.fromkeys(HEADERS, header_safe(fault.quoted)) | {
            "Content-Type": fault.kind,
            "Content-Length": str(len(fault.body)),
        }
        if fault.location:
            headers["Location"] = fault.location
        lines = [f"HTTP/1.1 {fault.status} {header_safe(fault.quoted)}", *(f"{key}: {headers[key]}" for key in headers)]
        self.close_connection = fault.cut is not None
        try:
            self.wfile.write("\r\n".join([*lines, "", ""]).encode() + fault.body[: fault.cut])
        except OSError:
            self.close_connection = True  # the client had no patience

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _reply  # noqa: N815 - the base class looks for these names

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        pass


@contextmanager
def quoting() -> Generator[CanaryService]:
    """Give a service for as long as the block lasts."""
    with CanaryService() as service:
        thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.02}, name="canaries")
        thread.start()
        try:
            yield service
        finally:
            service.released.set()
            service.shutdown()
            thread.join()

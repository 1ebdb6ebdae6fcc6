"""The listener on this machine to which the browser flow sends the browser back, tokens in the query.

One answer counts: the one that carries the state. Everything else is answered and forgotten, so that neither another
page nor another program can end the sign-in. The browser is sent on at once to an address without the tokens.
"""

from __future__ import annotations

import hmac
import os
import socket
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

HOST = "127.0.0.1"
PORTS = range(8740, 8760)
CONNECTION_TIMEOUT = 5.0
LINGER = 2.0
TOKENS = ("access_token", "refresh_token", "expires_in")
CODE = ("code",)
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Connection": "close",
}
PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    "<title>{title}</title><style>body{{font:1.1rem/1.5 system-ui;max-width:32rem;margin:20vh auto;padding:0 1rem}}"
    "</style><h1>{title}</h1><p>{text}</p></html>"
)
PAGES = {
    "/done": ("Signed in", "kallyai-mcp has what it needs. You can close this window."),
    "/failed": ("Not signed in", "The sign-in was not completed. Go back to where you started it to see why."),
}


class Callback:
    """Listens on the first free of the ports that the service accepts, in threads of its own.

    Args:
        state: What the service must hand back.
        seconds: After so long it stops by itself.
        ports: Where to listen; the facts' range.
        fields: What the service sends along; the first of them, or "error", makes an answer.

    Raises:
        OSError: None of the ports is free.
    """

    def __init__(self, state: str, seconds: float, ports: range = PORTS, fields: tuple[str, ...] = TOKENS) -> None:
        self._state = state
        self._fields = (*fields, "error")
        self._wanted = fields[0]
        self._answer: dict[str, str] | None = None
        self._lock = threading.Lock()
        self._shown = threading.Event()
        self._stop = threading.Event()
        self._server = _listen(self, ports)
        self._ends = time.monotonic() + seconds
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._serve, name="kallyai-sign-in", daemon=True)
        self._thread.start()

    @property
    def redirect_uri(self) -> str:
        """What the service is told to send the browser to (no path, no trailing slash)."""
        return f"http://{HOST}:{self.port}"

    def answer(self) -> dict[str, str] | None:
        """The fields that came with the right state, once they have come."""
        with self._lock:
            return self._answer

    def close(self) -> None:
        """Stop listening. After an answer the browser gets a moment to fetch the last page."""
        if self.answer() is not None:
            self._shown.wait(LINGER)
        self._stop.set()
        self._thread.join(LINGER)

    def take(self, query: str) -> str | None:
        """Take the answer in a query, if it is one. The page to go on to, or None."""
        try:
            fields = parse_qs(query, keep_blank_values=True, strict_parsing=True, max_num_fields=20)
        except ValueError:
            return None
        states = fields.get("state", [])
        if len(states) != 1 or not hmac.compare_digest(states[0].encode(), self._state.encode()):
            return None
        known = {name: fields[name] for name in self._fields if name in fields}
        if not known.keys() & {self._wanted, "error"} or any(len(values) != 1 for values in known.values()):
            return None
        with self._lock:
            if self._answer is None:
                self._answer = {name: values[0] for name, values in known.items()}
            return "/failed" if "error" in self._answer else "/done"

    def shown(self) -> None:
        """The browser has the last page."""
        self._shown.set()

    def _serve(self) -> None:
        with self._server:
            while not self._stop.is_set() and time.monotonic() < self._ends:
                self._server.handle_request()


class _Server(ThreadingHTTPServer):
    # On Windows "reuse" would let another program take over the port while we listen.
    allow_reuse_address = os.name != "nt"
    daemon_threads = True
    block_on_close = False
    timeout = 0.1
    callback: Callback

    def server_bind(self) -> None:
        exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)
        if exclusive is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, exclusive, 1)
        TCPServer.server_bind(self)  # HTTPServer's own would look our name up, which may take seconds

    def handle_error(self, request: object, client_address: object) -> None:
        """A broken connection is the browser's affair; the traceback would show the query."""


class _Handler(BaseHTTPRequestHandler):
    timeout: ClassVar[float] = CONNECTION_TIMEOUT  # pyright: ignore[reportIncompatibleVariableOverride]  # typed as optional there
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]  # ours is the only server that uses it
    server_version = "kallyai-mcp"
    sys_version = ""
    error_message_format = "%(code)d\n"
    error_content_type = "text/plain; charset=utf-8"

    def do_GET(self) -> None:
        """Take the answer at "/", show the last page at its own address, and know nothing else."""
        callback = self.server.callback
        if self.headers.get("Host") != f"{HOST}:{callback.port}":  # else a name that resolves to us could be used
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return
        try:
            parts = urlsplit(self.path)
        except ValueError:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        if parts.path in PAGES:
            title, text = PAGES[parts.path]
            self._reply(HTTPStatus.OK, PAGE.format(title=title, text=text))
            if callback.answer() is not None:
                callback.shown()
            return
        page = callback.take(parts.query) if parts.path == "/" else None
        if page is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self._reply(HTTPStatus.SEE_OTHER, "", Location=page)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Nothing: the request line holds the tokens."""

    def _reply(self, status: HTTPStatus, body: str, **headers: str) -> None:
        content = body.encode()
        self.send_response(status)
        for name, value in (HEADERS | headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _listen(callback: Callback, ports: range) -> _Server:
    for port in ports:
        try:
            server = _Server((HOST, port), _Handler)
        except OSError:
            continue
        server.callback = callback
        return server
    raise OSError(f"no port from {ports.start} to {ports.stop - 1} is free")

"""The server over HTTP as a process of its own, and hosts that speak raw HTTP with it. Every wait is bounded."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from typing import TYPE_CHECKING, Any

from hosts import MODERN, envelope, environment
from ports import free_port
from recorder import WAIT

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from pathlib import Path

START = 60.0
"""Seconds that a start, or an answer, may take on a machine that is busy with other things."""

READ = "kallyai_coord_goals"
PATH = "/mcp"
Header = tuple[str, str]


@dataclass(frozen=True)
class Answer:
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the value of a body in JSON."""
        return json.loads(self.body)

    def events(self) -> list[Any]:
        """Return the messages of a stream."""
        lines = self.body.decode().splitlines()
        return [json.loads(line[6:]) for line in lines if line.startswith("data: ") and line != "data: "]


class Web:
    """A server process."""

    def __init__(
        self,
        home: Path,
        origin: str,
        *flags: str,
        transport: str = "http",
        host: str = "127.0.0.1",
        uds: Path | None = None,
        environ: Mapping[str, str] | None = None,
        command: Iterable[str] = ("-m", "kallyai_mcp"),
    ) -> None:
        self.host = host
        self.uds = uds
        self.port = free_port(host) if uds is None else 0
        self.home = home
        self._errors = home / f"stderr-{time.monotonic_ns()}"
        where = ["--uds", str(uds)] if uds is not None else ["--host", host, "--port", str(self.port)]
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(  # noqa: S603 - this interpreter, and code of these tests
                [sys.executable, *command, "serve", "--transport", transport, *where, *flags],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=environment(home, origin) | dict(environ or {}),
                cwd=home,
            )

    @property
    def stderr(self) -> str:
        """What it wrote to stderr so far."""
        return self._errors.read_text(encoding="utf-8", errors="replace")

    @property
    def token(self) -> str:
        """The token in its state folder."""
        return (self.home / "state" / "http-token").read_text()

    @property
    def name(self) -> str:
        """Its own name, as a Host header has it."""
        if self.uds is not None:
            return "localhost"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def connect(self) -> socket.socket:
        """Open a connection."""
        if self.uds is not None:
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            made.settimeout(START)
            try:
                made.connect(str(self.uds))
            except OSError:
                made.close()
                raise
            return made
        return socket.create_connection((self.host, self.port), START)

    def await_start(self) -> None:
        """Wait until it listens."""
        deadline = time.monotonic() + START
        while True:
            with suppress(OSError):
                self.connect().close()
                return
            assert self.process.poll() is None, self.stderr
            assert time.monotonic() < deadline, "it does not listen"
            time.sleep(0.05)

    def headers(self, *more: Header, token: bool = True) -> list[Header]:
        """Return the headers of a request for JSON by a host that may."""
        found = [("Host", self.name), ("Content-Type", "application/json")]
        found.append(("Accept", "application/json, text/event-stream"))
        if token and self.uds is None:
            found.append(("Authorization", f"Bearer {self.token}"))
        return [*found, *more]

    def send(
        self, method: str, path: str, headers: Iterable[Header], body: bytes = b"", over: HTTPConnection | None = None
    ) -> Answer:
        """Send one request as it is, and return the answer."""
        connection = over or self.client()
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body or method == "POST":
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        try:
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            if over is None:
                connection.close()

    def client(self) -> HTTPConnection:
        """Return a connection for several requests."""
        connection = HTTPConnection("localhost", timeout=START)
        connection.sock = self.connect()
        return connection

    def opened(self, path: str, headers: Iterable[Header]) -> tuple[HTTPConnection, HTTPResponse]:
        """Begin a GET whose answer is a stream."""
        connection = self.client()
        connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        return connection, connection.getresponse()

    def modern(
        self, method: str, params: Mapping[str, Any] | None = None, *more: Header, agrees: bool = False, **meta: Any
    ) -> Answer:
        """Send a request of 2026-07-28."""
        given = dict(params or {})
        about = [("MCP-Protocol-Version", MODERN), ("Mcp-Method", method)]
        if "name" in given:
            about.append(("Mcp-Name", given["name"]))
        given["_meta"] = envelope(agrees=agrees) | meta
        return self.send("POST", PATH, self.headers(*about, *more), encoded(1, method, given))

    def modern_stream(self, method: str, params: Mapping[str, Any]) -> HTTPConnection:
        """Send a request of 2026-07-28 whose answer is a stream, and leave it open."""
        connection = self.client()
        body = encoded(1, method, {**params, "_meta": envelope()})
        about = [("MCP-Protocol-Version", MODERN), ("Mcp-Method", method), ("Content-Length", str(len(body)))]
        connection.putrequest("POST", PATH, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers(*about):
            connection.putheader(name, value)
        connection.endheaders(body)
        assert connection.getresponse().status == 200
        return connection

    def run(self, name: str, arguments: Mapping[str, Any] | None = None, *, agrees: bool = False) -> dict[str, Any]:
        """Run a tool in a request of 2026-07-28 and return its result."""
        answer = self.modern("tools/call", {"name": name, "arguments": dict(arguments or {})}, agrees=agrees)
        assert answer.status == 200, answer
        found = answer.json() if answer.headers["content-type"] == "application/json" else answer.events()[-1]
        return found["result"]

    def close(self) -> None:
        """End it, by force if need be."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(WAIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(START)


def encoded(number: Any, method: str, params: Mapping[str, Any] | None = None) -> bytes:
    """Return a request as bytes."""
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": dict(params or {})}
    return json.dumps(message).encode()


@contextmanager
def web(home: Path, origin: str, *flags: str, **more: Any) -> Generator[Web]:
    """Give a server that listens for as long as the block lasts."""
    made = Web(home, origin, *flags, **more)
    try:
        made.await_start()
        yield made
    finally:
        made.close()


class Session:
    """A host of a handshake version over Streamable HTTP.

    Args:
        server: Whom it talks to.
        version: Its version.
        elicits: Whether its person can be asked.
    """

    def __init__(self, server: Web, version: str, *, elicits: bool = False) -> None:
        self.server = server
        self.version = version
        capabilities: dict[str, Any] = {"elicitation": {}} if elicits else {}
        about = {"protocolVersion": version, "capabilities": capabilities, "clientInfo": {"name": "h", "version": "1"}}
        answer = server.send("POST", PATH, server.headers(), encoded(0, "initialize", about))
        assert answer.status == 200, answer
        self.said = answer.events()[0]["result"]
        self.id = answer.headers["mcp-session-id"]
        done = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
        assert server.send("POST", PATH, self.headers(), done).status == 202

    def headers(self) -> list[Header]:
        """Return the headers of its requests; the version in them is of 2025-06-18."""
        more = [("Mcp-Session-Id", self.id)]
        if self.version >= "2025-06-18":
            more.append(("MCP-Protocol-Version", self.version))
        return self.server.headers(*more)

    def ask(self, number: int, method: str, params: Mapping[str, Any] | None = None) -> Answer:
        """Send a request."""
        return self.server.send("POST", PATH, self.headers(), encoded(number, method, params))

    def run(self, number: int, name: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Run a tool and return its result."""
        answer = self.ask(number, "tools/call", {"name": name, "arguments": dict(arguments or {})})
        assert answer.status == 200, answer
        return answer.events()[-1]["result"]

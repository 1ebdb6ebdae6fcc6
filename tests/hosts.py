"""Hosts for the server under test: one that speaks raw JSON-RPC over the pipes of a process, and the SDK's own client.

The raw host takes every line of stdout for protocol: one that is none fails the test that meets it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from recorder import WAIT

from kallyai_mcp import __version__
from kallyai_mcp.api import ApiClient, Deadlines
from kallyai_mcp.engine import Engine
from kallyai_mcp.model import Defaults
from kallyai_mcp.server import build_server, load_tools

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
    from pathlib import Path

    from mcp.server.lowlevel import Server

TOKEN = "live-token-for-tests"
LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = "2026-07-28"
CLIENT = {"name": "raw-host", "version": "1"}
CREDENTIALS = {
    name: f"<{name}>"
    for name in (
        "KALLYAI_TELEGRAM_BOT_TOKEN",
        "KALLYAI_WHATSAPP_PHONE_NUMBER_ID",
        "KALLYAI_WHATSAPP_ACCESS_TOKEN",
        "KALLYAI_WHATSAPP_BUSINESS_ACCOUNT_ID",
    )
}
SERVE = ("-m", "kallyai_mcp")


def environment(home: Path, origin: str, **more: str) -> dict[str, str]:
    """Return the whole environment of a server: nothing of the developer's but the path."""
    state = home / "state"
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "KALLYAI_API_URL": origin,
        "KALLYAI_ACCESS_TOKEN": TOKEN,
        "KALLYAI_STATE_DIR": str(state),
        "KALLYAI_TIMEZONE": "America/New_York",
        **CREDENTIALS,
        **more,
    }


class Host:
    """A host that started the server and talks to it line by line. Every wait is bounded."""

    def __init__(self, home: Path, environ: Mapping[str, str], command: Sequence[str] = SERVE) -> None:
        self._errors = home / f"stderr-{time.monotonic_ns()}"
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(  # noqa: S603 - this interpreter, and code of these tests
                [sys.executable, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=dict(environ),
                cwd=home,
            )
        self.version: str | None = None
        self.lines: list[bytes] = []
        """All that came over stdout."""
        self._messages: deque[dict[str, Any]] = deque()
        self._alien: list[bytes] = []
        self._changed = threading.Condition()
        self._over = False
        self._last_id = 0
        self._reader = threading.Thread(target=self._read, name="host")

    def listen(self) -> None:
        """Begin to read what the server writes."""
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                message = json.loads(line)
                assert message["jsonrpc"] == "2.0"
            except (ValueError, TypeError, KeyError, AssertionError):
                message = None
            with self._changed:
                self.lines.append(line)
                if message is None:
                    self._alien.append(line)
                else:
                    self._messages.append(message)
                self._changed.notify_all()
        with self._changed:
            self._over = True
            self._changed.notify_all()

    @property
    def stderr(self) -> str:
        """What the server wrote to stderr so far."""
        return self._errors.read_text(encoding="utf-8", errors="replace")

    def write(self, data: bytes) -> None:
        """Write bytes as they are."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, message: Mapping[str, Any]) -> None:
        """Write one message."""
        self.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def notify(self, method: str, **params: Any) -> None:
        """Send a notification."""
        self.send({"method": method, "params": params} if params else {"method": method})

    def ask(self, method: str, params: Mapping[str, Any] | None = None) -> int:
        """Send a request, with what the version of the connection wants in it, and return its id."""
        self._last_id += 1
        given = dict(params or {})
        if self.version == MODERN:
            given["_meta"] = envelope() | given.get("_meta", {})
        self.send({"id": self._last_id, "method": method, "params": given})
        return self._last_id

    def ask_tool(self, name: str, arguments: Mapping[str, Any] | None = None, **meta: Any) -> int:
        """Send a request to run a tool."""
        params: dict[str, Any] = {"name": name, "arguments": dict(arguments or {})}
        return self.ask("tools/call", params | ({"_meta": meta} if meta else {}))

    def next(self, wait: float = WAIT) -> dict[str, Any]:
        """Return the next message, whatever it is."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._messages or self._over or self._alien, wait), "no message"
            assert not self._alien, f"not protocol: {self._alien[0][:200]!r}"
            assert self._messages, f"the server ended: {self.stderr[-2000:]}"
            return self._messages.popleft()

    def answer(self, number: int) -> dict[str, Any]:
        """Return the answer to a request, which must be the next message."""
        message = self.next()
        assert message.get("id") == number, message
        return message

    def request(self, method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send a request and return its result."""
        message = self.answer(self.ask(method, params))
        assert "result" in message, message
        return message["result"]

    def refused(self, method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send a request and return its error."""
        message = self.answer(self.ask(method, params))
        assert "error" in message, message
        return message["error"]

    def run(self, name: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Run a tool and return its result."""
        message = self.answer(self.ask_tool(name, arguments))
        assert "result" in message, message
        return message["result"]

    def connect(self, version: str) -> dict[str, Any]:
        """Open the connection as a host of this version does, and return what the server said."""
        if version == MODERN:
            self.version = version
            return self.request("server/discover")
        said = self.request("initialize", {"protocolVersion": version, "capabilities": {}, "clientInfo": CLIENT})
        self.version = version
        self.notify("notifications/initialized")
        return said

    def is_alive(self) -> bool:
        """Whether the server still answers."""
        return "tools" in self.request("tools/list")

    def end_input(self) -> None:
        """Close the server's stdin."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def stop(self, how: signal.Signals | None) -> None:
        """Have the server end: by a signal, or by the end of its input."""
        if how is None:
            self.end_input()
        else:
            self.process.send_signal(how)

    def leaves(self, within: float = 5.0) -> int:
        """Return the exit status of a server that ends by itself in time."""
        return self.process.wait(within)

    def close(self) -> None:
        """End the server, by force if need be."""
        if self.process.poll() is None:
            self.end_input()
            try:
                self.process.wait(WAIT)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGKILL)
                self.process.wait(WAIT)
        if self._reader.ident is not None:
            self._reader.join(WAIT)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


def envelope(version: str = MODERN) -> dict[str, Any]:
    """Return what each request of 2026-07-28 carries under `_meta`."""
    return {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientInfo": CLIENT,
        "io.modelcontextprotocol/clientCapabilities": {},
    }


@contextmanager
def hosting(
    home: Path,
    origin: str,
    version: str | None = "2025-11-25",
    *,
    command: Sequence[str] = SERVE,
    **environ: str,
) -> Generator[Host]:
    """Give a host whose server runs for as long as the block lasts, connected unless no version is named."""
    host = Host(home, environment(home, origin, **environ), command)
    host.listen()
    try:
        if version is not None:
            host.connect(version)
        yield host
    finally:
        host.close()


class FixedToken:
    """A token that is always the same."""

    async def token(self) -> str | None:
        return TOKEN

    async def renew(self, refused: str) -> str | None:
        del refused
        return None


@asynccontextmanager
async def serving(origin: str, deadlines: Deadlines | None = None) -> AsyncGenerator[Server[Any]]:
    """Give a server object of this process, whose runs go to `origin`."""
    async with ApiClient(origin, version=__version__, deadlines=deadlines) as api:
        engine = Engine(api, FixedToken(), Defaults(credentials=CREDENTIALS), {})

        async def give() -> Engine:
            return engine

        yield build_server(load_tools(), give)

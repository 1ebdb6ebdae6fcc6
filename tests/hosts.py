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
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mcp_types import ElicitRequestParams, ElicitResult
from recorder import WAIT

from kallyai_mcp import __version__
from kallyai_mcp.api import ApiClient, Deadlines
from kallyai_mcp.auth.owner import Owner
from kallyai_mcp.auth.session import Session
from kallyai_mcp.engine import Engine
from kallyai_mcp.engine.parts import Parts
from kallyai_mcp.model import Defaults
from kallyai_mcp.server import build_server, load_tools
from kallyai_mcp.server.people import OnePerson, Person
from kallyai_mcp.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
    from pathlib import Path

    from mcp.client import ClientRequestContext
    from mcp.server.lowlevel import Server

    from kallyai_mcp.engine import LocalCommand
    from kallyai_mcp.engine.consents import Consents
    from kallyai_mcp.model import Command

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
UNATTENDED = {
    "KALLYAI_APPROVAL": "off",
    "KALLYAI_CONTACT_HOURS": "off",
    "KALLYAI_MAX_CREDITS_PER_HOUR": "1000000",
    "KALLYAI_MAX_CREDITS_PER_DAY": "1000000",
    "KALLYAI_MAX_CALLS_PER_HOUR": "1000000",
    "KALLYAI_MAX_NEW_RECIPIENTS_PER_DAY": "1000000",
    "KALLYAI_MAX_ACTS_IN_FLIGHT": "1000000",
}
"""Acts run at any hour, as many as a test likes; only after strangers' words were read a person is asked."""

AGREES: dict[str, Any] = {"action": "accept", "content": {}}


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
        **UNATTENDED,
        **CREDENTIALS,
        **more,
    }


class Host:
    """A host that started the server and talks to it line by line. Every wait is bounded."""

    def __init__(
        self, home: Path, environ: Mapping[str, str], command: Sequence[str] = SERVE, *, agrees: bool = True
    ) -> None:
        self.agrees = agrees
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
        self.questions: list[str] = []
        """What the person at this host was asked; they agree to everything."""
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
            if message is not None and message.get("method") == "elicitation/create" and self.agrees:
                self.questions.append(message["params"]["message"])
                with suppress(OSError, ValueError):
                    self.send({"id": message["id"], "result": AGREES})
                self.lines.append(line)
                continue
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
            given["_meta"] = envelope(agrees=self.agrees) | given.get("_meta", {})
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
        """Send a request and return its result; what a person is asked meanwhile they agree to."""
        message = self.answer(self.ask(method, params))
        assert "result" in message, message
        result = message["result"]
        if result.get("resultType") != "input_required" or not self.agrees:
            return result
        asked = result["inputRequests"]
        self.questions += [request["params"]["message"] for request in asked.values()]
        agreed = {"inputResponses": dict.fromkeys(asked, AGREES), "requestState": result["requestState"]}
        return self.request(method, {**(params or {}), **agreed})

    def refused(self, method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send a request and return its error."""
        message = self.answer(self.ask(method, params))
        assert "error" in message, message
        return message["error"]

    def run(self, name: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Run a tool and return its result; what was done before is done once more."""
        given = dict(arguments or {})
        result = self.request("tools/call", {"name": name, "arguments": given})
        if self.agrees and (before := repeated(result)) is not None:
            return self.request("tools/call", {"name": name, "arguments": given | {"repeat_of": before}})
        return result

    def connect(self, version: str) -> dict[str, Any]:
        """Open the connection as a host of this version does, and return what the server said."""
        if version == MODERN:
            self.version = version
            return self.request("server/discover")
        capabilities: dict[str, Any] = {"elicitation": {}} if self.agrees else {}
        opening = {"protocolVersion": version, "capabilities": capabilities, "clientInfo": CLIENT}
        said = self.request("initialize", opening)
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


def envelope(version: str = MODERN, *, agrees: bool = False) -> dict[str, Any]:
    """Return what each request of 2026-07-28 carries under `_meta`."""
    return {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientInfo": CLIENT,
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}} if agrees else {},
    }


@contextmanager
def hosting(
    home: Path,
    origin: str,
    version: str | None = "2025-11-25",
    *,
    command: Sequence[str] = SERVE,
    agrees: bool = True,
    **environ: str,
) -> Generator[Host]:
    """Give a host whose server runs for as long as the block lasts, connected unless no version is named."""
    host = Host(home, environment(home, origin, **environ), command, agrees=agrees)
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
    with TemporaryDirectory() as folder:
        settings = Settings.read(
            UNATTENDED
            | {"KALLYAI_API_URL": origin, "KALLYAI_STATE_DIR": folder, "KALLYAI_TIMEZONE": Defaults().timezone}
        )
        async with ApiClient(origin, version=__version__, deadlines=deadlines) as api:
            engine, parts = engine_of(settings, api, FixedToken(), Defaults(credentials=CREDENTIALS))

            async def give() -> Engine:
                return engine

            async def consents() -> Consents:
                return parts.consents

            yield build_server(load_tools(), OnePerson(Person(give, consents=consents)))
            await parts.aclose()


def repeated(result: Mapping[str, Any]) -> str | None:
    """Return the earlier act with which a run was answered instead of being run."""
    structured: Mapping[str, Any] = result.get("structuredContent", {})
    told: Mapping[str, Any] = structured.get("_earlier") or structured.get("error") or {}
    return told.get("repeat_of")


async def agree(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    """Answer for the person at a host of the SDK's own: they agree to everything."""
    del context, params
    return ElicitResult(action="accept", content={})


def without_act(command: Command, result: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return an answer as structured data and as text, without what is told of the act, which must be there."""
    structured, text = dict(result["structuredContent"]), result["content"][0]["text"]
    act = structured.pop("_act", None)
    assert (act is not None) is command.is_recorded
    if act is None:
        return structured, text
    assert act["outcome"] == "done"
    text, _, last = text.rpartition("\n")
    assert last.startswith(f"Act {act['id']}: done.")
    return structured, text


def engine_of(
    settings: Settings, api: Any, tokens: Any, defaults: Defaults, local: Mapping[str, LocalCommand] | None = None
) -> tuple[Engine, Parts]:
    """Return an engine of this process, and the parts around it. Nothing runs in the background."""
    parts = Parts(settings, api, tokens, defaults, Owner(settings, Session(settings)), lambda _: None)
    return Engine(api, tokens, defaults, local or {}, lambda: parts.acts, lambda: parts.reading), parts

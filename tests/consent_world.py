"""What asks for consent and what keeps it, made small: an engine that acts once per approval, and a book of approvals.

The book stands for what all processes of an account share; the hosts are the SDK's client and raw JSON-RPC.
"""

from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import anyio
import mcp_types as types
from hosts import CLIENT, MODERN, envelope
from mcp.shared.memory import create_client_server_memory_streams
from mcp.shared.message import SessionMessage
from mcp_types import ElicitResult

from kallyai_mcp.errors import ActRefused, ApprovalRequired
from kallyai_mcp.model.records import Approval, Question
from kallyai_mcp.server import build_server, load_tools, people
from kallyai_mcp.server.seal import SharedCodec

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
    from pathlib import Path

    from mcp.client import ClientRequestContext
    from mcp.server.lowlevel import Server
    from mcp_types import ElicitRequestParams

    from kallyai_mcp.model import Command
    from kallyai_mcp.model.acts import Consent

TOOL = "kallyai_actions_email_send"
MAIL = {"to": "front.desk@hotel.example", "subject": "One parking space", "body": "We would like one parking space."}
OTHER = "kallyai_ask"
QUESTION = Question(
    "Send a mail",
    TOOL,
    (("Reaches", "front.desk@hotel.example, not in your contacts"), ("Body", "We would like\none parking space.")),
    ("Strangers' words were read just before.",),
)
ALLOWED = 900.0
"""Seconds that an approval lasts."""

IN_TIME = 60.0
"""Seconds within which a test must be through."""

TOOLS = load_tools()


class Book:
    """Keeps approvals; whatever it changes it changes at once, as a transaction does."""

    def __init__(self) -> None:
        self.approvals: dict[str, Approval] = {}
        self.ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead

    @property
    def last(self) -> Approval:
        """The approval that was asked for last."""
        return list(self.approvals.values())[-1]

    def change(self, approval: str, **values: Any) -> Approval:
        self.approvals[approval] = replace(self.approvals[approval], **values)
        return self.approvals[approval]

    async def find(self, approval: str) -> Approval | None:
        await anyio.lowlevel.checkpoint()
        return self.approvals.get(approval)

    async def decide(self, approval: str, *, agreed: bool, how: Consent, shown: str | None = None) -> Approval:
        await anyio.lowlevel.checkpoint()
        found = self.approvals.get(approval)
        if found is None or found.used is not None or found.expires <= self.now():
            raise spent()
        if found.decision is not None and found.decision is not agreed:
            raise spent()
        if found.decision is None and agreed and shown not in (None, found.question.text()):
            raise spent()
        return found if found.decision is agreed else self.change(approval, decision=agreed, consent=how)

    def open(self, tool: str, digest: str, question: Question) -> Approval:
        """Return the question about an act, put now or before."""
        for approval in self.approvals.values():
            if (approval.tool, approval.digest) == (tool, digest) and self._lasts(approval):
                return self.change(approval.id, question=question) if approval.decision is None else approval
        number = f"approval{len(self.approvals)}"
        made = Approval(
            id=number, tool=tool, digest=digest, question=question, created=self.now(), expires=self.now() + ALLOWED
        )
        self.approvals[number] = made
        return made

    def use(self, approval: str) -> None:
        found = self.approvals[approval]
        if found.used is not None or found.decision is not True:
            raise spent()
        self.change(approval, used=self.now())

    def _lasts(self, approval: Approval) -> bool:
        return approval.used is None and approval.decision is not False and approval.expires > self.now()


def spent() -> ActRefused:
    return ActRefused("The approval cannot be used.", code="approval_used", next_step="Ask anew.")


@dataclass
class Ran:
    """What a run brings."""

    text: str = "It was sent."
    structured: dict[str, Any] = field(default_factory=lambda: {"sent": True})
    file: None = None


@dataclass
class Engine:
    """Acts once for each approval.

    Attributes:
        book: Of the approvals.
        account: Whose acts they are.
        question: What a person is asked.
        tries: How often a run was tried.
        done: Arguments of the acts that happened.
        before: Called before anything else of a run.
    """

    book: Book
    account: str = "one"
    question: Question = QUESTION
    tries: int = 0
    done: list[Mapping[str, Any]] = field(default_factory=list["Mapping[str, Any]"])
    before: Callable[[Any], Awaitable[None]] | None = None

    async def run(
        self, command: Command, arguments: Mapping[str, Any], *, progress: Any = None, until: float | None = None
    ) -> Ran:
        del until
        self.tries += 1
        if self.before is not None:
            await self.before(progress)
        digest = json.dumps([self.account, command.tool, dict(arguments)], sort_keys=True)
        approval = self.book.open(command.tool, digest, self.question)
        await anyio.lowlevel.checkpoint()
        if approval.decision is not True:
            raise ApprovalRequired(
                approval.id, approval.question.text(), why="It reaches a stranger.", expires=approval.expires
            )
        self.book.use(approval.id)
        await anyio.lowlevel.checkpoint()
        self.done.append(arguments)
        return Ran()


def serve(engine: Engine, folder: Path | None = None, **more: Any) -> Server[Any]:
    """Return a server whose runs go to this engine; its states outlive it if it has a folder for their key."""

    async def give_engine() -> Any:
        return engine

    async def give_book() -> Book:
        return engine.book

    codec = None if folder is None else SharedCodec(lambda: folder)
    served = people.Person(give_engine, consents=give_book, **more)
    return build_server(TOOLS, people.OnePerson(served, lambda: engine.account), codec=codec)


class Person:
    """Answers what a host shows, always the same way, and keeps what was shown."""

    def __init__(self, action: Any = "accept") -> None:
        self.action = action
        self.shown: list[ElicitRequestParams] = []

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        del context
        self.shown.append(params)
        return ElicitResult(action=self.action)


class RawHost:
    """A host that speaks raw JSON-RPC with a server object of this process."""

    def __init__(self, receive: Any, send: Any, version: str, capabilities: Mapping[str, Any]) -> None:
        self._receive = receive
        self._send = send
        self.version = version
        self.capabilities = dict(capabilities)
        self._last = 0

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send one message."""
        parsed = types.jsonrpc_message_adapter.validate_python({"jsonrpc": "2.0", **message}, by_name=False)
        await self._send.send(SessionMessage(parsed))

    async def next(self) -> dict[str, Any]:
        """Return the next message, as it goes over the wire."""
        item = await self._receive.receive()
        return json.loads(item.message.model_dump_json(by_alias=True, exclude_unset=True))

    async def ask(self, method: str, params: Mapping[str, Any]) -> int:
        """Send a request, with what the version wants in it, and return its id."""
        self._last += 1
        given = dict(params)
        if self.version == MODERN:
            carried = envelope() | {"io.modelcontextprotocol/clientCapabilities": self.capabilities}
            given["_meta"] = carried | given.get("_meta", {})
        await self.send({"id": self._last, "method": method, "params": given})
        return self._last

    async def call(self, tool: str = TOOL, arguments: Mapping[str, Any] = MAIL, **more: Any) -> int:
        """Send a request to run a tool."""
        return await self.ask("tools/call", {"name": tool, "arguments": dict(arguments), **more})

    async def result(self, tool: str = TOOL, arguments: Mapping[str, Any] = MAIL, **more: Any) -> dict[str, Any]:
        """Run a tool and return its answer, which must be the next message."""
        number = await self.call(tool, arguments, **more)
        message = await self.next()
        assert message.get("id") == number, message
        return message.get("result") or message["error"]

    async def answer(self, request: Mapping[str, Any], result: Any) -> None:
        """Answer a request of the server."""
        await self.send({"id": request["id"], "result": result})

    async def connect(self) -> None:
        """Open the connection as a host of the version does."""
        if self.version == MODERN:
            return
        hello = {"protocolVersion": self.version, "capabilities": self.capabilities, "clientInfo": CLIENT}
        await self.ask("initialize", hello)
        assert (await self.next())["result"]["protocolVersion"] == self.version
        await self.send({"method": "notifications/initialized"})


@asynccontextmanager
async def raw(
    server: Server[Any], version: str, capabilities: Mapping[str, Any] | None = None
) -> AsyncGenerator[RawHost]:
    """Give a host with these capabilities; with forms if nothing is said."""
    forms: dict[str, Any] = {"elicitation": {"form": {}}}
    declared = forms if capabilities is None else capabilities
    async with create_client_server_memory_streams() as ((receive, send), theirs), anyio.create_task_group() as group:
        group.start_soon(server.run, *theirs, server.create_initialization_options())
        host = RawHost(receive, send, version, declared)
        await host.connect()
        yield host
        group.cancel_scope.cancel()


def error_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the error of a result as it goes over the wire."""
    assert result["isError"], result
    return result["structuredContent"]["error"]

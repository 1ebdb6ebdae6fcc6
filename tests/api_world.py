"""What the tests of the API client share: commands, tokens, and servers on loopback that misbehave to order."""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
from anyio.abc import SocketAttribute

from kallyai_mcp.api import ApiClient
from kallyai_mcp.catalog import find
from kallyai_mcp.model import ApiRequest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from anyio.abc import ByteStream

RUN = "6f1c2b1e-7f0e-4c57-9b4e-0f7d3a6f5a10"
GOALS = find("kallyai_coord_goals")
GOAL = find("kallyai_coord_goal")
MAKE = find("kallyai_calls_make")
SEND_MAIL = find("kallyai_actions_email_send")
CANCEL_GOAL = find("kallyai_coord_cancel_goal")
CALENDAR = find("kallyai_calls_calendar")
COSTS = find("kallyai_credits_costs")
VERIFY = find("kallyai_channels_email_verify")

GET_GOALS = ApiRequest("GET", "/v1/coordination/goals")
POST_CALL = ApiRequest("POST", "/v1/calls", (), {"submission": {"task_description": "Ask for a table"}})
POST_MAIL = ApiRequest("POST", "/v1/actions/email/send", (), {"subject": "Hello"})


@dataclass
class FakeTokens:
    """Hands out the first token, then, each time it is renewed, the next one."""

    tokens: list[str | None] = field(default_factory=lambda: ["token-1", None])
    refused: list[str] = field(default_factory=list[str])

    async def token(self) -> str | None:
        return self.tokens[0]

    async def renew(self, refused: str) -> str | None:
        self.refused.append(refused)
        self.tokens = self.tokens[1:] or [None]
        return self.tokens[0]


@dataclass
class Sleeps:
    """Counts the waits instead of waiting."""

    waited: list[float] = field(default_factory=list[float])

    async def __call__(self, seconds: float) -> None:
        self.waited.append(seconds)


Reply = httpx2.Response | Exception


@dataclass
class Script:
    """A transport that gives the replies in their order, the last one for ever, and keeps the requests."""

    replies: list[Reply]
    requests: list[httpx2.Request] = field(default_factory=list[httpx2.Request])

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return reply


def scripted(*replies: Reply, **options: Any) -> tuple[ApiClient, Script]:
    """Return a client for the live address whose network is the script."""
    script = Script(list(replies))
    options = {"sleep": Sleeps(), "random": lambda: 0.0} | options
    client = ApiClient(
        options.pop("origin", "https://api.kallyai.com"),
        version="9.9",
        transport=httpx2.MockTransport(script),
        **options,
    )
    return client, script


def reply(status: int = 200, data: Any = None, **headers: str) -> httpx2.Response:
    """Return an answer in JSON."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return httpx2.Response(
        status, content=json.dumps(data).encode(), headers={"Content-Type": "application/json"} | named
    )


def raw(body: bytes, media_type: str = "application/json", status: int = 200) -> httpx2.Response:
    """Return an answer of these bytes."""
    return httpx2.Response(status, content=body, headers={"Content-Type": media_type})


@dataclass
class Loopback:
    """A server that was started for a test."""

    origin: str
    received: list[bytes] = field(default_factory=list[bytes])
    gone: anyio.Event = field(default_factory=anyio.Event)
    """Set when a client closed its side while the server was busy."""


@asynccontextmanager
async def serving(behave: Callable[[ByteStream, Loopback], Awaitable[None]]) -> AsyncGenerator[Loopback]:
    """Serve on loopback: read one request's head and body, then behave as told, then close."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - anyio, not Django
    world = Loopback(f"http://127.0.0.1:{port}")

    async def handle(stream: ByteStream) -> None:
        async with stream:
            try:
                world.received.append(await _request(stream))
                await behave(stream, world)
            except (anyio.BrokenResourceError, anyio.EndOfStream, anyio.ClosedResourceError):
                world.gone.set()

    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, handle)
        yield world
        group.cancel_scope.cancel()


async def _request(stream: ByteStream) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive()
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while len(body) < (int(length[1]) if length else 0):
        body += await stream.receive()
    return head + b"\r\n\r\n" + body


def head(status: str = "200 OK", *lines: str) -> bytes:
    """Return the head of an HTTP/1.1 answer in JSON."""
    return "\r\n".join([f"HTTP/1.1 {status}", "Content-Type: application/json", *lines, "", ""]).encode()

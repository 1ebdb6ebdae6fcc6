"""A server that several people share, and the API behind it, all in this process."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack, asynccontextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import anyio
from hosts import UNATTENDED, engine_of
from mcp import Client
from mcp_types import Implementation

from kallyai_mcp import __version__
from kallyai_mcp.api import ApiClient
from kallyai_mcp.exposure import exposed, index
from kallyai_mcp.model import Defaults
from kallyai_mcp.server import build_server, load_tools
from kallyai_mcp.server.apps import EXTENSION, MIME_TYPE
from kallyai_mcp.server.loopback import HOST, Loopback
from kallyai_mcp.server.people import Person
from kallyai_mcp.server.resources.watching import Pace
from kallyai_mcp.settings import Settings
from kallyai_mcp.tool_settings import ToolSettings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from mcp.server.context import ServerRequestContext
    from mcp.server.lowlevel import Server
    from starlette.types import Receive, Scope, Send

    from kallyai_mcp.engine import Engine
    from kallyai_mcp.engine.consents import Consents
    from kallyai_mcp.engine.parts import Parts

QUICK = Pace(first=0.02, growth=1.0, longest=0.02, after_error=0.02, longest_error=0.05)
SHOWS_APPS = {EXTENSION: {"mimeTypes": [MIME_TYPE]}}
PATIENCE = 60.0
"""Seconds after which something that was waited for counts as missing."""


class Service:
    """The API. What it answers under a path is a person's own, or the same for all.

    Attributes:
        data: Answers by path, or by token and path; a number is a status without an answer.
        seen: Tokens and paths, in the order in which they came.
        delay: Seconds before each answer.
    """

    def __init__(self) -> None:
        self.data: dict[str | tuple[str, str], Any] = {}
        self.seen: list[tuple[str, str]] = []
        self.delay = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        del receive
        headers = dict(scope["headers"])
        token, path = headers.get(b"authorization", b"").decode().removeprefix("Bearer "), scope["raw_path"].decode()
        data = self.data.get((token, path), self.data.get(path, 404))
        self.seen.append((token, path))
        await anyio.sleep(self.delay)
        status, body = (data, b"{}") if isinstance(data, int) else (200, json.dumps(data).encode())
        start = {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        await send(start)
        await send({"type": "http.response.body", "body": body})

    def count(self, path: str) -> int:
        """Return how often a path was asked for."""
        return [asked for _, asked in self.seen].count(path)


class Token:
    """A token that is always the same, or none.

    Args:
        value: The token.
    """

    def __init__(self, value: str | None) -> None:
        self.value = value

    async def token(self) -> str | None:
        return self.value

    async def renew(self, refused: str) -> str | None:
        del refused
        return None


class Household:
    """People, told apart by the name of their client."""

    def __init__(self) -> None:
        self.persons: dict[str, Person] = {}
        self.parts: dict[str, Parts] = {}
        self.tokens: dict[str, Token] = {}

    def account(self, ctx: ServerRequestContext[Any], /) -> str:
        """Return who calls."""
        assert ctx.session.client_params is not None
        return ctx.session.client_params.client_info.name

    async def person(self, ctx: ServerRequestContext[Any], /) -> Person:
        """Return them."""
        return self.persons[self.account(ctx)]

    @asynccontextmanager
    async def living(self, _: Any = None) -> AsyncGenerator[dict[str, Any]]:
        """Keep nothing."""
        yield {}

    def add(self, name: str, api: ApiClient, folder: str, **more: str) -> None:
        """Let somebody move in."""
        settings = Settings.read(UNATTENDED | {"KALLYAI_STATE_DIR": folder} | more)
        self.tokens[name] = Token(f"token-of-{name}")

        async def acts(args: Any) -> dict[str, Any]:
            return await self.parts[name].control.commands()["acts"](args)

        engine, self.parts[name] = engine_of(settings, api, self.tokens[name], Defaults(), {"acts": acts})

        async def give() -> Engine:
            return engine

        async def consents() -> Consents:
            return self.parts[name].consents

        self.persons[name] = Person(give, consents=consents)


class World:
    """All of it.

    Args:
        server: The server.
        service: The API.
        people: Who is served.
    """

    def __init__(self, server: Server[Any], service: Service, people: Household) -> None:
        self.server = server
        self.service = service
        self.people = people

    def client(self, name: str = "ann", mode: str = "2026-07-28", **more: Any) -> Client:
        """Return the client of a person."""
        return Client(self.server, mode=mode, client_info=Implementation(name=name, version="1"), **more)


@asynccontextmanager
async def world(
    *names: str, is_exposed: Callable[[str], bool] = lambda _: True, pace: Pace = QUICK, **more: str
) -> AsyncGenerator[World]:
    """Give a world of these people."""
    service, people = Service(), Household()
    async with AsyncExitStack() as stack:
        loopback = Loopback(service)
        origin = f"http://{HOST}:{await loopback.start()}"
        stack.push_async_callback(loopback.close)
        api = await stack.enter_async_context(ApiClient(origin, version=__version__))
        for name in names or ("ann",):
            folder = stack.enter_context(TemporaryDirectory())
            people.add(name, api, folder, KALLYAI_API_URL=origin, **more)
            stack.push_async_callback(people.parts[name].aclose)
        hidden = tuple(name for name in index() if not is_exposed(name))
        exposure = exposed(ToolSettings(exclude_tools=hidden))
        server = build_server(load_tools(exposure), people, exposure=exposure, pace=pace)
        yield World(server, service, people)


async def until(claim: Callable[[], Any]) -> None:
    """Wait until something holds."""
    with anyio.fail_after(PATIENCE):
        while not claim():  # noqa: ASYNC110 - what is waited for happens in code that knows nothing of this test
            await anyio.sleep(0.01)

"""What the tests of calls, numbers and credits share: a sandbox whose clock jumps, and a client that is signed in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx2

from kallyai_mcp.catalog import by_words
from kallyai_mcp.model import Defaults, build_request, parse
from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.clock import FIXED_START, SandboxClock
from kallyai_mcp.sandbox.world import World

if TYPE_CHECKING:
    from starlette.applications import Starlette

TOKEN = "kallyai_sandbox_at_demo"


class Telephone:
    """A sandbox in memory, driven over HTTP. With speed 0 its clock stands until a test advances it."""

    def __init__(self, *, speed: float = math.inf) -> None:
        self.world = World(clock=SandboxClock(FIXED_START, speed=speed))
        self._app: Starlette = create_app(self.world)

    async def send(
        self, method: str, path: str, body: Any = None, *, token: str | None = TOKEN, **headers: str
    ) -> httpx2.Response:
        """Send one request."""
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        transport = httpx2.ASGITransport(self._app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, json=body, headers=headers)

    async def run(self, words: str, **arguments: Any) -> httpx2.Response:
        """Run one command, named as typed."""
        command = by_words()[tuple(words.split())]
        request = build_request(command, parse(command, arguments), Defaults())
        query = f"?{urlencode(request.query)}" if request.query else ""
        return await self.send(request.method, request.path + query, request.body)

    async def got(self, words: str, **arguments: Any) -> Any:
        """Run one command that must succeed, and return its JSON."""
        response = await self.run(words, **arguments)
        assert response.is_success, response.text
        return response.json()

    async def refused(self, words: str, **arguments: Any) -> tuple[int, str | None]:
        """Run one command that must be refused; return status and code."""
        response = await self.run(words, **arguments)
        return response.status_code, response.json()["error"].get("code")

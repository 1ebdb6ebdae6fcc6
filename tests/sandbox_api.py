"""The sandbox as a client meets it: commands sent as requests into the application, on a clock that stands still."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2

from kallyai_mcp import catalog
from kallyai_mcp.model import Defaults, build_request, parse
from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.clock import FIXED_START, SandboxClock
from kallyai_mcp.sandbox.tokens import DEMO_TOKEN
from kallyai_mcp.sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

CREDENTIALS = {
    "KALLYAI_TELEGRAM_BOT_TOKEN": "made-up-bot-token",
    "KALLYAI_WHATSAPP_PHONE_NUMBER_ID": "made-up-id",
    "KALLYAI_WHATSAPP_ACCESS_TOKEN": "made-up-token",
    "KALLYAI_WHATSAPP_BUSINESS_ACCOUNT_ID": "made-up-account",
}


class SandboxApi:
    """Runs commands against a world of its own, with all that a new one holds."""

    def __init__(self, world: World, client: httpx2.AsyncClient) -> None:
        self.world = world
        self.client = client

    async def send(self, words: str, **arguments: Any) -> httpx2.Response:
        """Send the request of a command, such as `send("actions ride", pickup=..., destination=...)`."""
        command = catalog.by_words()[tuple(words.split())]
        made = build_request(command, parse(command, arguments), Defaults(credentials=CREDENTIALS))
        headers = {} if command.public else {"Authorization": f"Bearer {DEMO_TOKEN}"}
        return await self.client.request(
            made.method, made.path, params=list(made.query), json=made.body, headers=headers
        )

    async def run(self, words: str, **arguments: Any) -> dict[str, Any]:
        """Run a command that must succeed and return its answer."""
        answer = await self.send(words, **arguments)
        assert answer.is_success, answer.text
        return answer.json()

    async def refused(self, words: str, **arguments: Any) -> tuple[int, str | None]:
        """Run a command that must be refused and return the status and the code, if there is one."""
        answer = await self.send(words, **arguments)
        assert answer.is_error, answer.text
        return answer.status_code, answer.json()["error"].get("code")

    async def credits_left(self) -> float:
        """Return the balance."""
        return (await self.run("credits balance"))["credits_remaining"]

    def spend_all(self) -> None:
        """Use up the credits."""
        account = self.world.need("account", "me")
        self.world.save("account", account | {"credits_used": account["credits_allocated"]})

    def wait(self, seconds: float) -> None:
        """Let time pass in the world, and everything happen that is due by then."""
        self.world.clock.advance(seconds)
        self.world.run_due()


@asynccontextmanager
async def open_sandbox() -> AsyncGenerator[SandboxApi]:
    """Open a new world and a client of it."""
    world = World(clock=SandboxClock(FIXED_START, speed=0, real=lambda: 0.0))
    transport = httpx2.ASGITransport(app=create_app(world))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8765") as client:
        try:
            yield SandboxApi(world, client)
        finally:
            world.close()

"""A small world for the tests of the sandbox's core, and a client of its application in this process."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2

from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.area import Area
from kallyai_mcp.sandbox.clock import FIXED_START, SandboxClock
from kallyai_mcp.sandbox.tokens import DEMO_TOKEN
from kallyai_mcp.sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from kallyai_mcp.commands.calls import MakeCall, ReadTranscript

CALL = {
    "submission": {
        "respondent_phone": "+15550100",
        "task_description": "Ask when they close today.",
        "task_category": "general",
        "language": "en",
        "call_language": "en",
    },
    "timezone": "America/New_York",
}


def small_area() -> Area:
    area = Area()

    @area.answers("calls make")
    async def make(world: World, args: MakeCall) -> dict[str, Any]:
        call = world.add("call", {"to": args.phone})
        await world.until(30)
        return {"call_id": call["id"], "task": args.task}

    @area.answers("calls transcript")
    def transcript(world: World, args: ReadTranscript) -> dict[str, Any]:
        return {"entries": [world.need("call", args.call_id, "call_not_found")["to"]]}

    @area.event("tick")
    def tick(world: World, _: dict[str, Any]) -> None:
        world.add("tick", {})

    return area


def small_world() -> World:
    return World(areas=[small_area()], clock=SandboxClock(FIXED_START, speed=float("inf")))


@asynccontextmanager
async def connected(world: World, *, token: str | None = DEMO_TOKEN) -> AsyncGenerator[httpx2.AsyncClient]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    transport = httpx2.ASGITransport(create_app(world))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8770", headers=headers) as client:
        yield client


def error_of(answer: httpx2.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    assert error["correlation_id"] == answer.headers["X-Request-Id"]
    return error


def call_with(**submission: Any) -> dict[str, Any]:
    return {**CALL, "submission": {**CALL["submission"], **submission}}  # type: ignore[dict-item] - a JSON object

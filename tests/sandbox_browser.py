"""What a browser does with the sandbox's pages, without a browser: read a form, send it back."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2

from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.clock import FIXED_START, SandboxClock
from kallyai_mcp.sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

ORIGIN = "http://127.0.0.1:8765"


@contextmanager
def still_world() -> Generator[World]:
    """Make an empty world whose clocks stand still until they are put ahead."""
    world = World(clock=SandboxClock(FIXED_START, speed=0, real=lambda: 0.0), areas=())
    try:
        yield world
    finally:
        world.close()


@asynccontextmanager
async def open_client(world: World) -> AsyncGenerator[httpx2.AsyncClient]:
    """Return a client of the sandbox around a world; it keeps cookies."""
    transport = httpx2.ASGITransport(app=create_app(world))
    async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        yield client


def hidden_fields(page: str) -> dict[str, str]:
    """Return the hidden fields of a page's form."""
    return _Hidden(page).fields


async def decide(client: httpx2.AsyncClient, path: str, decision: str) -> httpx2.Response:
    """Open a page that asks, and press `approve` or `deny`."""
    page = await client.get(path)
    assert page.status_code == 200
    return await client.post(urlsplit(path).path, data=hidden_fields(page.text) | {"decision": decision})


def error_of(answer: httpx2.Response) -> str:
    """Return the code of an OAuth error, which must be shaped as RFC 6749 5.2 says."""
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json().keys() == {"error", "error_description"}
    return answer.json()["error"]


class _Hidden(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = dict(attrs)
        if tag == "input" and facts.get("type") == "hidden":
            self.fields[str(facts["name"])] = facts.get("value") or ""

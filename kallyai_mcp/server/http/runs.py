"""The runs under way, as a middleware of the server: how many there are, what became of them, and none twice."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol, cast

import anyio
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_REQUEST, InputRequiredResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

if TYPE_CHECKING:
    from collections.abc import Collection

    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

UNKNOWN = "unknown"
"""The tool of a run that names none that is served: what it names may be anything."""

DUPLICATE = "Another request with this id is under way; it was not begun a second time."


class Watch(Protocol):
    """Is told of runs. No argument and no text of one reaches it."""

    def began(self, tool: str) -> None:
        """A run began."""
        ...

    def ended(self, tool: str, outcome: str, seconds: float) -> None:
        """A run ended: "done", "asked", "refused" by the protocol, "cancelled", or the code of its error."""
        ...


class Runs:
    """Counts runs, and refuses a request whose id another one of its connection has while it is under way.

    No host may repeat an id (MCP, base protocol, requests), and two runs could be two phone calls. A request of
    2026-07-28 is a connection of its own, and its id is unique anyway.

    Args:
        tools: Names of the tools that are served.
    """

    def __init__(self, tools: Collection[str]) -> None:
        self._tools = frozenset(tools)
        self._ids: set[tuple[int, str]] = set()
        self._none = anyio.Event()
        self.watches: list[Watch] = []
        self.in_flight = 0

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Run."""
        if ctx.request_id is None or ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
            return await self._counted(ctx, call_next)
        host = ctx.session.client_params
        key = (id(host), str(ctx.request_id))
        if host is None:  # before the handshake, and where there are no sessions
            return await self._counted(ctx, call_next)
        if key in self._ids:
            raise MCPError(INVALID_REQUEST, DUPLICATE)
        self._ids.add(key)
        try:
            return await self._counted(ctx, call_next)
        finally:
            self._ids.discard(key)

    async def none_left(self) -> None:
        """Wait until no run is under way."""
        while self.in_flight:
            self._none = anyio.Event()
            await self._none.wait()

    async def _counted(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.method != "tools/call":
            return await call_next(ctx)
        self.in_flight += 1
        try:
            return await (self._watched(ctx, call_next) if self.watches else call_next(ctx))
        finally:
            self.in_flight -= 1
            if not self.in_flight:
                self._none.set()

    async def _watched(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        name = (ctx.params or {}).get("name")
        tool = name if isinstance(name, str) and name in self._tools else UNKNOWN
        for watch in self.watches:
            watch.began(tool)
        started, outcome = time.perf_counter(), "cancelled"
        try:
            result = await call_next(ctx)
            outcome = _outcome(result)
        except Exception:
            outcome = "refused"
            raise
        finally:
            seconds = time.perf_counter() - started
            for watch in self.watches:
                watch.ended(tool, outcome, seconds)
        return result


def _outcome(result: HandlerResult) -> str:
    if isinstance(result, InputRequiredResult):
        return "asked"
    found = result if isinstance(result, dict) else {}
    if found.get("resultType") == "input_required":
        return "asked"
    if not found.get("isError"):
        return "done"
    structured = cast("dict[str, Any]", found.get("structuredContent") or {})
    code = cast("dict[str, Any]", structured.get("error") or {}).get("code")
    return code if isinstance(code, str) else "error"

"""An MCP host: starts the server as a program of its own, with an empty home, and runs its tools."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import MCPError
from mcp_types import Implementation, TextContent

from kallyai_mcp import __version__
from kallyai_mcp.cli.demo.checks import Failed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from mcp_types import Tool

TIMEOUT = 60.0
"""Seconds that one run may take."""
_LAST_LINES = 600
"""Characters of the server's log that are shown when it fails."""


class Host:
    """A connection to the server."""

    def __init__(self, client: Client, log: Path) -> None:
        self._client = client
        self._log = log
        self.text = ""
        """The last answer as a model reads it."""

    @property
    def server(self) -> str:
        """What the server is called, its version, and the protocol it speaks with this host."""
        info = self._client.server_info
        name = f"{info.title or info.name} {info.version}, " if info else ""
        return f"{name}protocol {self._client.protocol_version}"

    async def tools(self) -> list[Tool]:
        """List the tools.

        Raises:
            Failed: There is no list.
        """
        return (await self._answered("The server lists its tools.", self._client.list_tools())).tools

    async def run(
        self, tool: str, /, *, progress: Callable[[str], None] | None = None, **arguments: Any
    ) -> dict[str, Any]:
        """Run a tool and return its answer, structured.

        Raises:
            Failed: It answers with an error, or not at all.
        """
        result, is_error = await self._run(tool, arguments, progress)
        if is_error:
            raise Failed(f"{tool} succeeds.", f"{result['error']['code']}: {result['error']['message']}")
        return result

    async def refused(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """Run a tool that is to be refused, and return the error.

        Raises:
            Failed: It is not refused.
        """
        result, is_error = await self._run(tool, arguments, None)
        if not is_error:
            raise Failed(f"{tool} is refused.", "it succeeded")
        return result["error"]

    async def _run(
        self, tool: str, arguments: dict[str, Any], told: Callable[[str], None] | None
    ) -> tuple[dict[str, Any], bool]:
        async def report(progress: float, total: float | None, message: str | None) -> None:
            if told is not None:
                told(message or "")

        running = self._client.call_tool(tool, arguments, progress_callback=report if told else None)
        result = await self._answered(f"{tool} answers.", running)
        self.text = "".join(part.text for part in result.content if isinstance(part, TextContent))
        return result.structured_content or {}, bool(result.is_error)

    async def _answered(self, what: str, answer: Awaitable[Any]) -> Any:
        try:
            return await answer
        except MCPError as error:
            log = self._log.read_text(encoding="utf-8", errors="replace").strip()[-_LAST_LINES:]
            raise Failed(what, f"{error.error.message}. {log}".strip()) from None


@asynccontextmanager
async def hosting() -> AsyncGenerator[Host]:
    """Start the server with a sandbox, and give a host that is connected to it; at the end nothing of it is left."""
    with TemporaryDirectory(prefix="kallyai-demo-", ignore_cleanup_errors=True) as home:
        log = Path(home) / "server.log"
        # Settings of this terminal do not reach the server: stdio_client hands on nothing but what is named here and
        # the like of PATH.
        places = dict.fromkeys(("HOME", "USERPROFILE", "TMPDIR", "TEMP", "KALLYAI_STATE_DIR"), home)
        server = StdioServerParameters(
            command=sys.executable,
            args=["-m", "kallyai_mcp", "--sandbox"],
            env={**places, "KALLYAI_NO_BROWSER": "1"},
            cwd=home,
        )
        info = Implementation(name="kallyai-mcp-demo", version=__version__)
        with log.open("w", encoding="utf-8") as errors:
            async with Client(
                stdio_client(server, errlog=errors), client_info=info, read_timeout_seconds=TIMEOUT
            ) as client:
                yield Host(client, log)

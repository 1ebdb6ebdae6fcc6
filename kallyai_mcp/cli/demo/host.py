"""An MCP host: starts the server as a program of its own, with an empty home, runs its tools, and opens addresses."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitRequestURLParams, ElicitResult, Implementation, TextContent

from kallyai_mcp import __version__
from kallyai_mcp.cli.demo.checks import Failed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from mcp.client import ClientRequestContext, Transport
    from mcp_types import ElicitRequestParams, Tool

RULES = {"KALLYAI_CONTACT_HOURS": "off", "KALLYAI_MAX_CALLS_PER_HOUR": "1"}
"""The demo plays at any hour, and comes to a limit soon."""

TIMEOUT = 60.0
"""Seconds that one run may take."""
_LAST_LINES = 600
"""Characters of the server's log that are shown when it fails."""


class Host:
    """A connection to the server.

    Args:
        server: How to reach it.
        log: Where its log is.
    """

    def __init__(self, server: Transport, log: Path) -> None:
        self.client = Client(
            server,
            client_info=Implementation(name="kallyai-mcp-demo", version=__version__),
            read_timeout_seconds=TIMEOUT,
            elicitation_callback=self._ask_user,
        )
        self._log = log
        self.home = log.parent
        """The server's home, with all that it keeps."""
        self._failure: Exception | None = None
        self.text = ""
        """The last answer as a model reads it."""
        self.send_user: Callable[[str, str], Awaitable[None]] | None = None
        """Has the user open an address, given with the server's message about it; without it the user declines."""
        self.decide: Callable[[str], Awaitable[bool]] | None = None
        """Puts a question to the user; without it the user declines."""

    @property
    def server(self) -> str:
        """What the server is called, its version, and the protocol it speaks with this host."""
        info = self.client.server_info
        name = f"{info.title or info.name} {info.version}, " if info else ""
        return f"{name}protocol {self.client.protocol_version}"

    async def tools(self) -> list[Tool]:
        """List the tools.

        Raises:
            Failed: There is no list.
        """
        return (await self._answered("The server lists its tools.", self.client.list_tools())).tools

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

        running = self.client.call_tool(tool, arguments, progress_callback=report if told else None)
        result = await self._answered(f"{tool} answers.", running)
        if self._failure is not None:
            raise self._failure
        self.text = "".join(part.text for part in result.content if isinstance(part, TextContent))
        return result.structured_content or {}, bool(result.is_error)

    async def _ask_user(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        del context
        try:
            if not isinstance(params, ElicitRequestURLParams):
                agrees = self.decide is not None and await self.decide(params.message)
                return ElicitResult(action="accept", content={}) if agrees else ElicitResult(action="decline")
            if self.send_user is None:
                return ElicitResult(action="decline")
            await self.send_user(params.url, params.message)
        except Exception as error:  # noqa: BLE001 - raised where the run was asked for; the client would wrap it
            self._failure = error
            return ElicitResult(action="cancel")
        return ElicitResult(action="accept")

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
            env={**places, "KALLYAI_NO_BROWSER": "1", **RULES},
            cwd=home,
        )
        with log.open("w", encoding="utf-8") as errors:
            host = Host(stdio_client(server, errlog=errors), log)
            async with host.client:
                yield host

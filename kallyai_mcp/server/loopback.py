"""A small HTTP server on this machine for pages that a person opens, in the event loop of the MCP server.

It is bounded in every direction: connections, their time, the size of what they send. Where there are too many
connections the oldest makes room, so that whoever holds some open, sending little or nothing, keeps nobody out.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from kallyai_mcp.server.quiet import quiet

if TYPE_CHECKING:
    from starlette.types import ASGIApp

HOST = "127.0.0.1"
MOST_CONNECTIONS = 32
LONGEST_CONNECTION = 10.0
"""Seconds after which a connection is cut whatever it is doing."""

LARGEST_HEAD = 16 * 1024
"""Bytes of a request before its body."""


class Loopback:
    """A server that listens on a free port from `start` to `close`. It writes no log of requests.

    Args:
        app: Answers them; it is told of no lifespan.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._config = quiet(app, _Connection, date_header=False, h11_max_incomplete_event_size=LARGEST_HEAD)
        self._connections: dict[_Connection, None] = {}
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Begin to listen, and return the port.

        Raises:
            OSError: The system gives none.
        """
        self._config.load()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, HOST, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """Stop listening, cut every connection and end every request."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._connections):
            connection.transport.abort()
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    def _connection(self) -> _Connection:
        made = _Connection(self._config, self._state, {})
        made.table = self._connections
        return made


class _Connection(H11Protocol):
    """A connection of bounded length that knows of the others."""

    table: dict[_Connection, None]
    _end: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - narrower in uvicorn than in asyncio
        super().connection_made(cast("asyncio.Transport", transport))
        while len(self.table) >= MOST_CONNECTIONS:
            oldest = next(iter(self.table))
            self.table.pop(oldest)
            oldest.transport.abort()
        self.table[self] = None
        self._end = self.loop.call_later(LONGEST_CONNECTION, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end.cancel()
        self.table.pop(self, None)
        super().connection_lost(exc)

    def _should_upgrade(self) -> Any:
        return False  # nothing but HTTP/1.1; uvicorn would log advice to install something

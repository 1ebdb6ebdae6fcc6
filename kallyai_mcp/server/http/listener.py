"""A server for one application on sockets that are open already, within the event loop of the program.

uvicorn's own server takes the signals, waits for clients without an end, and leaves the sockets' names to chance.
"""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from typing import TYPE_CHECKING

from uvicorn.server import ServerState

from kallyai_mcp.server.http.connections import LOOK_EVERY, Connection, Connections
from kallyai_mcp.server.quiet import quiet

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

HEADERS = [("cross-origin-resource-policy", "same-origin"), ("x-content-type-options", "nosniff")]
"""Part of every answer: no page of another origin may embed one, or read it as what it is not."""

BACKLOG = 1024


class Listener:
    """A server that listens from `start` to `close`. It writes no log of requests.

    Args:
        app: Answers them; it is told of no lifespan.
        connections: The table of connections.
    """

    def __init__(self, app: ASGIApp, connections: Connections) -> None:
        self._app = app
        self._is_closing = False
        self._config = quiet(self._serve, Connection, headers=HEADERS)
        self._state = ServerState()
        self._servers: list[asyncio.Server] = []
        self._looking: asyncio.Task[None] | None = None
        self.connections = connections

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Begin to listen."""
        self._config.load()
        self._set_headers()
        loop = asyncio.get_running_loop()
        for each in sockets:
            server = await loop.create_server(self._connection, sock=each, backlog=BACKLOG)
            self._servers.append(server)
        self._looking = asyncio.create_task(self._look())

    def stop_listening(self) -> None:
        """Take no new connections, and give up those that wait for nothing."""
        for server in self._servers:
            server.close()
        for connection in list(self.connections.all):
            connection.shutdown()

    async def close(self) -> None:
        """Cut every connection and end every request."""
        self._is_closing = True
        self.stop_listening()
        for connection in list(self.connections.all):
            connection.transport.abort()
        await asyncio.sleep(0)  # until the requests know that nobody waits for their answers
        tasks = [*self._state.tasks, *([] if self._looking is None else [self._looking])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if not self._is_closing:  # else uvicorn would log each stream that was open as a failure
                raise

    def _connection(self) -> Connection:
        return Connection(self._config, self._state, self.connections)

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_EVERY)
            self._set_headers()
            self.connections.look(loop.time())

    def _set_headers(self) -> None:
        date = formatdate(time.time(), usegmt=True).encode()
        self._state.default_headers = [(b"date", date), *self._config.encoded_headers]

"""The HTTP server under a sandbox: uvicorn without signals and logs, whose connections can be closed from inside."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from kallyai_mcp.model.sandbox_marks import HEADER
from kallyai_mcp.sandbox.delivery import EXTENSION

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Generator

    from starlette.types import ASGIApp, Receive, Scope, Send


class Listener:
    """ASGI application around the sandbox's: knows the connections and the requests that are being served."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._running: set[anyio.CancelScope] = set()
        self.transports: dict[tuple[str, int], asyncio.Transport] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        transport = self.transports.get(tuple(scope["client"] or ()))  # pyright: ignore[reportArgumentType] - ASGI: a host and a port
        extensions = {**scope.get("extensions", {}), EXTENSION: transport}
        with anyio.CancelScope() as running:
            self._running.add(running)
            try:
                await self._app({**scope, "extensions": extensions}, receive, send)
            finally:
                self._running.discard(running)

    def stop(self) -> None:
        """Close every connection and end every request, now."""
        for transport in list(self.transports.values()):
            transport.abort()
        for running in list(self._running):
            running.cancel()


class EmbeddedServer(Server):
    """A server that leaves the signals of the process alone and says when it is ready (or has failed to be)."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.ready = anyio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets=sockets)
        self.ready.set()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until `should_exit`."""
        try:
            await super().serve(sockets)
        finally:
            self.ready.set()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


def server_for(listener: Listener, *, grace: float) -> EmbeddedServer:
    """Return a server for an application; `grace` is how many seconds requests may take to end."""

    class Connection(H11Protocol):
        """Enters its transport in the listener's table."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if self.client is not None:
                listener.transports[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            if self.client is not None:
                listener.transports.pop(self.client, None)
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            """Answer what is no HTTP, marked as every answer is."""
            head = f"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: {len(msg)}\r\n"
            self.transport.write(f"{head}{HEADER}: true\r\nConnection: close\r\n\r\n{msg}".encode("ascii"))
            self.transport.close()

    config = Config(
        listener,
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=grace,  # pyright: ignore[reportArgumentType] - passed to asyncio.wait_for, which takes fractions
        timeout_keep_alive=75,
    )
    return EmbeddedServer(config)

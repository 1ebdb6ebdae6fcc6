"""What is served at which path, and what stands in front of it."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.routing import BaseRoute, Route, Router

from kallyai_mcp.server.http.endpoint import PATH, Endpoint, accept
from kallyai_mcp.server.http.fence import Fence, refuse
from kallyai_mcp.server.http.health import ALIVE_PATH, READY_PATH, Health
from kallyai_mcp.serving import HTTP, SSE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from mcp.server.lowlevel import Server
    from starlette.types import ASGIApp, Receive, Scope, Send

    from kallyai_mcp.server.http.access import Access, Bound
    from kallyai_mcp.serving import Serving


class Application:
    """The whole of it, as an ASGI application.

    Args:
        server: What is served.
        options: Transports, hosts, origins.
        access: Who may use the endpoints.
        bound: What is listened on.
        problems: Tells what is missing to serve, besides what `access` knows of.
        stateless: Whether hosts of handshake versions get no sessions.
    """

    def __init__(
        self,
        server: Server[Any],
        options: Serving,
        access: Access,
        bound: Bound,
        *,
        problems: Callable[[], Awaitable[list[str]]] | None = None,
        stateless: bool = False,
    ) -> None:
        self._server = server
        self._options = options
        self._access = access
        self._stateless = stateless
        self.health = Health([access.problems, *([] if problems is None else [problems])])
        self.routes: list[BaseRoute] = []
        self._router: ASGIApp = self._not_yet
        self._fence = Fence(
            self._routed,
            hosts=access.hosts(bound) | frozenset(options.allow_hosts),
            origins=access.origins(bound),
            pages=frozenset(options.allow_origins),
            anywhere=frozenset({ALIVE_PATH, READY_PATH}),
            visited=access.visited,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._fence(scope, receive, send)

    @asynccontextmanager
    async def living(self) -> AsyncGenerator[None]:
        """Be able to serve for as long as the block lasts."""
        server = self._server
        async with AsyncExitStack() as stack:
            state = await stack.enter_async_context(server.lifespan(server))

            @asynccontextmanager
            async def entered(_: Server[Any]) -> AsyncGenerator[Any]:
                yield state  # there is one for all connections

            server.lifespan = entered
            routes: list[BaseRoute] = []
            if HTTP in self._options.transport:
                endpoint = Endpoint(server, state, stateless=self._stateless)
                await stack.enter_async_context(endpoint.living())
                routes.append(Route(PATH, _Asgi(self._guarded(endpoint))))
            if SSE in self._options.transport:
                from kallyai_mcp.server.http.sse import MESSAGES_PATH, STREAM_PATH, SseEndpoint

                sse = SseEndpoint(server)
                routes.append(Route(STREAM_PATH, _Asgi(self._guarded(sse.stream))))
                routes.append(Route(MESSAGES_PATH, _Asgi(self._guarded(sse.messages))))
            routes.append(Route(ALIVE_PATH, self.health.alive))
            routes.append(Route(READY_PATH, self.health.ready))
            self.routes = [*routes, *self._access.routes()]
            self._router = Router(self.routes, redirect_slashes=False)
            yield

    def _guarded(self, app: ASGIApp) -> ASGIApp:
        async def admitted(scope: Scope, receive: Receive, send: Send) -> None:
            accept(scope)
            await app(scope, receive, send)

        return self._access.wrap(admitted)

    async def _routed(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.health.is_closing and scope["path"] not in {ALIVE_PATH, READY_PATH}:
            return await refuse(
                send, 503, "The server is about to end.", (b"retry-after", b"5"), (b"connection", b"close"), code=-32603
            )
        return await self._router(scope, receive, send)

    async def _not_yet(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await refuse(send, 503, "The server is about to begin.", (b"retry-after", b"1"), code=-32603)


class _Asgi:
    """Marks an application as one for `Route`, which takes plain functions for handlers of requests."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

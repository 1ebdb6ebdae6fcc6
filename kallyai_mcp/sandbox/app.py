"""The sandbox as one ASGI application: the API of the catalog, sign-in, pages and controls around a world."""

from __future__ import annotations

import inspect
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Match, Route

from kallyai_mcp.model import Effect
from kallyai_mcp.model.sandbox_marks import is_sandbox_token
from kallyai_mcp.sandbox import control, oauth, pages, tokens
from kallyai_mcp.sandbox.answers import refuse, respond, sample_reply, to_reply
from kallyai_mcp.sandbox.delivery import Delivery
from kallyai_mcp.sandbox.faults import Switches
from kallyai_mcp.sandbox.gate import Gate
from kallyai_mcp.sandbox.intake import read_arguments
from kallyai_mcp.sandbox.refusal import Refusal
from kallyai_mcp.sandbox.repeats import Repeats
from kallyai_mcp.sandbox.routes import Routes
from kallyai_mcp.sandbox.scopes import needed_scope

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request
    from starlette.responses import Response

    from kallyai_mcp.model import Args, Command
    from kallyai_mcp.sandbox.area import Reply
    from kallyai_mcp.sandbox.world import World

MAX_BODY = 1 << 20
"""Bytes of a request's body."""

REQUEST = "request"
"""Kind of the documents that record the requests which changed something."""

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def create_app(world: World) -> Starlette:
    """Return the application. Its lifespan lets events happen; without a lifespan they happen before each request."""
    switches = Switches()
    routes = Routes(world.handlers)
    api = Api(world, routes)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(world.keep_running)
            yield
            group.cancel_scope.cancel()

    return Starlette(
        routes=[
            *control.routes(world, switches),
            *oauth.routes(world),
            *pages.routes(world),
            Route("/{rest:path}", api.serve, methods=_METHODS),
        ],
        middleware=[Middleware(Gate, world, switches), Middleware(Delivery, switches, routes.tool_at)],
        exception_handlers={Refusal: _refused, HTTPException: _http_error},
        lifespan=lifespan,
    )


class Api:
    """Serves the commands of the catalog."""

    def __init__(self, world: World, routes: Routes) -> None:
        self._world = world
        self._routes = routes
        self._repeats = Repeats(world)

    async def serve(self, request: Request) -> Response:
        """Answer one request to the API.

        Raises:
            Refusal: Whatever the API documents for this request.
        """
        _refuse_wrong_method(request)
        path = request.scope["raw_path"].partition(b"?")[0].decode("latin-1")
        matched = self._routes.match(request.method, path)
        command = matched.command
        if not command.public:
            self._authorize(request, command)
        body = await _body(request)
        content_type = request.headers.get("content-type", "")
        args = read_arguments(command, matched.values, request.query_params.multi_items(), body, content_type)
        key = request.headers.get("idempotency-key") if command.idempotency_key else None
        entry = self._record(command, path, key)
        try:
            reply = await self._once(command, args, key, body)
        except Refusal as refusal:
            self._note(entry, refusal.status)
            raise
        self._note(entry, reply.status)
        return respond(reply)

    async def _once(self, command: Command, args: Args, key: str | None, body: bytes) -> Reply:
        if key is None:
            return await self._answer(command, args)
        return await self._repeats.once(command.name, key, body, lambda: self._answer(command, args))

    async def _answer(self, command: Command, args: Args) -> Reply:
        handler = self._world.handlers.get(command.name)
        if handler is None:
            return sample_reply(command)
        if inspect.iscoroutinefunction(handler):
            return to_reply(command, await handler(self._world, args))
        with self._world.transaction():
            return to_reply(command, handler(self._world, args))

    def _authorize(self, request: Request, command: Command) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Refusal("missing_token")
        if not is_sandbox_token(token.strip()):
            raise Refusal("token_expired", "This is the sandbox; it takes only tokens that a sandbox issued.")
        access = tokens.lookup(self._world, token.strip())
        if access is None:
            raise Refusal("token_expired")
        scope = needed_scope(command)
        if scope is not None and scope not in access.scopes:
            raise Refusal("forbidden", details={"scope": scope})

    def _record(self, command: Command, path: str, key: str | None) -> dict[str, Any] | None:
        if command.effect is Effect.READ and not command.costs_credits:
            return None
        facts: dict[str, Any] = {
            "method": command.method,
            "path": path,
            "command": command.name,
            "idempotency_key": key,
            "time": self._world.now(),
            "status": None,
        }
        return self._world.add(REQUEST, facts)

    def _note(self, entry: dict[str, Any] | None, status: int) -> None:
        if entry is not None and self._world.get(REQUEST, entry["id"]) is not None:
            self._world.save(REQUEST, entry | {"status": status})


def _refuse_wrong_method(request: Request) -> None:
    """Refuse what only fell through to the API because another route does not take its method.

    Raises:
        Refusal: 405.
    """
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is Match.PARTIAL:
            raise Refusal(status=405, headers={"Allow": ", ".join(sorted(route.methods or ()))})


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body.extend(chunk)
        if len(body) > MAX_BODY:
            raise Refusal(status=413)
    return bytes(body)


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, Refusal):
        raise error
    return refuse(error, request)


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return refuse(Refusal(status=error.status_code, headers=error.headers), request)

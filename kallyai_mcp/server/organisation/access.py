"""Who may use the endpoints of an organisation's server: whoever brings a good token of its identity provider.

The token ends here. What goes on has the caller in it and no `Authorization` header, so that nothing behind this check
can send a token anywhere.
"""

from __future__ import annotations

import logging
import math
import re
import time
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl, urlsplit

import anyio
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.authentication import AuthCredentials
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from kallyai_mcp.auth.callers.policy import LEEWAY
from kallyai_mcp.auth.callers.principal import Caller, TokenRefused
from kallyai_mcp.errors import KallyError
from kallyai_mcp.server.http.endpoint import LARGEST_BODY
from kallyai_mcp.server.organisation.challenge import WELL_KNOWN, Challenges

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from kallyai_mcp.server.http.access import Bound
    from kallyai_mcp.server.organisation.scopes import Scopes

logger = logging.getLogger(__name__)

ENDPOINTS = ("/mcp", "/sse")
"""What tokens are for: Streamable HTTP, and the older transport."""

VISITED = ("/link/", "/approve/", "/people/")
"""Beginnings of the paths of pages that people open in a browser, coming from their assistant or from the provider."""

_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)", re.ASCII)
"""RFC 6750, 2.1; the name of the scheme in upper or lower case (RFC 9110, 11.1)."""


class Tokens(Protocol):
    """Tells whose a token is."""

    async def caller(self, token: str) -> Caller:
        """Return whose it is.

        Raises:
            TokenRefused: It is not good for this server.
            KallyError: That cannot be found out.
        """
        ...


class KnownUser(AuthenticatedUser):
    """The caller, as the protocol's library wants one: it binds sessions to who it is.

    Attributes:
        caller: What their token said.
    """

    def __init__(self, caller: Caller, resource: str) -> None:
        principal = caller.principal
        super().__init__(
            AccessToken(
                token="",  # nobody needs it any more
                client_id=caller.client,
                scopes=sorted(caller.scopes),
                expires_at=int(caller.expires),
                resource=resource,
                subject=principal.subject,
                claims={"iss": principal.issuer},
            )
        )
        self.caller = caller


class OrganisationAccess:
    """Lets callers with good tokens in.

    Args:
        origin: Origin of this server, as people reach it.
        issuer: The identity provider.
        tokens: Checks tokens.
        scopes: What tokens must allow.
        pages: Further routes, which look after themselves.
        ready: Tells what is missing to serve.
    """

    for_strangers = True

    visited = VISITED

    def __init__(
        self,
        origin: str,
        issuer: str,
        tokens: Tokens,
        scopes: Scopes,
        *,
        pages: Sequence[BaseRoute] = (),
        ready: Callable[[], Awaitable[list[str]]] | None = None,
    ) -> None:
        self._origin = origin
        self._issuer = issuer
        self._tokens = tokens
        self._scopes = scopes
        self._pages = pages
        self._ready = ready
        self._challenges = Challenges(origin)

    def hosts(self, bound: Bound, /) -> frozenset[str]:
        """Return the host of the public address alone: probes and proxies are told to name it."""
        del bound
        return frozenset({urlsplit(self._origin).netloc.lower()})

    def origins(self, bound: Bound, /) -> frozenset[str]:
        """Return the public address: its own pages. Others are let in by the settings."""
        del bound
        return frozenset({self._origin})

    def routes(self) -> Sequence[BaseRoute]:
        """Return the metadata of the protected resources (RFC 9728), and the pages."""
        metadata = [
            Route(f"{WELL_KNOWN}{path}", self._metadata(path or ENDPOINTS[0]), methods=["GET"])
            for path in ("", *ENDPOINTS)
        ]
        return [*metadata, *self._pages]

    async def problems(self) -> list[str]:
        """Return what is missing to serve."""
        return [] if self._ready is None else await self._ready()

    def wrap(self, app: ASGIApp, /) -> ASGIApp:
        """Return the application behind the check."""

        async def checked(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            found = await self._check(scope)
            if not isinstance(found, Caller):
                await found(scope, receive, send)
                return
            if not self._scopes.may_enter(found.scopes):
                await self._challenges.more_scope(_endpoint(scope), [self._scopes.read])(scope, receive, send)
                return
            if scope["method"] == "POST" and self._scopes.act not in found.scopes:
                body, receive = await _read_ahead(receive)
                if self._scopes.missing(found.scopes, body):
                    needed = [self._scopes.read, self._scopes.act]
                    await self._challenges.more_scope(_endpoint(scope), needed)(scope, receive, send)
                    return
            if scope["method"] == "GET":  # a stream, on which a host may stay for as long as it likes
                await _until(found.expires + LEEWAY - time.time(), app, self._known(scope, found), receive, send)
            else:
                await app(self._known(scope, found), receive, send)

        return checked

    def _metadata(self, path: str) -> Callable[[Request], Awaitable[Response]]:
        facts = {
            "resource": f"{self._origin}{path}",
            "authorization_servers": [self._issuer],
            "scopes_supported": [self._scopes.read, self._scopes.act],
            "bearer_methods_supported": ["header"],
            "resource_name": "KallyAI",
        }

        async def answer(_: Request) -> Response:
            # Public, and the same for everybody: a host in a browser may read it from wherever it is.
            return JSONResponse(facts, headers={"Access-Control-Allow-Origin": "*", "Cache-Control": "max-age=300"})

        return answer

    async def _check(self, scope: Scope) -> Caller | Response:
        headers, path = Headers(scope=scope), _endpoint(scope)

        def refuse(how: Callable[[str, str], Response]) -> Response:
            # The body is not read for somebody unknown. Hosts of 2026-07-28 name the tool in a header, too, and many
            # ask for a token once in a request: what it takes is asked for at once.
            return how(path, " ".join(self._scopes.needed(headers.get("mcp-name"))))

        given = headers.getlist("authorization")
        in_query = any(
            name == "access_token" for name, _ in parse_qsl(scope.get("query_string", b"").decode("latin-1"))
        )
        match = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
        if match is None:
            return refuse(self._challenges.bad_token if given else self._challenges.no_token)
        if in_query:
            return refuse(self._challenges.two_tokens)
        try:
            return await self._tokens.caller(match[1])
        except TokenRefused as refusal:
            logger.info("A token was refused: %s", refusal)
            return refuse(self._challenges.bad_token)
        except KallyError as error:
            logger.warning("Tokens cannot be checked: %s %s", error.message, error.next_step)
            return self._challenges.away()

    def _known(self, scope: Scope, caller: Caller) -> Scope:
        resource = f"{self._origin}{_endpoint(scope)}"
        headers = [(name, value) for name, value in scope["headers"] if name.lower() != b"authorization"]
        user, auth = KnownUser(caller, resource), AuthCredentials(sorted(caller.scopes))
        return {**scope, "headers": headers, "user": user, "auth": auth}


def caller_of(request: object) -> Caller | None:
    """Return who sent a request that has passed the check; None for any other."""
    user = request.scope.get("user") if isinstance(request, Request) else None
    return user.caller if isinstance(user, KnownUser) else None


def seconds_left(request: object) -> float:
    """Return for how long the token of a request is good from now on; without end where there is none."""
    caller = caller_of(request)
    return math.inf if caller is None else max(0.0, caller.expires + LEEWAY - time.time())


async def _until(seconds: float, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve a stream for so many seconds at most: a host whose token has ended comes again with another one."""
    ends, is_open = anyio.current_time() + max(0.0, seconds), False

    async def leaving() -> Message:
        with anyio.CancelScope(deadline=ends):
            return await receive()
        return {"type": "http.disconnect"}  # as if the host had left, so that all of it is put away

    async def noting(message: Message) -> None:
        nonlocal is_open
        is_open = message["type"] == "http.response.start" or message.get("more_body", False)
        await send(message)

    await app(scope, leaving, noting)
    if is_open and anyio.current_time() >= ends:
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _endpoint(scope: Scope) -> str:
    path: str = scope["path"]
    return ENDPOINTS[0] if path.startswith(ENDPOINTS[0]) else ENDPOINTS[1]


async def _read_ahead(receive: Receive) -> tuple[bytes, Receive]:
    """Read a body, and return it with what gives it once more. One that is too large, or breaks off, stays unread."""
    messages: list[Message] = []
    size = 0
    while True:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body", False) or size > LARGEST_BODY:
            break
    body = b"".join(message.get("body", b"") for message in messages)

    async def again() -> Message:
        return messages.pop(0) if messages else await receive()

    return body, again

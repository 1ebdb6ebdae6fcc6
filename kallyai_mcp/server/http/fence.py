"""What every request must pass first: it is meant for this server, and no web page had a browser send it.

The SDK's own check takes beginnings for the whole: `127.0.0.1:80.evil.example`, `application/json-evil`. Here lists are
exact, and a header that occurs twice is refused, since two readers could take one each.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    Headers = Iterable[tuple[bytes, bytes]]

FETCH_SITES = (b"same-origin", b"none")
"""Values of Sec-Fetch-Site (W3C, Fetch Metadata) that do not tell of another site."""

METHODS = b"GET, POST, DELETE"
SENT = (
    "accept",
    "authorization",
    "content-type",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
)
"""Headers that hosts in a browser send; besides those of parameters, which begin with `mcp-param-`."""

SHOWN = b"mcp-session-id, www-authenticate"
PREFLIGHT_LIFETIME = b"600"


class Fence:
    """Lets requests through by their Host, Origin and Sec-Fetch-Site.

    Args:
        app: What stands behind.
        hosts: Host headers that are accepted, in lower case.
        origins: Origins that are accepted, those of `pages` included.
        pages: Origins whose scripts may read the answers (CORS).
        anywhere: Paths for which any Host is good.
        visited: Beginnings of paths that people open in a browser, coming from another site.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: frozenset[str],
        origins: frozenset[str],
        pages: frozenset[str],
        anywhere: frozenset[str] = frozenset(),
        visited: tuple[str, ...] = (),
    ) -> None:
        self._app = app
        self._hosts = {host.encode() for host in hosts}
        self._origins = {origin.encode() for origin in origins | pages}
        self._pages = {origin.encode() for origin in pages}
        self._anywhere = anywhere
        self._visited = visited

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            return None
        host = origin = site = mode = None
        for name, value in scope["headers"]:
            if name == b"host":
                if host is not None:
                    return await refuse(send, 400, "There are two Host headers.")
                host = value.lower()
            elif name == b"origin":
                if origin is not None:
                    return await refuse(send, 400, "There are two Origin headers.")
                origin = value.lower()
            elif name == b"sec-fetch-site":
                site = value.lower() if site is None else b"cross-site"
            elif name == b"sec-fetch-mode":
                mode = value.lower()
        if host not in self._hosts and scope["path"] not in self._anywhere:
            return await refuse(send, 421, "This server does not go by that name. --allow-hosts adds one.")
        if origin is not None and origin not in self._origins:
            return await refuse(send, 403, "Pages of this origin may not use the server. --allow-origins adds one.")
        if origin is not None and origin in self._pages:
            return await self._share(origin, scope, receive, send)
        is_visit = mode == b"navigate" and scope["method"] == "GET" and scope["path"].startswith(self._visited)
        if site is not None and site not in FETCH_SITES and not is_visit:
            return await refuse(send, 403, "A page of another site had the browser send this.")
        return await self._app(scope, receive, send)

    async def _share(self, origin: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a page that may read the answer (Fetch Standard, 3.2, CORS protocol)."""
        shared = [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]
        headers = {name: value for name, value in scope["headers"] if name.startswith(b"access-control-request-")}
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await send({"type": "http.response.start", "status": 204, "headers": [*shared, *_granted(headers)]})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", ()),
                    *shared,
                    (b"access-control-expose-headers", SHOWN),
                ]
            await send(message)

        await self._app(scope, receive, sending)


def _granted(asked: dict[bytes, bytes]) -> Headers:
    wanted = asked.get(b"access-control-request-headers", b"").decode("latin-1").lower().split(",")
    params = {name for part in wanted if (name := part.strip()).startswith("mcp-param-") and _is_token(name)}
    yield b"access-control-allow-methods", METHODS
    yield b"access-control-allow-headers", ", ".join([*SENT, *sorted(params)]).encode()
    yield b"access-control-max-age", PREFLIGHT_LIFETIME
    if asked.get(b"access-control-request-private-network") == b"true":
        yield b"access-control-allow-private-network", b"true"  # WICG, Private Network Access


def _is_token(name: str) -> bool:
    return name.replace("-", "").replace("_", "").isalnum() and name.isascii()


async def refuse(send: Send, status: int, message: str, *headers: tuple[bytes, bytes], code: int = -32600) -> None:
    """Answer with a JSON-RPC error without an id (MCP, Streamable HTTP, Security & Endpoint)."""
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    body = json.dumps(error).encode()
    length = (b"content-length", str(len(body)).encode())
    shown = [(b"content-type", b"application/json"), length, *headers]
    await send({"type": "http.response.start", "status": status, "headers": shown})
    await send({"type": "http.response.body", "body": body, "more_body": False})

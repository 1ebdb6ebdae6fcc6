"""The endpoint of Streamable HTTP: reads a request within bounds and hands it to its era's part."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from kallyai_mcp.server.http.batch import INVALID, Batch, is_message
from kallyai_mcp.server.http.connections import KEY
from kallyai_mcp.server.http.fence import refuse
from kallyai_mcp.server.http.modern import Modern
from kallyai_mcp.server.http.runs import DUPLICATE
from kallyai_mcp.server.http.sessions import Sessions
from kallyai_mcp.server.streams import ESCAPED, mended

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mcp.server.lowlevel import Server
    from starlette.types import Message, Receive, Scope, Send

PATH = "/mcp"

LARGEST_BODY = 1024 * 1024
"""Bytes of a request's body."""

MOST_SESSIONS = 1_000
"""Sessions of hosts of handshake versions that are kept while nobody uses them."""

LONGEST_SESSION = 30 * 60.0
"""Seconds for which a session is kept that nobody uses."""

BATCHES = b"2025-03-26"
"""The version that has batches; its hosts name no version in a header, which came with the next one."""

_HANDSHAKE = {version.encode() for version in HANDSHAKE_PROTOCOL_VERSIONS}
_JSON = (b"application/json", b"application/json;charset=utf-8")


class TooLarge(Exception):
    """A body is larger than it may be."""


class Endpoint:
    """Serves Streamable HTTP at one address, all versions of it.

    Args:
        server: What is served.
        state: What its lifespan gave.
        stateless: Whether hosts of handshake versions get no sessions.
    """

    def __init__(self, server: Server[Any], state: Any, *, stateless: bool) -> None:
        self._modern = Modern(server, state)
        self._stateless = stateless
        self._under_way: set[tuple[bytes, str]] = set()
        self._manager = StreamableHTTPSessionManager(
            server,
            stateless=stateless,
            session_idle_timeout=LONGEST_SESSION,
            max_sessions=2 * MOST_SESSIONS,
            max_request_body_size=LARGEST_BODY,
        )
        self._sessions = Sessions(self._manager, MOST_SESSIONS)

    @asynccontextmanager
    async def living(self) -> AsyncGenerator[None]:
        """Keep the sessions for as long as the block lasts."""
        async with self._manager.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        version = session = kind = None
        for name, value in scope["headers"]:
            if name == b"mcp-protocol-version" and version is None:
                version = value
            elif name == b"content-type":
                kind = value if kind is None else b""
            elif name == b"mcp-session-id":
                session = value
        is_modern = version is not None and version not in _HANDSHAKE
        if scope["method"] != "POST":
            if is_modern or self._stateless:
                return await refuse(send, 405, "Only POST is served here.", (b"allow", b"POST"))
            return await self._sessions.serve(session or b"", scope, receive, send)
        if not is_json(kind):
            return await refuse(send, 415, "The Content-Type must be application/json.")
        try:
            body = await whole_body(scope, receive)
        except TooLarge:
            return await too_large(send)
        if body is None:
            return None
        if is_modern:
            return await self._modern.answer(scope, body, receive, send)
        batches = version is None or version == BATCHES
        return await self._legacy(session or b"", batches, body, scope, receive, send)

    async def _legacy(
        self, session: bytes, batches: bool, body: bytes, scope: Scope, receive: Receive, send: Send
    ) -> None:
        try:
            value: Any = json.loads(body)
        except (ValueError, RecursionError):
            return await self._sessions.serve(session, scope, replaying(body, receive), send)  # it says where it ends
        several = cast("list[Any]", value) if batches and isinstance(value, list) else []
        if several:

            async def alone(message: Any, receive: Receive, send: Send) -> None:
                await self._single(session, message, json.dumps(message).encode(), scope, receive, send)

            return await Batch(alone, receive, send).answer(several)
        if not is_message(cast("object", value)):
            return await refuse(send, 400, INVALID)
        return await self._single(session, value, body, scope, receive, send)

    async def _single(
        self, session: bytes, value: Any, body: bytes, scope: Scope, receive: Receive, send: Send
    ) -> None:
        number = request_id(value)
        if number is None or not session:
            return await self._sessions.serve(session, scope, replaying(body, receive), send)
        key = (session, number)
        if key in self._under_way:
            return await refuse(send, 400, DUPLICATE)
        self._under_way.add(key)
        try:
            return await self._sessions.serve(session, scope, replaying(body, receive), send)
        finally:
            self._under_way.discard(key)


def is_json(kind: bytes | None) -> bool:
    """Whether a Content-Type is that of JSON, exactly."""
    return kind in _JSON or (kind is not None and kind.lower().replace(b" ", b"").replace(b'"', b"") in _JSON)


async def whole_body(scope: Scope, receive: Receive) -> bytes | None:
    """Return the body of a request, texts that were cut within a character mended; None where the client has left.

    Raises:
        TooLarge: It is larger than any may be, or says that it is.
    """
    body = await _body(scope, receive)
    if body is not None and ESCAPED.search(body):
        return mended(body.decode("utf-8", errors="replace")).encode()
    return body


async def _body(scope: Scope, receive: Receive) -> bytes | None:
    for name, value in scope["headers"]:
        if name == b"content-length" and (not value.isdigit() or int(value[:20]) > LARGEST_BODY):
            raise TooLarge
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body = message.get("body", b"")
        if len(body) > LARGEST_BODY:
            raise TooLarge
        return body
    parts = bytearray()
    while message["type"] == "http.request":
        parts += message.get("body", b"")
        if len(parts) > LARGEST_BODY:
            raise TooLarge
        if not message.get("more_body", False):
            return bytes(parts)
        message = await receive()
    return None


async def too_large(send: Send) -> None:
    """Refuse a body for its size, and the connection with it: the rest of the body is not read."""
    await refuse(send, 413, f"The body is larger than {LARGEST_BODY} bytes.", (b"connection", b"close"))


def replaying(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body that was read already, then what comes."""
    is_given = False

    async def replay() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def request_id(message: Any) -> str | None:
    """Return the id of a request, as the SDK tells ids apart; None where it is no request."""
    fields = cast("dict[str, Any]", message)
    number = fields.get("id")
    return str(number) if isinstance(number, int | str) and "method" in fields else None


def accept(scope: Scope) -> None:
    """Note that a request was let in: its connection is no longer the first to make room."""
    if (connection := scope.get(KEY)) is not None:
        connection.know()

"""The older HTTP with SSE (MCP 2024-11-05, transports): the server speaks in a stream, a host in POSTs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from mcp.server.sse import SseServerTransport

from kallyai_mcp.server.http.endpoint import LARGEST_BODY, TooLarge, is_json, replaying, too_large, whole_body
from kallyai_mcp.server.http.fence import refuse
from kallyai_mcp.server.http.modern import accepted

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server
    from starlette.types import Receive, Scope, Send

STREAM_PATH = "/sse"
MESSAGES_PATH = "/messages"

logger = logging.getLogger(__name__)


class SseEndpoint:
    """Serves both addresses.

    Args:
        server: What is served.
    """

    def __init__(self, server: Server[Any]) -> None:
        self._server = server
        self._transport = SseServerTransport(MESSAGES_PATH, max_request_body_size=LARGEST_BODY)

    async def stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one host until it leaves."""
        if scope["method"] != "GET":
            return await refuse(send, 405, "Only GET is served here.", (b"allow", b"GET"))
        taken = [value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"]
        if taken and not accepted(",".join(taken))[1]:
            return await refuse(send, 406, "The Accept header must take text/event-stream.")
        async with self._transport.connect_sse(scope, receive, send) as (reading, writing):
            await self._server.run(reading, writing, self._server.create_initialization_options())
        return None

    async def messages(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one message of a host."""
        if scope["method"] != "POST":
            return await refuse(send, 405, "Only POST is served here.", (b"allow", b"POST"))
        kinds = [value for name, value in scope["headers"] if name == b"content-type"]
        if len(kinds) != 1 or not is_json(kinds[0]):
            return await refuse(send, 415, "The Content-Type must be application/json.")
        try:
            body = await whole_body(scope, receive)
        except TooLarge:
            return await too_large(send)
        if body is None:
            return None
        return await self._transport.handle_post_message(scope, replaying(body, receive), send)

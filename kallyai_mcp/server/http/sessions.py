"""Sessions of hosts of handshake versions: how many there are, and which one makes room for another.

Few hosts end their session when they leave, and the SDK keeps each for half an hour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from starlette.types import Message, Receive, Scope, Send

HEADER = b"mcp-session-id"


class Sessions:
    """Hands requests to the SDK's manager of sessions. Where there are too many, the one unused the longest is ended.

    A host whose session was ended begins another (MCP, Streamable HTTP, Session Management).

    Args:
        manager: Keeps the sessions.
        most: How many are kept that nobody uses.
    """

    def __init__(self, manager: StreamableHTTPSessionManager, most: int) -> None:
        self._manager = manager
        self._most = most
        self._under_way: dict[bytes, int] = {}
        """Requests of each session, streams included; the session whose last request was the longest ago is first."""

    async def serve(self, session: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request of a session, or one that begins a session, if `session` is empty."""
        if not session and scope["method"] == "POST":
            await self._make_room(scope)
        statuses: list[int] = []

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
                if not session and message["status"] < 400:
                    self._under_way.update((value, 0) for name, value in message["headers"] if name == HEADER)
            await send(message)

        self._count(session, 1)
        try:
            await self._manager.handle_request(scope, receive, noting)
        finally:
            self._count(session, -1)
            if statuses == [404] or (statuses == [200] and scope["method"] == "DELETE"):
                self._under_way.pop(session, None)

    def _count(self, session: bytes, change: int) -> None:
        if session in self._under_way:
            self._under_way[session] = self._under_way.pop(session) + change

    async def _make_room(self, scope: Scope) -> None:
        while len(self._under_way) >= self._most:
            oldest = next((name for name, under_way in self._under_way.items() if not under_way), None)
            if oldest is None:
                return
            del self._under_way[oldest]
            others = [(name, value) for name, value in scope["headers"] if name != HEADER]
            ending = {**scope, "method": "DELETE", "headers": [*others, (HEADER, oldest)]}
            await self._manager.handle_request(ending, _nothing, _unheard)


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _unheard(message: Message) -> None:
    del message

"""A POST with several messages (JSON-RPC 2.0, 6), which protocol 2025-03-26 alone has.

They are answered one by one, in one stream, each as if it had come alone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from mcp_types import jsonrpc_message_adapter

from kallyai_mcp.server.http.modern import STREAM, event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Message, Receive, Send

    Alone = Callable[[Any, Receive, Send], Awaitable[None]]
    """Answers one message."""

INVALID = "Invalid Request"


def is_message(value: object) -> bool:
    """Whether a value is one message of JSON-RPC."""
    try:
        jsonrpc_message_adapter.validate_python(value, by_name=False)
    except ValueError:
        return False
    return True


def may_be_batched(value: object) -> bool:
    """Whether a value is a message that a batch may hold: any but the one that begins a session (MCP, Lifecycle)."""
    return is_message(value) and cast("dict[str, Any]", value).get("method") != "initialize"


class Batch:
    """Answers the messages of one POST.

    Args:
        alone: Answers one of them.
        receive: Of the POST.
        send: Of the POST.
    """

    def __init__(self, alone: Alone, receive: Receive, send: Send) -> None:
        self._alone = alone
        self._receive = receive
        self._send = send
        self._has_begun = False
        self._has_ended = False
        self._has_left = False

    async def answer(self, messages: list[Any]) -> None:
        """Answer all of them. The first refusal, such as of the session, is the answer to all of them."""
        for each in messages:
            if may_be_batched(each):
                await self._alone(each, self._receiving, _Part(self).send)
            else:
                error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": INVALID}}
                await self.tell(event(json.dumps(error).encode()))
            if self._has_left or self._has_ended:
                return
        if not self._has_begun:  # notifications and answers alone
            await self._send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def tell(self, part: bytes) -> None:
        """Send a part of the stream."""
        if not self._has_begun:
            self._has_begun = True
            await self._send({"type": "http.response.start", "status": 200, "headers": STREAM})
        await self._send({"type": "http.response.body", "body": part, "more_body": True})

    async def refuse(self, start: Message, body: bytes) -> None:
        """Send what refuses one message: as the answer to all, or, where some were answered, as an event."""
        if self._has_begun:
            await self.tell(event(body))
            return
        self._has_begun = self._has_ended = True
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def _receiving(self) -> Message:
        message = await self._receive()
        self._has_left = self._has_left or message["type"] == "http.disconnect"
        return message


class _Part:
    """Takes the answer to one message."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._start: Message = {}
        self._body = b""

    async def send(self, message: Message) -> None:
        """Pass it on."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        body = message.get("body", b"")
        if self._start["status"] == 200 and (b"content-type", b"text/event-stream") in self._kinds():
            if body:
                await self._batch.tell(body)
            return
        self._body += body
        if message.get("more_body", False) or not self._body:
            return
        if self._start["status"] < 400:
            await self._batch.tell(event(self._body))
        else:
            await self._batch.refuse(self._start, self._body)

    def _kinds(self) -> list[tuple[bytes, bytes]]:
        return [(name.lower(), value.partition(b";")[0].strip()) for name, value in self._start["headers"]]

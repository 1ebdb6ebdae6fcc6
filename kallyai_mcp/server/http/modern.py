"""One request of protocol 2026-07-28: a POST that stands for itself (MCP, Streamable HTTP, Sending Messages).

It answers as the SDK's own entry does, in one task instead of three: as JSON where the run tells nothing meanwhile, as
a stream from the first notification on, or once the run has lasted so long that somebody in between may lose patience.
A host calls a run off by closing the connection.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import anyio
import pydantic_core
from mcp.server.connection import Connection as Peer
from mcp.server.runner import modern_error_data, serve_one
from mcp.shared.exceptions import NoBackChannelError
from mcp.shared.inbound import (
    ERROR_CODE_HTTP_STATUS,
    InboundLadderRejection,
    classify_inbound_request,
    find_duplicated_routing_header,
    unsupported_protocol_version_rejection,
    validate_mcp_param_headers,
    x_mcp_header_map,
)
from mcp.shared.jsonrpc_dispatcher import progress_token_from_params
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp_types import HEADER_MISMATCH, INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCNotification, JSONRPCRequest
from pydantic import ValidationError
from starlette.requests import Request

from kallyai_mcp.server.http.connections import KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp.server.lowlevel import Server
    from mcp.shared.dispatcher import CallOptions
    from mcp_types import ProgressToken, RequestId
    from starlette.types import Receive, Scope, Send

    from kallyai_mcp.server.http.connections import Connection

logger = logging.getLogger(__name__)

PATIENCE = 15.0
"""Seconds of silence after which something is sent, so that no proxy takes the connection for dead."""

JSON_TYPE = (b"content-type", b"application/json")
STREAM = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]
LISTEN = "subscriptions/listen"
_SINGLE = "Body must be a single JSON-RPC request or notification object"


class Modern:
    """Answers requests of 2026-07-28.

    Args:
        server: What is served.
        state: What its lifespan gave.
    """

    def __init__(self, server: Server[Any], state: Any) -> None:
        self._server = server
        self._state = state
        self._mirrored: dict[str, bool] = {}

    async def answer(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """Answer a POST whose body is at hand."""
        folded: dict[str, str] = {}
        for name, value in scope["headers"]:
            folded.setdefault(name.decode("latin-1"), value.decode("latin-1").strip(" \t"))  # RFC 9110, 5.5
        takes_json, takes_stream = accepted(folded.get("accept", ""))
        if not takes_json:
            return await _plain(send, 406)
        try:
            decoded = pydantic_core.from_json(body, allow_inf_nan=False)
        except ValueError:
            return await _fail(send, None, PARSE_ERROR, "Parse error")
        if isinstance(decoded, dict) and "id" not in decoded:
            return await _acknowledge(send, cast("dict[str, Any]", decoded), folded)
        try:
            request = JSONRPCRequest.model_validate(decoded)
        except ValidationError:
            return await _fail(send, None, INVALID_REQUEST, _SINGLE)
        if request.method == LISTEN and not takes_stream:
            return await _plain(send, 406)
        pairs = ((name.decode("latin-1"), "") for name, _ in scope["headers"])
        if (twice := find_duplicated_routing_header(pairs)) is not None:
            return await _fail(send, request.id, HEADER_MISMATCH, f"{twice} header appears more than once")
        route = classify_inbound_request(cast("dict[str, Any]", decoded), headers=folded)
        if isinstance(route, InboundLadderRejection):
            return await _reject(send, request.id, route)
        if (mismatch := self._mismatch(request, scope)) is not None:
            return await _reject(send, request.id, mismatch)
        peer = Peer.from_envelope(route.protocol_version, route.client_info, route.client_capabilities)
        starlette = Request(scope, receive)
        exchange = _Exchange(
            TransportContext(kind="streamable-http", can_send_request=False, headers=starlette.headers),
            request.id,
            ServerMessageMetadata(request_context=starlette),
            progress_token_from_params(request.params),
            send if takes_stream else None,
        )
        return await self._exchange(request, peer, exchange, scope, send)

    async def _exchange(
        self, request: JSONRPCRequest, peer: Peer, exchange: _Exchange, scope: Scope, send: Send
    ) -> None:
        connection: Connection | None = scope.get(KEY)
        answer: dict[str, Any] | ErrorData | None = None
        with anyio.CancelScope() as running:
            if connection is not None:
                connection.on_leaving = running.cancel
            exchange.keep_alive()
            try:
                try:
                    answer = await serve_one(
                        self._server,
                        exchange,
                        request.method,
                        request.params,
                        connection=peer,
                        lifespan_state=self._state,
                    )
                except Exception as error:  # noqa: BLE001 - the SDK's own mapping, which logs what is unexpected
                    answer = modern_error_data(error)
            finally:
                exchange.settle()
                if connection is not None:
                    connection.on_leaving = None
        if answer is None:
            return  # called off: nobody waits for an answer
        status, body = _message(request.id, answer)
        if exchange.is_streaming:
            await exchange.finish(body)
        else:
            await _write(send, status, body)

    def _mismatch(self, request: JSONRPCRequest, scope: Scope) -> InboundLadderRejection | None:
        """Compare headers that mirror parameters; only tools whose schema asks for some have them."""
        lookup = self._server.get_tool_input_schema
        params = request.params or {}
        name = params.get("name")
        if request.method != "tools/call" or lookup is None or not isinstance(name, str):
            return None
        has_some = self._mirrored.get(name)
        if has_some is None:
            schema = lookup(name)
            if schema is None:
                return None
            has_some = self._mirrored[name] = bool(x_mcp_header_map(schema))
        arguments = params.get("arguments")
        if not has_some or (arguments is not None and not isinstance(arguments, dict)):
            return None
        given = cast("dict[str, Any]", arguments or {})
        return validate_mcp_param_headers(lookup(name), given, Request(scope).headers)


@dataclass(slots=True)
class _Exchange:
    """What a handler sees of its request (`mcp.shared.dispatcher.DispatchContext`), and what it has sent so far.

    Attributes:
        send: Sends parts of the answer; None where the host takes no stream, and notifications are dropped.
    """

    transport: TransportContext
    request_id: RequestId
    message_metadata: ServerMessageMetadata
    progress_token: ProgressToken | None
    send: Send | None
    cancel_requested: anyio.Event = field(default_factory=anyio.Event)
    is_streaming: bool = False
    can_send_request: bool = field(default=False, init=False)
    _is_settled: bool = False
    _timer: asyncio.TimerHandle | None = None
    _pinging: asyncio.Task[None] | None = None

    async def send_raw_request(
        self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None
    ) -> dict[str, Any]:
        """Refuse: this protocol has no requests from the server."""
        raise NoBackChannelError(method)

    async def notify(self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None) -> None:
        """Send a notification that belongs to the request."""
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if params is not None:
            message["params"] = dict(params)
        await self._part(event(_dump(message)))

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Report progress, where the host wants to know."""
        if self.progress_token is None:
            return
        params: dict[str, Any] = {"progressToken": self.progress_token, "progress": progress}
        if total is not None:
            params["total"] = total
        if message is not None:
            params["message"] = message
        await self.notify("notifications/progress", params)

    def keep_alive(self) -> None:
        """Send something after a while of silence, again and again until `settle`."""
        if self.send is not None:
            self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._ping)

    def settle(self) -> None:
        """Send nothing more by itself."""
        self._is_settled = True
        if self._timer is not None:
            self._timer.cancel()

    async def finish(self, body: bytes) -> None:
        """End the stream with the answer."""
        assert self.send is not None  # noqa: S101 - a stream has begun
        await self.send({"type": "http.response.body", "body": event(body), "more_body": False})

    async def _part(self, part: bytes) -> None:
        if self.send is None:
            return
        if not self.is_streaming:
            self.is_streaming = True  # before anything is awaited: there is one beginning
            await self.send({"type": "http.response.start", "status": 200, "headers": STREAM})
        await self.send({"type": "http.response.body", "body": part, "more_body": True})

    def _ping(self) -> None:
        self._pinging = asyncio.create_task(self._still_here())
        self.keep_alive()

    async def _still_here(self) -> None:
        if not self._is_settled:  # the answer may have come since the timer rang
            await self._part(b": ping\r\n\r\n")


def accepted(header: str) -> tuple[bool, bool]:
    """Return whether an Accept header takes JSON, and whether it takes a stream (RFC 9110, 12.5.1)."""
    types = {part.partition(";")[0].strip().lower() for part in header.split(",")}
    if "*/*" in types:
        return True, True
    return bool(types & {"application/json", "application/*"}), bool(types & {"text/event-stream", "text/*"})


def event(data: bytes) -> bytes:
    """Return a message as one event of a stream."""
    return b"event: message\r\ndata: " + data + b"\r\n\r\n"


def _dump(value: Any) -> bytes:
    try:
        return pydantic_core.to_json(value, inf_nan_mode="null")
    except (ValueError, UnicodeError):
        return json.dumps(value, separators=(",", ":")).encode()  # half of a surrogate pair can only be escaped


def _message(number: RequestId, answer: dict[str, Any] | ErrorData) -> tuple[int, bytes]:
    if isinstance(answer, ErrorData):
        error = answer.model_dump(mode="json", by_alias=True, exclude_none=True)
        status = ERROR_CODE_HTTP_STATUS.get(answer.code, 200)
        return status, _dump({"jsonrpc": "2.0", "id": number, "error": error})
    return 200, _dump({"jsonrpc": "2.0", "id": number, "result": answer})


async def _acknowledge(send: Send, decoded: dict[str, Any], headers: Mapping[str, str]) -> None:
    """Answer a notification: the protocol has none from hosts over HTTP, so it is taken and dropped."""
    try:
        JSONRPCNotification.model_validate(decoded)
    except ValidationError:
        return await _fail(send, None, INVALID_REQUEST, _SINGLE)
    unsupported = unsupported_protocol_version_rejection(headers.get("mcp-protocol-version", ""))
    if unsupported is not None:
        return await _reject(send, None, unsupported)
    return await _plain(send, 202)


async def _reject(send: Send, number: RequestId | None, rejection: InboundLadderRejection) -> None:
    await _fail(send, number, rejection.code, rejection.message, rejection.data)


async def _fail(send: Send, number: RequestId | None, code: int, message: str, data: Any = None) -> None:
    error = {"code": code, "message": message} | ({} if data is None else {"data": data})
    body = _dump({"jsonrpc": "2.0", "id": number, "error": error})
    await _write(send, ERROR_CODE_HTTP_STATUS.get(code, 200), body)


async def _write(send: Send, status: int, body: bytes) -> None:
    headers = [JSON_TYPE, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _plain(send: Send, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b"", "more_body": False})

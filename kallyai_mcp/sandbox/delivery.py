"""Carries out faults: an ASGI middleware between the door and the API.

To close a connection it needs the server's help: the scope extension `kallyai.connection`, an object with `close()`
(after what is written has gone out) and `abort()`. Without it, as in tests inside one process, a ConnectionResetError
is raised instead.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol, cast

import anyio
from starlette.requests import HTTPConnection
from starlette.responses import Response

from kallyai_mcp.sandbox.answers import json_bytes, refuse
from kallyai_mcp.sandbox.faults import FAULT_HEADER, Fault, parse_fault
from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from kallyai_mcp.sandbox.faults import Switches

EXTENSION = "kallyai.connection"
_API = "/v1/"
_PAGE = "<!doctype html><html lang=en><title>502</title><h1>Bad gateway</h1><p>No answer from upstream.</p></html>"
_MEBIBYTE = 1 << 20


class Connection(Protocol):
    """What the server lets a fault do to the client's connection."""

    def close(self) -> None:
        """Close after what is written has gone out."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...


class Delivery:
    """Lets requests go wrong as their header, or an armed fault, says."""

    def __init__(self, app: ASGIApp, switches: Switches, tool_at: Callable[[str, str], str | None]) -> None:
        self._app = app
        self._switches = switches
        self._tool_at = tool_at

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"].startswith("/sandbox"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        try:
            fault = self._fault(connection)
        except Refusal as refusal:
            await refuse(refusal, connection)(scope, receive, send)
            return
        if fault is None:
            await self._app(scope, receive, send)
        else:
            await self._fail(fault, scope, receive, send)

    def _fault(self, connection: HTTPConnection) -> Fault | None:
        if (text := connection.headers.get(FAULT_HEADER)) is not None:
            return parse_fault(text)
        if not connection.scope["path"].startswith(_API):
            return None
        return self._switches.take(connection.scope["method"], connection.scope["path"], self._tool_at)

    async def _fail(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.form is not None:
            scope["state"]["form"] = fault.form
        await anyio.sleep(fault.latency)
        if fault.instead == "drop":
            await _close(scope, receive, at_once=True)
            return
        if fault.instead == "hang":
            await _until_gone(receive)
            return
        instead = fault.refusal
        response = (
            await _captured(self._app, scope, receive) if instead is None else refuse(instead, HTTPConnection(scope))
        )
        if fault.after == "drop-after":
            await _close(scope, receive, at_once=True)
        elif fault.after == "cut":
            await _cut(response, scope, receive, send)
        elif fault.dribble is not None:
            await _dribble(_changed(response, fault.after), fault.dribble, send)
        elif fault.big is not None:
            await _flood(response.status_code, fault.big, send)
        else:
            await _changed(response, fault.after)(scope, receive, send)


async def _captured(app: ASGIApp, scope: Scope, receive: Receive) -> Response:
    start: Message = {}
    body = bytearray()

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        elif message["type"] == "http.response.body":
            body.extend(message.get("body", b""))

    await app(scope, receive, keep)
    response = Response(bytes(body), start["status"])
    response.raw_headers = list(start["headers"])
    return response


def _changed(response: Response, how: str | None) -> Response:
    body = bytes(response.body)
    match how:
        case "html":
            return Response(_PAGE, response.status_code, media_type="text/html")
        case "empty":
            return Response(b"", response.status_code, media_type="application/json")
        case "not-json":
            return Response(body[:-1] + b",,", response.status_code, media_type="application/json")
        case "surrogate":
            return Response(_with_half_a_pair(body), response.status_code, media_type="application/json")
        case _:
            return response


def _with_half_a_pair(body: bytes) -> bytes:
    try:
        answer: Any = json.loads(body)
    except ValueError:
        answer = body.decode(errors="replace")
    text = {"sandbox_text": "cut \ud83d"}
    whole = {**cast("dict[str, Any]", answer), **text} if isinstance(answer, dict) else {"answer": answer, **text}
    return json.dumps(whole).encode()


async def _start(response: Response, send: Send, length: int) -> None:
    headers = [(name, value) for name, value in response.raw_headers if name != b"content-length"]
    headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})


async def _cut(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    body = bytes(response.body) or json_bytes({})
    await _start(response, send, len(body))
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    await _close(scope, receive, at_once=False)


async def _dribble(response: Response, pause: float, send: Send) -> None:
    body = bytes(response.body)
    await _start(response, send, len(body))
    for byte in body:
        await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
        await anyio.sleep(pause)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _flood(status: int, mebibytes: int, send: Send) -> None:
    await _start(Response(b"", status, media_type="application/json"), send, mebibytes * _MEBIBYTE + len('{"text":""}'))
    await send({"type": "http.response.body", "body": b'{"text":"', "more_body": True})
    for _ in range(mebibytes):
        await send({"type": "http.response.body", "body": b"x" * _MEBIBYTE, "more_body": True})
    await send({"type": "http.response.body", "body": b'"}', "more_body": False})


async def _close(scope: Scope, receive: Receive, *, at_once: bool) -> None:
    connection = cast("Connection | None", scope.get("extensions", {}).get(EXTENSION))
    if connection is None:
        raise ConnectionResetError("The sandbox closed the connection, as the fault demands.")
    if at_once:
        connection.abort()
    else:
        connection.close()
    await _until_gone(receive)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

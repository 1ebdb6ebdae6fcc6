"""Straight to an origin, without a proxy: the HTTP library's transport interface over connections of our own.

It replaces the library's transport because most of a run's time was spent there, in parsing and in looking after a
pool; `bench/` holds the comparison. What one origin needs is little: connections that are kept, used last in, first
out, and bounded in number.
"""

from __future__ import annotations

import asyncio
import importlib
import ipaddress
import socket
from typing import TYPE_CHECKING, Any

import anyio
import httpx2

from kallyai_mcp.api.connection import Connection

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

_ALPN = ["http/1.1"]
_HEAD_START = 0.25
"""Seconds before the next address of a host is tried as well (RFC 8305, 5)."""


class Direct(httpx2.AsyncBaseTransport):
    """Connections to one origin.

    Args:
        host: Name or address.
        port: TCP port.
        context: How TLS is spoken, if it is.
        limits: How many connections there are at most, how many are kept, and for how long.
    """

    def __init__(self, host: str, port: int, *, context: ssl.SSLContext | None, limits: httpx2.Limits) -> None:
        self._host = host
        self._port = port
        self._is_address = _is_address(host)
        self._context = context
        if context is not None:
            context.set_alpn_protocols(_ALPN)
        self._keep = limits.max_keepalive_connections or 0
        self._expiry = limits.keepalive_expiry or 0.0
        self._turns = anyio.Semaphore(limits.max_connections or 1, fast_acquire=True)
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; return its answer, whose body is yet to be read.

        Raises:
            httpx2.PoolTimeout: All connections are in use.
            httpx2.ConnectError: Nothing answers there, or not with a certificate that counts.
            httpx2.ConnectTimeout: No connection was to be had in time.
            httpx2.LocalProtocolError: The request cannot be written as HTTP. Nothing was sent.
            httpx2.TransportError: There is no answer.
        """
        whole = written(request)
        timeouts: dict[str, float] = request.extensions["timeout"]
        await self._turn(timeouts["pool"])
        connection = None
        try:
            connection = self._kept() or await self._open(timeouts["connect"])
            await connection.ask(whole, write=timeouts["write"], read=timeouts["read"])
            return httpx2.Response(
                connection.status,
                headers=connection.headers,
                stream=_Body(self, connection, timeouts["read"]),
            )
        except BaseException:
            if connection is not None:
                connection.abort()
            self._turns.release()
            raise

    async def aclose(self) -> None:
        """Close all connections, also those in use. What is still being opened serves one request more."""
        self._keep = 0
        self._idle.clear()
        for connection in tuple(self._all):
            connection.abort()

    def take_back(self, connection: Connection) -> None:
        """Keep a connection for the next request, if it can serve one."""
        if connection.rest():
            if len(self._idle) < self._keep:
                self._idle.append(connection)
            else:
                connection.abort()
        self._turns.release()

    async def _turn(self, seconds: float) -> None:
        try:
            self._turns.acquire_nowait()
        except anyio.WouldBlock:
            with anyio.move_on_after(seconds) as scope:
                await self._turns.acquire()
            if scope.cancelled_caught:
                raise httpx2.PoolTimeout("All connections are in use.") from None

    def _kept(self) -> Connection | None:
        loop = asyncio.get_running_loop()
        expired = loop.time() - self._expiry
        while self._idle and self._idle[0].idle_since < expired:
            self._drop(self._idle.pop(0))
        while self._idle:
            connection = self._idle.pop()
            if connection.may_serve(loop):
                return connection
            self._drop(connection)
        return None

    def _drop(self, connection: Connection) -> None:
        self._all.discard(connection)
        connection.abort()

    def _forget(self, connection: Connection) -> None:
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    async def _open(self, seconds: float) -> Connection:
        try:
            with anyio.fail_after(seconds):
                return await self._connected()
        except TimeoutError:
            raise httpx2.ConnectTimeout("No connection was to be had in time.") from None
        except (OSError, ValueError, RuntimeError) as error:
            # With TLS and its certificates; a name that cannot be looked up; RuntimeError is uvloop's word for some.
            raise httpx2.ConnectError(str(error)) from None

    async def _connected(self) -> Connection:
        loop = asyncio.get_running_loop()

        def made() -> Connection:
            return Connection(loop, self._forget)

        if self._is_address:
            _, connection = await loop.create_connection(made, self._host, self._port, ssl=self._context)
        else:
            aiohappyeyeballs: Any = importlib.import_module("aiohappyeyeballs")  # its types leave addresses unknown
            found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            opened = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=_HEAD_START)
            name = None if self._context is None else self._host
            _, connection = await loop.create_connection(made, sock=opened, ssl=self._context, server_hostname=name)
        if not connection.is_spent:
            self._all.add(connection)
        return connection


class _Body(httpx2.AsyncByteStream):
    """The body of an answer as it comes; closing it gives the connection back."""

    def __init__(self, transport: Direct, connection: Connection, seconds: float) -> None:
        self._transport = transport
        self._connection = connection
        self._seconds = seconds
        self._is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while part := await self._connection.part(self._seconds):
            yield part

    async def aclose(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._transport.take_back(self._connection)


def written(request: httpx2.Request) -> bytes:
    """Return a request as it goes over the network (RFC 9112, 3).

    Raises:
        httpx2.LocalProtocolError: Something in its head would end a line, or the line of the request its target.
    """
    first = b"%b %b HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)
    fields = request.headers.raw
    head = b"%b\r\n%b\r\n" % (first, b"".join([b"%b: %b\r\n" % field for field in fields]))
    lines = len(fields) + 2
    if head.count(b"\n") != lines or head.count(b"\r") != lines or b"\0" in head or first.count(b" ") != 2:
        raise httpx2.LocalProtocolError("A header or the target of the request holds what cannot stand there.")
    return head + request.content


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True

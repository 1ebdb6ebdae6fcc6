"""The connections that are open: how many there may be, and how long each may take over what it sends and reads.

uvicorn has no deadline for a request that does not come to its end, nor for an answer that nobody reads. Here one look
a second at every connection sees to both. What only answers, a stream included, has no deadline.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send
    from uvicorn import Config
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
    from uvicorn.server import ServerState

LONGEST_REQUEST = 10.0
"""Seconds from the first byte of a request, or from the connection, to the last byte of the request's body."""

LONGEST_STALL = 10.0
"""Seconds for which nothing of an answer may leave, though some of it is waiting to."""

LONGEST_IDLE = 75.0
"""Seconds that a connection is kept between two requests."""

LONGEST_BUSY = 2.0
"""Seconds that a connection gets to be told that there are too many."""

SPARE = 64
"""Connections beyond the limit that are told so; those beyond these are cut."""

LARGEST_HEAD = 32 * 1024
"""Bytes of a request before its body."""

LOOK_EVERY = 1.0
"""Seconds between two looks at all connections."""

KEY = "kallyai.connection"
"""Where an application finds its connection in the scope."""


class Connections:
    """All connections of a server.

    Args:
        most: How many are served at once.
        most_per_client: How many of one address.
    """

    def __init__(self, most: int, most_per_client: int) -> None:
        self._most = most
        self._most_per_client = most_per_client
        self._clients: Counter[str] = Counter()
        self._unknown: dict[Connection, None] = {}
        self.all: dict[Connection, None] = {}

    def enter(self, connection: Connection) -> bool:
        """Take a connection in. Whether it is to be served.

        Where there are too many, the oldest one that was never served makes room: whoever holds connections open
        without a request that is accepted keeps nobody out.
        """
        client = connection.address
        self._clients[client] += 1
        self.all[connection] = None
        self._unknown[connection] = None
        if self._clients[client] > self._most_per_client and not self._make_room(connection, client):
            return False
        return len(self.all) <= self._most or self._make_room(connection, None)

    def leave(self, connection: Connection) -> None:
        """Forget a connection."""
        if connection in self.all:
            del self.all[connection]
            self._unknown.pop(connection, None)
            self._clients[connection.address] -= 1
            if not self._clients[connection.address]:
                del self._clients[connection.address]

    def know(self, connection: Connection) -> None:
        """Note that a request of it was accepted."""
        self._unknown.pop(connection, None)

    @property
    def is_flooded(self) -> bool:
        """Whether there are too many even to say so."""
        return len(self.all) > self._most + SPARE

    def look(self, now: float) -> None:
        """End what is over its time."""
        for connection in list(self.all):
            connection.look(now)

    def _make_room(self, newest: Connection, client: str | None) -> bool:
        for each in self._unknown:
            if each is not newest and not each.is_turned_away and client in (None, each.address):
                self.leave(each)
                each.transport.abort()
                return True
        idle = (each for each in self.all if each.is_idle and client in (None, each.address))
        if (oldest := next(idle, None)) is None:
            return False
        self.leave(oldest)
        oldest.transport.abort()
        return True


class _Corked:
    """A transport that sends the head of an answer together with what follows it: one system call, one packet."""

    __slots__ = ("_head", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        if self._transport.is_closing():  # it was cut, and nobody was told so far
            return
        if self._head is not None:
            head, self._head = self._head, None
            self._transport.write(head + data)
        elif data.startswith(b"HTTP/1.1 "):
            self._head = data
            self._loop.call_soon(self._flush)  # where nothing follows yet
        else:
            self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def _flush(self) -> None:
        if self._head is not None:
            head, self._head = self._head, None
            self._transport.write(head)


class Connection(HttpToolsProtocol):
    """One connection.

    Args:
        config: What uvicorn wants to know.
        state: What its connections share.
        table: All connections.
    """

    address: str = ""
    is_turned_away = False
    is_idle = False

    def __init__(self, config: Config, state: ServerState, table: Connections) -> None:
        super().__init__(config, state, {})
        self._table = table
        self._deadline = math.inf
        self._in_head = False
        self._head = 0
        self._unsent = 0
        self._moved = 0.0
        self.on_leaving: Callable[[], None] | None = None
        """Called once the client is gone."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - narrower in uvicorn than in asyncio
        super().connection_made(cast("asyncio.Transport", transport))
        self.address = self.client[0] if self.client else ""
        self._moved = self.loop.time()
        self._deadline = self._moved + LONGEST_REQUEST
        if not self._table.enter(self):
            self.is_turned_away = True
            if self._table.is_flooded:
                self.transport.abort()
                return
            self._deadline = self.loop.time() + LONGEST_BUSY
            self.app = busy

    def connection_lost(self, exc: Exception | None) -> None:
        self._table.leave(self)
        super().connection_lost(exc)
        if self.on_leaving is not None:
            self.on_leaving()

    def data_received(self, data: bytes) -> None:
        if self._deadline == math.inf or self.is_idle:
            if self._is_answered():
                self._deadline = self.loop.time() + LONGEST_REQUEST
            self.is_idle = False
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > LARGEST_HEAD:
                self._refuse(431)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)[KEY] = self
        self._in_head, self._head = True, 0
        if self._deadline == math.inf:
            self._deadline = self.loop.time() + LONGEST_REQUEST

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()
        self.cycle.transport = cast("asyncio.Transport", _Corked(self.transport, self.loop))

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._deadline = math.inf
        if self.cycle.response_complete:  # refused before it was all there
            self._wait()

    def on_response_complete(self) -> None:
        """Wait for the next request; uvicorn would set a timer of its own each time."""
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self._deadline == math.inf:
            self._wait()

    def _wait(self) -> None:
        self.is_idle = True
        self._deadline = self.loop.time() + LONGEST_IDLE

    def look(self, now: float) -> None:
        """End this connection if it is over its time."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent < self._unsent:
            self._moved = now
        self._unsent = unsent
        if now - self._moved > LONGEST_STALL:
            self.transport.abort()
        elif now > self._deadline:
            if self.is_idle or unsent or self._has_begun():
                self.transport.abort()
            else:
                self._refuse(408)
        elif self.transport.is_closing():
            # It is flushed within a moment, unless the other side does not read.
            self._deadline = min(self._deadline, now + LONGEST_STALL)

    def know(self) -> None:
        """Note that a request was accepted."""
        self._table.know(self)

    def _is_answered(self) -> bool:
        cycle = cast("RequestResponseCycle | None", self.cycle)  # uvicorn says otherwise of a new connection
        return cycle is None or cycle.response_complete

    def _has_begun(self) -> bool:
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and cycle.response_started

    def _refuse(self, status: int) -> None:
        self.transport.write(STATUS_LINE[status] + b"connection: close\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()

    def _should_upgrade(self) -> bool:
        return False  # nothing but HTTP/1.1

    def _unsupported_upgrade_warning(self) -> None:
        pass


async def busy(scope: Scope, receive: Receive, send: Send) -> None:
    """Say that there are too many connections."""
    del receive
    if scope["type"] == "http":
        headers = [(b"retry-after", b"1"), (b"connection", b"close"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

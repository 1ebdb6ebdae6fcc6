"""One connection of HTTP/1.1 (RFC 9112): a request goes out, its answer is read, and it is free for the next.

Answers are parsed by httptools, strictly. Nothing is read ahead without bound, and whatever is not due closes the
connection: bytes behind an answer would else be taken for the answer to the next request.
"""

from __future__ import annotations

import asyncio
import select
import ssl
import sys
from typing import TYPE_CHECKING, cast

import httptools
import httpx2

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_ASIDE = 100 * 1024
"""Most bytes in a row that are no body: of the status line and headers, of trailers, or of what belongs to chunks."""

MOST_UNREAD = 256 * 1024
"""Bytes of a body from which on nothing more is taken from the network until somebody reads."""


class Connection(asyncio.Protocol):
    """A connection, from its opening on.

    Attributes:
        status: HTTP status of the answer, once its head is there.
        headers: Its headers as they came.
        idle_since: When the last answer was read, by the loop's clock.
        is_spent: Whether it can serve no further request.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, gone: Callable[[Connection], None]) -> None:
        """Prepare.

        Args:
            loop: Where it lives.
            gone: Told when the connection is closed, by whichever side.
        """
        self.idle_since = 0.0
        self.is_spent = False
        self._loop = loop
        self._gone = gone
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._is_readable: Callable[[], bool] = _never
        self._is_idle = True
        self._is_full = False
        self._is_paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._error: httpx2.TransportError | None = None
        self._begin()

    def _begin(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._unread = 0
        self._aside = 0
        self._has_head = False
        self._is_whole = False
        self._is_framed = False

    # What its owner does with it.

    def may_serve(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether another request can be sent over it: it is open, and nothing came unasked, not even its end."""
        return not self.is_spent and self._loop is loop and not self._is_readable()

    async def ask(self, request: bytes, *, write: float, read: float) -> None:
        """Send a request and wait for the head of its answer.

        Args:
            request: All of it.
            write: Most seconds until the network takes it.
            read: Most seconds between two pieces of the answer.

        Raises:
            httpx2.ConnectError: The connection was closed before. Nothing was sent.
            httpx2.TransportError: There is no answer. The request may have arrived.
        """
        if self._transport is None or self.is_spent:
            raise httpx2.ConnectError("The connection was closed before anything was sent.")
        self._is_idle = False
        self._begin()
        self._transport.write(request)
        while not self._has_head:
            if self._error is not None:
                raise self._error
            if self._is_full:
                await self._news(write, httpx2.WriteTimeout)
            else:
                await self._news(read, httpx2.ReadTimeout)

    async def part(self, read: float) -> bytes:
        """Return the next piece of the answer's body; empty at its end.

        Args:
            read: Most seconds until it comes.

        Raises:
            httpx2.TransportError: The answer was cut off.
        """
        while not self._parts:
            if self._is_whole:
                return b""
            if self._error is not None:
                raise self._error
            await self._news(read, httpx2.ReadTimeout)
        found = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._unread = 0
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return found

    def rest(self) -> bool:
        """Become idle; return whether another request may follow. Otherwise it is closed."""
        is_unsent = self._transport is not None and self._transport.get_write_buffer_size()
        if not self._is_whole or self._parts or self.is_spent or is_unsent:
            self.abort()
            return False
        self._is_idle = True
        self.idle_since = self._loop.time()
        return True

    def abort(self) -> None:
        """Close at once, without sending what is left."""
        self.is_spent = True
        if not self._is_whole and self._error is None:
            self._error = httpx2.ReadError("The connection was closed here.")
        if self._transport is not None and not self._loop.is_closed():
            self._transport.abort()
        self._wake()

    async def _news(self, seconds: float, late: type[httpx2.TimeoutException]) -> None:
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_later(seconds, _give_up, waiter, late)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods only
        found = transport.get_extra_info("socket")
        if found is not None:
            self._is_readable = _readable(found.fileno())

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._is_idle:
            self.abort()
            return
        self._aside += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("The answer changes the protocol.")
        except httptools.HttpParserError as error:
            self._fail(f"The answer is no HTTP: {error}.")
        if self._aside > MOST_ASIDE:
            self._fail("The answer's head is too large, or what goes with its chunks.")
        if self._unread > MOST_UNREAD and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """The other side sends no more."""
        if self._has_head and not self._is_framed and self._error is None and self._is_end_meant():
            self._is_whole = True  # the end of the connection is the end of the body (RFC 9112, 6.3)
        self._over(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._over(exc)
        self._gone(self)

    def pause_writing(self) -> None:
        """The network is slower than the request is long."""
        self._is_full = True
        self._wake()  # it may be told only after the request was handed over

    def resume_writing(self) -> None:
        """The network can take more."""
        self._is_full = False
        self._wake()

    def _over(self, exc: Exception | None) -> None:
        self.is_spent = True
        if not self._is_whole and self._error is None:
            if exc is None:
                self._error = httpx2.RemoteProtocolError("The connection was closed before the end of the answer.")
            else:
                self._error = httpx2.ReadError("The connection broke.")
        self._wake()

    def _is_end_meant(self) -> bool:
        # Anybody on the way can cut a connection; under TLS only the other side can say that it ends (RFC 9112, 9.8).
        tls: ssl.SSLObject | None = self._transport.get_extra_info("ssl_object") if self._transport else None
        try:
            return tls is None or not tls.read(1)
        except ssl.SSLError:
            return False

    def _fail(self, message: str) -> None:
        self.is_spent = True
        if not self._is_whole and self._error is None:
            self._error = httpx2.RemoteProtocolError(message)

    # What the parser tells.

    def on_message_begin(self) -> None:
        """An answer begins; one more than was asked for is of no use."""
        if self._is_whole:
            self.is_spent = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header was read, or a trailer, which means nothing here."""
        if not self._has_head:
            self.headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """The head was read; heads of interim answers are skipped (RFC 9110, 15.2)."""
        status = self._parser.get_status_code()
        if self._is_whole or self._has_head:
            return
        if status < 200:
            self.headers, self._aside = [], 0
            return
        self.status = status
        for name, value in self.headers:
            kind = name.lower()
            if kind == b"transfer-encoding" and (self._is_framed or value.lower() != b"chunked"):
                self._fail("The answer is in a transfer coding that was not asked for.")  # RFC 9112, 7
                return
            if kind in _FRAMING:
                self._is_framed = True
        self._has_head = True
        if not self._parser.should_keep_alive():
            self.is_spent = True

    def on_body(self, body: bytes) -> None:
        """A piece of the body was read."""
        self._aside = 0
        if self._has_head and not self._is_whole:
            self._parts.append(body)
            self._unread += len(body)

    def on_message_complete(self) -> None:
        """The answer is all there."""
        if self._has_head:
            self._is_whole = True


_FRAMING = {b"content-length", b"transfer-encoding"}


def _give_up(waiter: asyncio.Future[None], late: type[httpx2.TimeoutException]) -> None:
    if not waiter.done():
        waiter.set_exception(late("It took too long."))


def _never() -> bool:
    return False


if sys.platform == "win32":

    def _readable(number: int) -> Callable[[], bool]:
        return lambda: bool(select.select([number], [], [], 0)[0])

else:

    def _readable(number: int) -> Callable[[], bool]:
        poll = select.poll()
        poll.register(number, select.POLLIN)
        return lambda: bool(poll.poll(0))

"""Answers, whole or broken, are read by our connections as they are by the HTTP library's own."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

import httpx2
import pytest
from direct_world import PATIENCE, Read, ask, direct
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

STRICTER = {
    f"The answer is no HTTP: {reason}."
    for reason in (
        "Missing expected CR after response line",
        "Missing expected CR after header value",
        "Missing expected LF after header value",
        "Invalid header field char",  # a bare LF where the head ends
        "Unexpected whitespace after header value",  # a folded line
        "Invalid header value char",  # a bare LF in front of CRLF
        "Invalid character in chunk extensions",
        "Duplicate Content-Length",  # of the same length
        "Content-Length can't be present with Transfer-Encoding",
        "Transfer-Encoding can't be present with Content-Length",
    )
}
"""What is said of answers that the library takes: RFC 9112, 2.2, 5.2 and 6.3 let a client refuse each."""

LENIENT = ("no response line received", "illegal request line", "illegal status line")
"""What the library says of answers that are taken here: an empty line before them, or NUL in a reason nobody reads."""

_TOKEN = st.text("abcXYZ019-_!~", min_size=1, max_size=8)
_VALUE = st.text('abc XYZ;=\t,/"é\xff', max_size=20)


def _head(status: int, reason: str, lines: Sequence[tuple[str, str]], version: str = "1.1") -> bytes:
    return "\r\n".join(
        [f"HTTP/{version} {status} {reason}", *(f"{name}:{value}" for name, value in lines), "", ""]
    ).encode("latin-1")


@st.composite
def _chunked(draw: st.DrawFn, body: bytes) -> bytes:
    wire = b""
    while body:
        size = draw(st.integers(1, len(body)))
        extension = draw(st.sampled_from([b"", b"", b";a", b";a=b", b';a="b"']))
        wire += draw(st.sampled_from([b"%x", b"%X", b"00%x"])) % size + extension + b"\r\n" + body[:size] + b"\r\n"
        body = body[size:]
    trailers = "".join(
        f"X-{name}: {value}\r\n" for name, value in draw(st.lists(st.tuples(_TOKEN, _VALUE), max_size=2))
    )
    return wire + b"0\r\n" + trailers.encode("latin-1") + b"\r\n"


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """A well-formed answer."""
    interim = b"".join(
        _head(status, "Soon", [("X-A", "b")]) for status in draw(st.lists(st.sampled_from([100, 102, 103]), max_size=2))
    )
    status = draw(st.sampled_from([200, 200, 201, 204, 304, 404, 413, 500, 599, 999]))
    body = draw(st.binary(max_size=40))
    lines = [(f"X-{name}", value) for name, value in draw(st.lists(st.tuples(_TOKEN, _VALUE), max_size=3))]
    lines += draw(st.sampled_from([[], [], [("Connection", "close")], [("Connection", " keep-alive")]]))
    version = draw(st.sampled_from(["1.1", "1.1", "1.1", "1.0"]))
    match draw(st.sampled_from(["length", "length", "chunked", "close"])):
        case "length":
            lines.append((draw(st.sampled_from(["Content-Length", "content-LENGTH"])), f" {len(body)}"))
        case "chunked" if version == "1.1":
            lines.append(("Transfer-Encoding", " chunked"))
            body = draw(_chunked(body))
        case _:
            pass
    if status in {204, 304}:
        body = b""
    lines = draw(st.permutations(lines))
    return interim + _head(status, draw(st.sampled_from(["OK", "", "So be it"])), lines, version) + body


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """An answer with a few bytes changed, or one that ends early."""
    wire = bytearray(draw(answers()))
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.integers(0, len(wire)))
        bit = draw(
            st.sampled_from([b"", b" ", b"\r", b"\n", b"\r\n", b"\0", b":", b",", b";", b"0", b"f", b"-", b"\x80"])
        )
        wire[place : place + draw(st.integers(0, 3))] = bit
    if draw(st.integers(0, 3)) == 0:
        del wire[draw(st.integers(0, len(wire))) :]
    return bytes(wire)


class _World:
    """A server that sends one answer in pieces and closes, and one event loop for all."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.serving: set[asyncio.Task[None]] = set()
        self.pieces: list[bytes] = []
        self.server = self.runner.run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = self.server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            for piece in self.pieces:
                writer.write(piece)
                for _ in range(3):  # so that it arrives by itself
                    await asyncio.sleep(0)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            self.serving.discard(task)

    def read(self, transport: httpx2.AsyncBaseTransport) -> Read | httpx2.TransportError:
        async def once() -> Read | httpx2.TransportError:
            try:
                return await ask(transport)
            except httpx2.TransportError as error:
                return error
            finally:
                await transport.aclose()

        return self.runner.run(once())

    def close(self) -> None:
        self.server.close()
        self.runner.run(self._ended())
        self.runner.close()

    async def _ended(self) -> None:
        if self.serving:
            await asyncio.wait(self.serving, timeout=PATIENCE)


@pytest.fixture(scope="module")
def world() -> Generator[_World]:
    made = _World()
    yield made
    made.close()


_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading them takes longer than all the rest


class _Elsewhere(httpx2.AsyncBaseTransport):
    def __init__(self, port: int) -> None:
        self._port = port
        self._inner = httpx2.AsyncHTTPTransport(verify=_NO_CERTIFICATES, trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.url = request.url.copy_with(port=self._port)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


def _pieces(wire: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in cuts)})
    return [wire[start:end] for start, end in pairwise(places)]


def _read_by_both(world: _World, wire: bytes, cuts: list[int]) -> tuple[object, object]:
    world.pieces = _pieces(wire, cuts)
    return world.read(direct(world.port)), world.read(_Elsewhere(world.port))


_BOUNDED = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
_CUTS = st.lists(st.integers(0, 2000), max_size=4)


@settings(_BOUNDED, max_examples=100)
@given(wire=answers(), cuts=_CUTS)
def test_what_is_well_formed_is_read_alike(world: _World, wire: bytes, cuts: list[int]) -> None:
    ours, theirs = _read_by_both(world, wire, cuts)
    assert not isinstance(theirs, Exception)
    assert ours == theirs


@settings(_BOUNDED, max_examples=150)
@given(wire=broken(), cuts=_CUTS)
def test_what_is_broken_is_read_alike_or_refused(world: _World, wire: bytes, cuts: list[int]) -> None:
    ours, theirs = _read_by_both(world, wire, cuts)
    if isinstance(ours, httpx2.TransportError):
        assert isinstance(theirs, Exception) or str(ours) in STRICTER, ours
    elif isinstance(theirs, Exception):
        assert str(theirs).startswith(LENIENT), theirs
    else:
        assert ours == theirs

"""Our own HTTP connections against servers on loopback that keep, bend and break the rules (RFC 9112)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from api_world import head, serving
from direct_world import (
    LOOPS,
    MOST,
    NAMES,
    PATIENCE,
    WHOLE,
    always,
    ask,
    bodies,
    direct,
    failure,
    idle,
    listening,
    port,
    reset,
    settled,
    spent,
)

from kallyai_mcp.api.direct import Direct

if TYPE_CHECKING:
    from anyio.abc import ByteStream
    from api_world import Loopback

    from kallyai_mcp.api.connection import Connection

pytestmark = pytest.mark.anyio

CHUNKED = head("200 OK", "Transfer-Encoding: chunked")


@pytest.fixture(params=LOOPS, ids=NAMES)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


# What is sent.


async def test_a_request_goes_out_as_it_was_built() -> None:
    async with serving(always(WHOLE)) as world:
        transport = direct(port(world))
        await ask(transport, "POST", b'{"a":1}', headers=[("X-A", "b"), ("x-a", "é".encode())])
        await transport.aclose()
    assert world.received == [
        b'POST /v1/a HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: b\r\nx-a: \xc3\xa9\r\nContent-Length: 7\r\n\r\n{"a":1}'
    ]


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        ("GET", b"X-A", b"b\r\nX-B: c"),
        ("GET", b"X-A", b"b\nX-B: c"),
        ("GET", b"X-A", b"b\rX-B: c"),
        ("GET", b"X-A", b"b\0"),
        ("GET", b"X-A: b\r\nX-B", b"c"),
        ("GET /v1/b HTTP/1.1\r\nX-B:", b"X-A", b"b"),
        ("GET /v1/b", b"X-A", b"b"),
    ],
)
async def test_nothing_can_be_smuggled_into_a_head(method: str, name: bytes, value: bytes) -> None:
    async with serving(always(WHOLE)) as world:
        transport = direct(port(world))
        with pytest.raises(httpx2.LocalProtocolError):
            await ask(transport, method, headers=[(name, value)])
        await settled(transport)
    assert world.received == []


async def test_a_large_request_and_a_large_answer_pass_through() -> None:
    async def echo(stream: ByteStream, world: Loopback) -> None:
        body = world.received[0].partition(b"\r\n\r\n")[2]
        await stream.send(head("200 OK", f"Content-Length: {len(body)}") + body)

    content = bytes(range(256)) * 20_000
    async with serving(echo) as world:
        transport = direct(port(world))
        assert (await ask(transport, "POST", content))[2] == content
        await transport.aclose()


# Answers that are whole.


async def test_an_answer_may_come_byte_by_byte_behind_interim_ones() -> None:
    wire = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"
    wire += head("200 OK", "X-A: b \t", "Transfer-Encoding: CHUNKED") + b"1;x=y\r\n{\r\n1\r\n}\r\n0\r\nX-T: 1\r\n\r\n"

    async def drip(stream: ByteStream, _world: Loopback) -> None:
        while True:
            for place in range(len(wire)):
                await stream.send(wire[place : place + 1])
                await anyio.lowlevel.checkpoint()
            await stream.receive()

    async with serving(drip) as world:
        transport = direct(port(world))
        for _ in range(2):
            status, headers, body = await ask(transport)
            assert (status, body) == (200, b"{}")
            assert headers == [
                (b"content-type", b"application/json"),
                (b"x-a", b"b"),
                (b"transfer-encoding", b"CHUNKED"),
            ]
        await transport.aclose()
    assert len(world.received) == 1


@pytest.mark.parametrize(
    ("answer", "body", "connections"),
    [
        (WHOLE, b"{}", 1),
        (CHUNKED + b"2\r\n{}\r\n0\r\n\r\n", b"{}", 1),
        (head("204 No Content"), b"", 1),
        (head("304 Not Modified", "Content-Length: 5"), b"", 1),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}", b"{}", 1),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"{}", 3),
        (head("200 OK", "Connection: close", "Content-Length: 2") + b"{}", b"{}", 3),
        (WHOLE + b"x", b"{}", 3),
        (WHOLE + WHOLE, b"{}", 3),
        (WHOLE + b"HTTP/1.1 100 Continue\r\n\r\n", b"{}", 3),
        (head("204 No Content", "Content-Length: 2") + b"{}", b"", 3),
        (CHUNKED + b"2\r\n{}\r\n0\r\n\r\n0\r\n\r\n", b"{}", 3),
    ],
)
async def test_a_connection_is_kept_only_if_nothing_is_left_on_it(answer: bytes, body: bytes, connections: int) -> None:
    assert await bodies(always(answer, answer, answer), 3) == ([body] * 3, connections)


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n"])
async def test_without_a_length_the_end_of_the_connection_ends_the_body(start: bytes) -> None:
    async def behave(stream: ByteStream, _world: Loopback) -> None:
        await stream.send(start + b"{")
        await anyio.sleep(0.01)
        await stream.send(b"}")

    assert await bodies(behave, 2) == ([b"{}"] * 2, 2)


async def test_a_body_without_a_length_is_not_whole_when_the_connection_breaks() -> None:
    async def behave(stream: ByteStream, _world: Loopback) -> None:
        await stream.send(b"HTTP/1.1 200 OK\r\n\r\n{")
        await anyio.sleep(0.05)
        reset(stream)

    assert type(await failure(behave)) is httpx2.ReadError


# Answers that are not.


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + WHOLE,
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n",
        head("200 OK", "Content-Length: 3") + b"{}",
        head("200 OK", "Content-Length: -1") + b"{}",
        head("200 OK", "Content-Length: 2", "Content-Length: 3") + b"{} ",
        head("200 OK", "Content-Length: 2", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n",
        head("200 OK", "Transfer-Encoding: gzip, chunked") + b"2\r\n{}\r\n0\r\n\r\n",
        head("200 OK", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n",
        head("200 OK", "Transfer-Encoding: gzip") + b"{}",
        CHUNKED + b"2\r\n{}\r\n0\r\n",
        CHUNKED + b"2\r\n{}",
        CHUNKED + b"2\r\n{}x0\r\n\r\n",
        CHUNKED + b"-2\r\n{}",
        CHUNKED + b"ffffffffffffffffff\r\n{}",
        b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
    ],
)
async def test_an_answer_that_is_broken_or_cut_off_is_none(answer: bytes) -> None:
    async def behave(stream: ByteStream, _world: Loopback) -> None:
        if answer:
            await stream.send(answer)

    assert type(await failure(behave, "POST", b"{}")) is httpx2.RemoteProtocolError


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 2", head("200 OK", "Content-Length: 3") + b"{", CHUNKED + b"2\r\n{"])
async def test_a_connection_that_breaks_is_a_read_error(start: bytes) -> None:
    async def behave(stream: ByteStream, _world: Loopback) -> None:
        if start:
            await stream.send(start)
        await anyio.sleep(0.05)
        reset(stream)

    assert type(await failure(behave, "POST", b"{}")) is httpx2.ReadError


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 ",
        b"HTTP/1.1 200 OK\r\nX-A: ",
        CHUNKED + b"2;",
        CHUNKED + b"2\r\n{}\r\n0\r\nX-T: ",
    ],
    ids=["reason", "header", "chunk extension", "trailer"],
)
async def test_nothing_that_is_no_body_grows_without_end(start: bytes) -> None:
    sent = 0

    async def behave(stream: ByteStream, _world: Loopback) -> None:
        nonlocal sent
        await stream.send(start)
        while True:
            await stream.send(b"a" * 10_000)
            sent += 10_000

    assert type(await failure(behave)) is httpx2.RemoteProtocolError
    assert sent < 20_000_000  # what the network itself holds


async def test_trailers_are_no_headers_and_chunks_of_any_number_are_fine() -> None:
    answer = CHUNKED + b"1;ext=1\r\na\r\n" * 50_000 + b"0\r\nX-Sandbox: 1\r\n\r\n"
    async with serving(always(answer)) as world:
        transport = direct(port(world))
        status, headers, body = await ask(transport)
        await transport.aclose()
    assert (status, len(headers), body) == (200, 2, b"a" * 50_000)


# What comes at the wrong time.


class _Late(Direct):
    """Looks at a connection only after something came on it."""

    async def _open(self, seconds: float) -> Connection:
        connection = await super()._open(seconds)
        await spent(connection)
        return connection


@pytest.mark.parametrize("early", [b"", WHOLE, head("503 Busy", "Connection: close", "Content-Length: 0")])
async def test_what_comes_before_the_request_is_no_answer_to_it(early: bytes) -> None:
    received = b""

    async def handle(stream: ByteStream) -> None:
        nonlocal received
        if early:
            await stream.send(early)
            received += await stream.receive()

    async with listening(handle) as number:
        transport = _Late("127.0.0.1", number, context=None, limits=httpx2.Limits(max_connections=MOST))
        with pytest.raises(httpx2.ConnectError):
            await ask(transport, "POST", b"{}")
        await settled(transport)
    assert received == b""


@pytest.mark.parametrize("what", [head("200 OK", "Content-Length: 4") + b"evil", b"\r\n", None])
async def test_what_comes_between_two_requests_is_no_answer_to_the_second(what: bytes | None) -> None:
    is_read = anyio.Event()

    async def behave(stream: Any, _world: Loopback) -> None:
        await stream.send(WHOLE)
        await is_read.wait()
        await (stream.send_eof() if what is None else stream.send(what))
        await stream.receive()

    async with serving(behave) as world:
        transport = direct(port(world))
        await ask(transport)
        (kept,) = idle(transport)
        is_read.set()
        await spent(kept)
        assert (await ask(transport))[2] == b"{}"
        await transport.aclose()
    assert len(world.received) == 2


@pytest.mark.parametrize("ends", ["closes", "stays", "reads"])
async def test_an_early_refusal_of_a_large_request_is_read(ends: str) -> None:
    async def handle(stream: ByteStream) -> None:
        await stream.receive(100)
        await stream.send(head("413 Too Large", "Content-Length: 2") + b"{}")
        if ends == "stays":
            await anyio.sleep_forever()
        while ends == "reads":
            await stream.receive()

    async with listening(handle) as number:
        transport = direct(number)
        with anyio.fail_after(2 * PATIENCE):
            status, _, body = await ask(transport, "POST", b"x" * 50_000_000)
        assert (status, body) == (413, b"{}")
        await settled(transport)  # what is left of the request would run into the next one

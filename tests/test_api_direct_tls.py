"""Our own HTTP connections over TLS: who may answer, and when an answer is whole (RFC 9112, 9.7 and 9.8)."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from api_world import head
from direct_world import (
    LOOPS,
    MOST,
    NAMES,
    PATIENCE,
    WHOLE,
    ask,
    certificate,
    direct,
    listening,
    opened,
    over,
    settled,
    turns,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from pathlib import Path

    from anyio.abc import ByteStream

    from kallyai_mcp.api.direct import Direct

    Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

pytestmark = pytest.mark.anyio

TO_THE_END = b"HTTP/1.1 200 OK\r\n\r\n"
"""Head of an answer whose body lasts until the connection is closed."""


@pytest.fixture(params=LOOPS, ids=NAMES)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@asynccontextmanager
async def secured(folder: Path, behave: Behaviour, *hosts: str) -> AsyncGenerator[int]:
    """Serve over TLS, with a certificate for these hosts, or for 127.0.0.1; give the port."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await behave(reader, writer)
        finally:
            writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(handle(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    context = certificate(folder, *hosts or ("127.0.0.1",))
    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        while tasks:
            await anyio.lowlevel.checkpoint()
        for _ in range(50):  # the last connections are closed by the loop, step by step
            await anyio.sleep(0.001)


def trusting(folder: Path, port: int, **options: Any) -> Direct:
    """Return a transport that trusts the certificate in the folder."""
    context = ssl.create_default_context(cafile=folder / "cert.pem")
    return direct(port, context=context, **options)


async def for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(WHOLE)


async def test_one_connection_serves_several_requests(tmp_path: Path) -> None:
    async with secured(tmp_path, for_ever) as port:
        transport = trusting(tmp_path, port)
        for _ in range(3):
            assert (await ask(transport))[2] == b"{}"
            await anyio.sleep(0.01)  # tickets come behind the first answer
        assert len(opened(transport)) == 1
        await transport.aclose()
        await settled(transport)


async def test_a_name_is_checked_against_the_certificate(tmp_path: Path) -> None:
    async with secured(tmp_path, for_ever, "localhost") as port:
        transport = trusting(tmp_path, port, host="localhost")
        assert (await ask(transport))[2] == b"{}"
        await transport.aclose()
        await settled(transport)
        wrong = trusting(tmp_path, port, host="127.0.0.1")
        with pytest.raises(httpx2.ConnectError, match="certificate"):
            await ask(wrong)
        await settled(wrong)


async def test_a_name_that_the_certificate_does_not_have_is_refused(tmp_path: Path) -> None:
    reached: list[bytes] = []

    async def note(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        reached.append(await reader.readuntil(b"\r\n\r\n"))

    async with secured(tmp_path, note, "api.example.org") as port:
        transport = trusting(tmp_path, port, host="localhost")
        with pytest.raises(httpx2.ConnectError, match="certificate"):
            await ask(transport, "POST", b"{}")
        await settled(transport)
    assert reached == []


async def test_a_certificate_of_nobody_known_is_refused(tmp_path: Path) -> None:
    async with secured(tmp_path, for_ever) as port:
        transport = direct(port, context=httpx2.create_ssl_context(trust_env=False))
        with pytest.raises(httpx2.ConnectError, match="certificate"):
            await ask(transport)
        await settled(transport)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"])
async def test_a_server_without_tls_gets_no_request(tmp_path: Path, answer: bytes) -> None:
    received: list[bytes] = []

    async def handle(stream: ByteStream) -> None:
        received.append(await stream.receive())
        if answer:
            await stream.send(answer)

    async with listening(handle) as port:
        certificate(tmp_path, "127.0.0.1")
        transport = trusting(tmp_path, port)
        with pytest.raises(httpx2.ConnectError):
            await ask(transport, "POST", b"{}")
        await settled(transport)
    assert all(b"HTTP/1.1" not in each for each in received)


async def test_a_handshake_that_never_ends_runs_into_the_timeout(tmp_path: Path) -> None:
    async def handle(_stream: ByteStream) -> None:
        await anyio.sleep_forever()

    async with listening(handle) as port:
        certificate(tmp_path, "127.0.0.1")
        transport = trusting(tmp_path, port)
        with anyio.fail_after(PATIENCE), pytest.raises(httpx2.ConnectTimeout):
            await ask(transport, connect=0.1)
        await settled(transport)


async def test_a_request_cancelled_at_any_moment_leaves_nothing_behind(tmp_path: Path) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(WHOLE)
        while await reader.read(65536):
            pass

    async with secured(tmp_path, behave) as port:
        transport = trusting(tmp_path, port)
        for moment in range(40):
            async with anyio.create_task_group() as group:
                group.start_soon(ask, transport, "POST", b"x" * 300_000)
                for _ in range(moment):
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
            assert turns(transport) == MOST
        await transport.aclose()
        await settled(transport)


async def test_large_bodies_pass_both_ways(tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(len(content))
        writer.write(head("200 OK", f"Content-Length: {len(body)}") + body)
        await writer.drain()
        await reader.read()

    async with secured(tmp_path, echo) as port:
        transport = trusting(tmp_path, port)
        with anyio.fail_after(2 * PATIENCE):
            assert (await ask(transport, "POST", content))[2] == content
        await transport.aclose()
        await settled(transport)


def sends(answer: bytes, *, says_so: bool) -> Behaviour:
    """Return a server that answers and closes, with or without a word that this is the end."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        await asyncio.sleep(0.05)
        if says_so:
            writer.close()
            with suppress(OSError, ssl.SSLError):
                await writer.wait_closed()

    return behave


@pytest.mark.parametrize("says_so", [True, False])
async def test_an_answer_of_known_length_is_whole_however_the_connection_ends(tmp_path: Path, says_so: bool) -> None:
    async with secured(tmp_path, sends(WHOLE, says_so=says_so)) as port:
        transport = trusting(tmp_path, port)
        for _ in range(2):
            assert (await ask(transport))[2] == b"{}"
            await over(transport)
        await settled(transport)


async def test_a_server_that_says_that_it_ends_ends_the_body(tmp_path: Path) -> None:
    async with secured(tmp_path, sends(TO_THE_END + b"{}", says_so=True)) as port:
        transport = trusting(tmp_path, port)
        with anyio.fail_after(2 * PATIENCE):
            assert (await ask(transport))[2] == b"{}"
        await settled(transport)


@pytest.mark.parametrize(
    ("answer", "says_so"),
    [
        (TO_THE_END + b"{}", False),  # somebody on the way may have cut it
        (head("200 OK", "Content-Length: 3") + b"{}", True),
        (head("200 OK", "Content-Length: 3") + b"{}", False),
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\n", False),
    ],
)
async def test_an_answer_that_was_cut_off_is_none(tmp_path: Path, answer: bytes, says_so: bool) -> None:
    async with secured(tmp_path, sends(answer, says_so=says_so)) as port:
        transport = trusting(tmp_path, port)
        with anyio.fail_after(2 * PATIENCE), pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
            await ask(transport)
        await settled(transport)

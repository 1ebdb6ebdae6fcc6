"""What the tests of our own HTTP connections share: servers on loopback that do to order what a server may do."""

from __future__ import annotations

import datetime
import ipaddress
import select
import socket
import ssl
import sys
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from anyio.abc import SocketAttribute
from api_world import head, serving
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kallyai_mcp.api.client import _NOT_SENT  # pyright: ignore[reportPrivateUsage] - the rule itself is tested
from kallyai_mcp.api.direct import Direct

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
    from pathlib import Path

    from anyio.abc import ByteStream
    from api_world import Loopback

    from kallyai_mcp.api.connection import Connection

PATIENCE = 30.0
"""Seconds after which something that was waited for counts as missing."""

MOST = 20
"""Connections at once of a transport that a test makes."""

WHOLE = head("200 OK", "Content-Length: 2") + b"{}"

LOOPS = [("asyncio", {"use_uvloop": False})] + ([("asyncio", {"use_uvloop": True})] if sys.platform != "win32" else [])
"""The event loops that the program runs on."""

NAMES = ["asyncio", "uvloop"][: len(LOOPS)]


def direct(port: int, *, host: str = "127.0.0.1", context: ssl.SSLContext | None = None, **limits: Any) -> Direct:
    """Return a transport to a server on loopback."""
    given: dict[str, Any] = {"max_connections": MOST, "max_keepalive_connections": MOST, "keepalive_expiry": 60.0}
    return Direct(host, port, context=context, limits=httpx2.Limits(**(given | limits)))


def request(method: str = "GET", content: bytes | None = None, **options: Any) -> httpx2.Request:
    """Return a request; what is left over are seconds of a phase."""
    headers = options.pop("headers", None)
    timeouts = dict.fromkeys(("pool", "connect", "write", "read"), PATIENCE) | options
    return httpx2.Request(
        method, "http://127.0.0.1/v1/a", content=content, headers=headers, extensions={"timeout": timeouts}
    )


Read = tuple[int, list[tuple[bytes, bytes]], bytes]
"""Status, headers and body of an answer."""


async def ask(transport: httpx2.AsyncBaseTransport, *args: Any, **options: Any) -> Read:
    """Send a request and read its answer to the end."""
    response = await transport.handle_async_request(request(*args, **options))
    return await read(response)


async def read(response: httpx2.Response) -> Read:
    """Read an answer to the end and close it."""
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    try:
        body = b"".join([part async for part in response.stream])
    finally:
        await response.aclose()
    return response.status_code, [(name.lower(), value) for name, value in response.headers.raw], body


@asynccontextmanager
async def listening(handle: Callable[[ByteStream], Awaitable[None]]) -> AsyncGenerator[int]:
    """Serve on loopback, from the first moment of a connection on; give the port."""

    async def quietly(stream: ByteStream) -> None:
        async with stream:
            with suppress(anyio.BrokenResourceError, anyio.EndOfStream, anyio.ClosedResourceError):
                await handle(stream)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, quietly)
        yield listener.extra(SocketAttribute.local_port)  # noqa: S610 - anyio, not Django
        group.cancel_scope.cancel()


def port(world: Loopback) -> int:
    return int(world.origin.rpartition(":")[2])


def always(*answers: bytes) -> Any:
    """Return a server's behaviour: these answers in turn, on each connection from the first on."""

    async def behave(stream: ByteStream, _world: Loopback) -> None:
        for answer in answers:
            await stream.send(answer)
            await stream.receive()

    return behave


async def bodies(behave: Any, times: int, **options: Any) -> tuple[list[bytes], int]:
    """Return the bodies of some requests, and over how many connections they came."""
    async with serving(behave) as world:
        transport = direct(port(world), **options)
        found = [(await ask(transport))[2] for _ in range(times)]
        assert turns(transport) == MOST
        await transport.aclose()
    return found, len(world.received)


async def failure(behave: Any, *args: Any, **options: Any) -> httpx2.TransportError:
    """Return what became of a request that reached the server; it was sent once, and is not said to be unsent."""
    async with serving(behave) as world:
        transport = direct(port(world))
        with anyio.fail_after(2 * PATIENCE), pytest.raises(httpx2.TransportError) as caught:
            await ask(transport, *args, **options)
        await settled(transport)
        with anyio.fail_after(PATIENCE):  # a client that has little time may have given up before
            while not world.received:
                await anyio.lowlevel.checkpoint()
    assert len(world.received) == 1
    assert not isinstance(caught.value, _NOT_SENT)
    return caught.value


def turns(transport: Direct) -> int:
    """Return how many requests more could be sent at once."""
    return transport._turns.value  # pyright: ignore[reportPrivateUsage] - what is held on to shows nowhere else


def idle(transport: Direct) -> list[Connection]:
    """Return the connections that wait for a request."""
    return transport._idle  # pyright: ignore[reportPrivateUsage] - what is held on to shows nowhere else


def opened(transport: Direct) -> set[Connection]:
    """Return all connections."""
    return transport._all  # pyright: ignore[reportPrivateUsage] - what is held on to shows nowhere else


def number_of(connection: Connection) -> int:
    """Return the number of a connection's socket."""
    transport = connection._transport  # pyright: ignore[reportPrivateUsage] - what the system knows shows nowhere else
    assert transport is not None
    return transport.get_extra_info("socket").fileno()


async def settled(transport: Direct) -> None:
    """Check that nothing is held on to once a request is over."""
    assert (turns(transport), idle(transport)) == (MOST, [])
    await over(transport)


async def spent(connection: Connection) -> None:
    """Wait until a connection can serve no further request."""
    with anyio.fail_after(PATIENCE):
        while not connection.is_spent:
            await anyio.lowlevel.checkpoint()


async def over(transport: Direct) -> None:
    """Wait until no connection is left."""
    with anyio.fail_after(PATIENCE):
        while opened(transport):
            await anyio.lowlevel.checkpoint()


def reset(stream: ByteStream) -> None:
    """Have the stream end as a connection does whose machine went away."""
    raw: socket.socket = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - anyio, not Django
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@contextmanager
def deaf(family: socket.AddressFamily = socket.AF_INET) -> Generator[int]:
    """A port on which nobody ever answers, not even to open a connection."""
    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    waiting: list[socket.socket] = []
    with socket.create_server((host, 0), family=family, backlog=0) as server:
        for _ in range(4):  # more than the queue takes
            waiting.append(socket.socket(family))
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(server.getsockname())
        assert select.select([], waiting, [], PATIENCE)[1]  # one stands, which is all that the queue takes
        try:
            yield server.getsockname()[1]
        finally:
            for each in waiting:
                each.close()


@contextmanager
def refusing() -> Generator[int]:
    """A port at which nothing listens, and cannot begin to."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def certificate(folder: Path, *hosts: str) -> ssl.SSLContext:
    """Write a certificate for these hosts to `folder/cert.pem`; return how its server speaks TLS."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_general(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)

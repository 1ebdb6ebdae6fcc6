"""How long our own HTTP connections last: timeouts, cancelled requests, idle and closed connections, event loops."""

from __future__ import annotations

import asyncio
import gc
import queue
import select
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from api_world import GET_GOALS, GOALS, RUN, FakeTokens, head, serving
from direct_world import (
    LOOPS,
    MOST,
    NAMES,
    PATIENCE,
    WHOLE,
    ask,
    deaf,
    direct,
    failure,
    idle,
    number_of,
    opened,
    port,
    read,
    refusing,
    request,
    settled,
    turns,
)

from kallyai_mcp.api import ApiClient

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from anyio.abc import ByteStream
    from api_world import Loopback

    from kallyai_mcp.api.direct import Direct

pytestmark = pytest.mark.anyio


@pytest.fixture(params=LOOPS, ids=NAMES)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


# Time, and running out of it.


@pytest.mark.parametrize(
    ("phase", "expected", "content"),
    [("read", httpx2.ReadTimeout, b""), ("write", httpx2.WriteTimeout, b"x" * 50_000_000)],
)
async def test_a_silent_server_runs_into_the_timeout_of_the_phase(phase: str, expected: Any, content: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections stand, and nobody ever reads from one
        transport = direct(silent.getsockname()[1])
        with anyio.fail_after(PATIENCE), pytest.raises(expected):
            await ask(transport, "POST", content, **{phase: 0.05})
        await settled(transport)


async def test_a_body_that_stops_runs_into_the_timeout() -> None:
    async def behave(stream: ByteStream, _world: Loopback) -> None:
        await stream.send(head("200 OK", "Content-Length: 3") + b"{")
        await anyio.sleep_forever()

    assert type(await failure(behave, read=0.05)) is httpx2.ReadTimeout


async def test_a_host_that_does_not_answer_runs_into_the_timeout() -> None:
    with deaf() as number:
        transport = direct(number)
        with anyio.fail_after(PATIENCE), pytest.raises(httpx2.ConnectTimeout):
            await ask(transport, connect=0.05)
        await settled(transport)


async def test_waiting_for_a_turn_ends_in_time_and_takes_none() -> None:
    release = anyio.Event()

    async def behave(stream: ByteStream, _world: Loopback) -> None:
        await release.wait()
        while True:
            await stream.send(WHOLE)
            await stream.receive()

    async with serving(behave) as world, anyio.create_task_group() as group:
        transport = direct(port(world), max_connections=1)
        group.start_soon(ask, transport)
        while not world.received:
            await anyio.lowlevel.checkpoint()
        with pytest.raises(httpx2.PoolTimeout):
            await ask(transport, pool=0.05)
        with anyio.move_on_after(0.05):
            await ask(transport)
        group.start_soon(ask, transport)
        release.set()
        assert (await ask(transport))[2] == b"{}"
        while turns(transport) != 1:
            await anyio.lowlevel.checkpoint()
        await transport.aclose()


# Giving up.


async def _steps(stream: ByteStream, _world: Loopback) -> None:
    for piece in (b"HTTP/1.1 200 OK\r\nContent-", b"Length: 3\r\n\r\n", b"{", b" ", b"}"):
        await stream.send(piece)
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_request_cancelled_at_any_moment_leaves_nothing_behind(method: str) -> None:
    async with serving(_steps) as world:
        transport = direct(port(world))
        for moment in range(40):
            async with anyio.create_task_group() as group:
                group.start_soon(ask, transport, method, b"" if method == "GET" else b"x" * 300_000)
                for _ in range(moment):
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
            await _free(transport)


async def _free(transport: Direct) -> None:
    assert turns(transport) == MOST
    with anyio.fail_after(PATIENCE):
        while len(opened(transport)) != len(idle(transport)):
            await anyio.lowlevel.checkpoint()


async def test_a_body_that_nobody_reads_stops_the_server_and_can_be_given_up() -> None:
    sent = 0

    async def behave(stream: ByteStream, _world: Loopback) -> None:
        nonlocal sent
        await stream.send(head("200 OK", "Content-Length: 100000000"))
        while True:
            await stream.send(b"a" * 100_000)
            sent += 100_000

    async with serving(behave) as world:
        transport = direct(port(world))
        response = await transport.handle_async_request(request())
        before = -1
        while sent != before:  # until the server is stuck
            before = sent
            await anyio.sleep(0.1)
            assert sent < 50_000_000
        await response.aclose()
        await response.aclose()
        await settled(transport)
        with anyio.fail_after(PATIENCE):
            await world.gone.wait()


async def test_reading_goes_on_after_a_pause() -> None:
    content = bytes(range(256)) * 40_000

    async def behave(stream: ByteStream, _world: Loopback) -> None:
        await stream.send(head("200 OK", f"Content-Length: {len(content)}") + content)
        await stream.receive()

    async with serving(behave) as world:
        transport = direct(port(world))
        response = await transport.handle_async_request(request())
        await anyio.sleep(0.2)
        assert (await read(response))[2] == content
        assert len(idle(transport)) == 1
        await transport.aclose()


# Connections that are kept.


async def test_an_idle_connection_is_given_up_after_its_time() -> None:
    async with serving(_for_ever) as world:
        transport = direct(port(world))
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(ask, transport)
        first, second, third = idle(transport)
        first.idle_since -= 61
        await ask(transport)
        assert (idle(transport), first.is_spent, third.is_spent) == ([second, third], True, False)
        second.idle_since -= 61
        third.idle_since -= 61
        await ask(transport)
        assert (len(idle(transport)), len(world.received)) == (1, 4)
        await transport.aclose()


async def test_no_more_connections_are_kept_than_wanted() -> None:
    async with serving(_for_ever) as world:
        transport = direct(port(world), max_keepalive_connections=1)
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(ask, transport)
        assert len(idle(transport)) == 1
        await _free(transport)
        await transport.aclose()


async def _for_ever(stream: ByteStream, _world: Loopback) -> None:
    while True:
        await stream.send(WHOLE)
        await stream.receive()


async def test_connections_in_use_are_closed_too_and_none_is_kept_after_that() -> None:
    release = anyio.Event()

    async def behave(stream: ByteStream, _world: Loopback) -> None:
        await release.wait()
        await _for_ever(stream, _world)

    failed: list[httpx2.TransportError] = []

    async def lost(transport: Direct) -> None:
        with pytest.raises(httpx2.ReadError) as caught:
            await ask(transport)
        failed.append(caught.value)

    async with serving(behave) as world:
        transport = direct(port(world))
        async with anyio.create_task_group() as group:
            group.start_soon(lost, transport)
            group.start_soon(lost, transport)
            while len(world.received) < 2:
                await anyio.lowlevel.checkpoint()
            await transport.aclose()
        assert len(failed) == 2
        release.set()
        assert (await ask(transport))[2] == b"{}"
        await settled(transport)


async def test_a_body_is_cut_off_by_closing() -> None:
    async def behave(stream: ByteStream, _world: Loopback) -> None:
        await stream.send(head("200 OK", "Content-Length: 3") + b"{")
        await stream.receive()

    async with serving(behave) as world:
        transport = direct(port(world))
        response = await transport.handle_async_request(request())
        await transport.aclose()
        with pytest.raises(httpx2.ReadError):
            await read(response)
        await settled(transport)


@contextmanager
def _in_thread(behave: Callable[[socket.socket, int], None]) -> Generator[int]:
    """A server in threads of its own, which go on while the event loop is busy; give the port."""
    accepted: list[socket.socket] = []

    def handle(connection: socket.socket, place: int) -> None:
        with connection, suppress(OSError):
            connection.recv(10_000)
            connection.sendall(WHOLE)
            behave(connection, place)

    def serve() -> None:
        with suppress(OSError):
            while True:
                accepted.append(server.accept()[0])
                threading.Thread(target=handle, args=(accepted[-1], len(accepted)), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("push", [b"", b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"])
async def test_a_busy_event_loop_does_not_use_what_the_server_has_closed(push: bytes) -> None:
    may_close, is_closed = threading.Event(), threading.Event()

    def behave(connection: socket.socket, place: int) -> None:
        if place == 1:
            may_close.wait(PATIENCE)
            connection.sendall(push)
            connection.close()
            is_closed.set()

    with _in_thread(behave) as number:
        transport = direct(number)
        await ask(transport)
        (kept,) = idle(transport)
        may_close.set()
        assert is_closed.wait(PATIENCE)  # the event loop is busy all the while
        assert select.select([number_of(kept)], [], [], PATIENCE)[0]  # so the system knows, and nobody else
        assert not kept.is_spent
        assert (await ask(transport))[2] == b"{}"
        assert kept not in opened(transport)
        await transport.aclose()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("loop", LOOPS, ids=NAMES)
def test_a_connection_stays_with_its_event_loop(loop: Any) -> None:
    """A loop that was closed with a connection open warns about it, which is for whoever closed it."""
    places = queue.SimpleQueue[int]()

    def behave(connection: socket.socket, place: int) -> None:
        places.put(place)
        connection.recv(1)

    with _in_thread(behave) as number:
        transport = direct(number)
        for place in (1, 2, 3):
            assert anyio.run(ask, transport, backend=loop[0], backend_options=loop[1])[2] == b"{}"
            assert places.get(timeout=PATIENCE) == place  # a connection of its own, each time
    assert (len(idle(transport)), len(opened(transport))) == (1, 1)
    del transport
    gc.collect()  # so that it warns here


# Addresses.


@contextmanager
def _resolving(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> Generator[None]:
    loop = asyncio.get_running_loop()
    original: Any = loop.getaddrinfo

    async def getaddrinfo(asked: str, *args: Any, **options: Any) -> list[Any]:
        if asked != "localhost":
            return await original(asked, *args, **options)
        return [
            (
                socket.AF_INET6 if ":" in host else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (host, number, 0, 0) if ":" in host else (host, number),
            )
            for host, number in addresses
        ]

    with monkeypatch.context() as patched:
        patched.setattr(loop, "getaddrinfo", getaddrinfo)
        yield


async def test_a_name_leads_to_whichever_address_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """IPv6 that is refused, or that leads nowhere, costs a moment and not the request (RFC 8305)."""
    async with serving(_for_ever) as world:
        alive = ("127.0.0.1", port(world))
        with _deaf_ipv6() as deaf_one:
            for dead in (("::1", port(world)), deaf_one):
                with _resolving(monkeypatch, dead, alive), anyio.fail_after(PATIENCE - 1):  # one may take longer
                    transport = direct(port(world), host="localhost")
                    assert (await ask(transport))[2] == b"{}"
                    await _free(transport)
                    await transport.aclose()


@contextmanager
def _deaf_ipv6() -> Generator[tuple[str, int]]:
    try:
        with deaf(socket.AF_INET6) as number:
            yield "::1", number
    except OSError:  # no IPv6 here: then it is refused
        yield "::1", 9


async def test_a_name_without_an_address_that_answers_means_that_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with refusing() as number:
        transport = direct(number, host="localhost")
        with _resolving(monkeypatch, ("::1", number), ("127.0.0.1", number)), pytest.raises(httpx2.ConnectError):
            await ask(transport)
        await settled(transport)
        for name in ("no-such-host.invalid", ".", "a" * 64 + ".invalid"):
            transport = direct(number, host=name)
            with pytest.raises(httpx2.ConnectError):
                await ask(transport, connect=2 * PATIENCE)  # a machine may look for long for a name that is none
            await settled(transport)


async def test_localhost_is_reached_by_name() -> None:
    async with serving(_for_ever) as world, ApiClient(f"http://localhost:{port(world)}", version="1") as client:
        for _ in range(2):
            assert (await client.send(GOALS, GET_GOALS, FakeTokens(), run_id=RUN)).data == {}
    assert b"\r\nHost: localhost:" in world.received[0]

"""The server under the page: nobody holds it up, whatever they send or leave out, and nothing of it is written down."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import anyio
import httpx2
import pytest
from consent_pages import House, pages_of
from consent_world import IN_TIME, MAIL, TOOL, Book, Engine, error_of, raw, serve
from full import share
from hosts import MODERN
from sandbox_browser import hidden_fields
from virtual_time import run_virtually

from kallyai_mcp.server import loopback
from kallyai_mcp.server.loopback import LARGEST_HEAD, LONGEST_CONNECTION, MOST_CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house() -> AsyncGenerator[House]:
    with anyio.fail_after(IN_TIME):
        async with pages_of() as made:
            yield made


async def connect(house: House, data: bytes = b"") -> anyio.abc.SocketStream:
    host, _, port = house.host.partition(":")
    stream = await anyio.connect_tcp(host, int(port))
    if data:
        await stream.send(data)
    return stream


async def rest_of(stream: anyio.abc.SocketStream) -> bytes:
    """Return what comes until the server closes."""
    data = b""
    try:
        async with stream:
            while True:
                data += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return data


async def test_a_run_is_approved_over_http_and_goes_on() -> None:
    engine = Engine(Book())
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine), MODERN, {}) as host:
            address = httpx2.URL(error_of(await host.result())["approve_at"])
            origin = str(address.copy_with(path="/")).rstrip("/")
            async with httpx2.AsyncClient(trust_env=False, headers={"Origin": origin}) as browser:
                form = hidden_fields((await browser.get(address)).text) | {"decision": "approve"}
                assert (await browser.post(address, data=form)).status_code == 200
                assert (await host.result())["isError"] is False
                assert "cannot be used again" in (await browser.post(address, data=form)).text
    assert engine.done == [MAIL]


async def test_the_page_ends_with_the_last_connection_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    close = loopback.Loopback.close

    async def closing(server: loopback.Loopback) -> None:
        await close(server)
        closed.append(True)

    monkeypatch.setattr(loopback.Loopback, "close", closing)
    server = serve(Engine(Book()))
    with anyio.fail_after(IN_TIME):
        async with raw(server, MODERN, {}) as first:
            async with raw(server, MODERN, {}) as second:
                address = error_of(await second.result())["approve_at"]
            async with httpx2.AsyncClient(trust_env=False) as browser:
                assert (await browser.get(address)).status_code == 200
                assert error_of(await first.result())["approve_at"] == address
        assert closed == [True]
        async with httpx2.AsyncClient(trust_env=False) as browser:
            with pytest.raises(httpx2.ConnectError):
                await browser.get(address)


async def test_no_page_is_served_before_one_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def start(_: object) -> int:
        raise AssertionError

    monkeypatch.setattr(loopback.Loopback, "start", start)
    engine = Engine(Book())
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine), MODERN) as host:
            asked = await host.result()
            answers = {"consent": {"action": "accept"}}
            await host.result(requestState=asked["requestState"], inputResponses=answers)
    assert engine.done == [MAIL]


@pytest.mark.parametrize(
    "half", [b"", b"GET /appr", b"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9\r\n\r\nt"]
)
async def test_clients_that_say_half_of_it_keep_nobody_out(house: House, half: bytes) -> None:
    said = half.replace(b"{path}", house.path.encode()).replace(b"{host}", house.host.encode())
    streams = [await connect(house, said) for _ in range(share(100, 600))]
    async with httpx2.AsyncClient(trust_env=False) as browser:
        page = await browser.get(house.address)
    assert page.status_code == 200
    assert len(house.pages._loopback._connections) <= MOST_CONNECTIONS  # type: ignore[union-attr] - it is started
    for stream in streams:
        await stream.aclose()


def test_a_connection_ends_in_time_whatever_it_is_doing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is the loop's own, and passes at once."""
    ends: list[float] = []

    class Transport(asyncio.Transport):
        def abort(self) -> None:
            ends.append(asyncio.get_running_loop().time())

        def get_extra_info(self, name: str, default: object = None) -> object:
            del name
            return default

    async def story() -> None:
        async def app(scope: object, receive: object, send: object) -> None:
            raise AssertionError(scope, receive, send)

        server = loopback.Loopback(app)
        server._config.load()  # pyright: ignore[reportPrivateUsage] - no socket is wanted here
        connection = server._connection()  # pyright: ignore[reportPrivateUsage] - no socket is wanted here
        connection.connection_made(Transport())
        while not ends:
            await anyio.sleep(1)
            connection.data_received(b"G")

    run_virtually(story)
    assert ends == [LONGEST_CONNECTION]


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * (100 * LARGEST_HEAD) + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * LARGEST_HEAD,
        b"GET /" + b"x" * (100 * LARGEST_HEAD),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 9,
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
async def test_what_is_no_request_of_a_browser_is_refused(house: House, data: bytes) -> None:
    answer = await rest_of(await connect(house, data))
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("length", [b"Content-Length: 1000000", b"Transfer-Encoding: chunked"])
async def test_a_body_too_large_is_refused_before_it_is_read(house: House, length: bytes) -> None:
    head = (
        b"POST %s HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\nContent-Type: application/x-www-form-urlencoded\r\n%s\r\n\r\n"
        % (house.path.encode(), house.host.encode(), house.origin.encode(), length)
    )
    chunk = b"a" * 5000
    body = chunk if b"Length" in length else b"%x\r\n%s\r\n" % (len(chunk), chunk)
    assert (await rest_of(await connect(house, head + body))).startswith(b"HTTP/1.1 413 ")
    assert house.approval.decision is None


async def test_two_requests_on_one_connection_are_not_mixed(house: House) -> None:
    get = f"GET {house.path} HTTP/1.1\r\nHost: {house.host}\r\n\r\n".encode()
    answer = await rest_of(await connect(house, get + get))
    assert answer.count(b"HTTP/1.1 200 ") == 1
    assert b"connection: close" in answer.lower()


@pytest.mark.parametrize("upgrade", ["websocket", "h2c"])
async def test_nothing_but_http_is_spoken(house: House, upgrade: str, caplog: pytest.LogCaptureFixture) -> None:
    head = f"GET {house.path} HTTP/1.1\r\nHost: {house.host}\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n\r\n"
    assert (await rest_of(await connect(house, head.encode()))).startswith(b"HTTP/1.1 200 ")
    assert caplog.records == []


async def test_a_client_that_leaves_within_its_form_is_forgotten(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    head = (
        f"POST {house.path} HTTP/1.1\r\nHost: {house.host}\r\nOrigin: {house.origin}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 99\r\n\r\ntoken="
    )
    stream = await connect(house, head.encode())
    await stream.aclose()
    tasks = house.pages._loopback._state.tasks  # type: ignore[union-attr] - it is started
    async with httpx2.AsyncClient(trust_env=False) as browser:
        assert (await browser.get(house.address)).status_code == 200
    while tasks:
        await anyio.lowlevel.checkpoint()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_the_secret_is_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine(Book())
    with caplog.at_level(logging.DEBUG), anyio.fail_after(IN_TIME):
        async with raw(serve(engine), MODERN, {}) as host:
            address = error_of(await host.result(TOOL))["approve_at"]
            server, secret = address.rpartition("/approve/")[::2]
            async with httpx2.AsyncClient(trust_env=False) as browser:
                caplog.clear()
                for name in ("httpx2", "httpcore2"):
                    caplog.set_level(logging.CRITICAL, name)  # the browser's own log
                for method, path in (("GET", address), ("POST", address), ("GET", f"{address}/x"), ("PUT", address)):
                    await browser.request(method, path)
                await browser.get(address, headers={"Host": f"{secret}.example"})
                stream = await anyio.connect_tcp("127.0.0.1", int(server.rpartition(":")[2]))
                await stream.send(f"GET /approve/{secret} HTTP/9\r\n\r\n".encode())
                await rest_of(stream)
    told = "\n".join(f"{record.getMessage()} {record.exc_text or ''}" for record in caplog.records)
    assert secret not in told

"""Real servers on loopback that are slow, rude or hostile: every run ends in bounds of time, size and place."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from api_world import (
    CANCEL_GOAL,
    GET_GOALS,
    GOALS,
    MAKE,
    POST_CALL,
    POST_MAIL,
    RUN,
    SEND_MAIL,
    FakeTokens,
    Loopback,
    head,
    reply,
    scripted,
    serving,
)
from direct_world import PATIENCE, refusing

from kallyai_mcp.api import ApiClient, Deadlines
from kallyai_mcp.errors import KallyError, SignInRequired, TransportError
from kallyai_mcp.model import ApiRequest

if TYPE_CHECKING:
    from anyio.abc import ByteStream

pytestmark = pytest.mark.anyio

POST_CANCEL = ApiRequest("POST", "/v1/coordination/goals/g-1/cancel")
SHORT = Deadlines(connect=0.2, pool=0.2, phase=0.2, read=0.2, write=0.2, slow=0.2)


async def failure_of(world: Loopback, command: Any = SEND_MAIL, request: Any = POST_MAIL, **options: Any) -> KallyError:
    async with ApiClient(world.origin, version="1", **options) as client:
        with anyio.fail_after(PATIENCE), pytest.raises(KallyError) as caught:
            await client.send(command, request, FakeTokens(), run_id=RUN)
    assert world.origin not in str(caught.value.as_dict())
    return caught.value


async def test_one_connection_serves_one_run_after_another() -> None:
    async def answer(stream: ByteStream, world: Loopback) -> None:
        while True:
            await stream.send(head("200 OK", "Content-Length: 2") + b"{}")
            world.received.append(await stream.receive())

    async with serving(answer) as world, ApiClient(world.origin, version="1") as client:
        for _ in range(3):
            assert (await client.send(GOALS, GET_GOALS, FakeTokens(), run_id=RUN)).data == {}
    assert len(world.received) == 3


@pytest.mark.parametrize(
    ("command", "request_"), [(SEND_MAIL, POST_MAIL), (MAKE, POST_CALL), (CANCEL_GOAL, POST_CANCEL)]
)
async def test_what_changes_something_goes_over_a_connection_of_its_own(command: Any, request_: Any) -> None:
    """An answer that has more on its heels would else be taken for the answer to the next request."""
    first = head("200 OK", "Content-Length: 2") + b"{}" + head("201 Created", "Content-Length: 9") + b'{"of": 1}'
    answers = [first, head("204 No Content") + b"{}", head("200 OK", "Content-Length: 9") + b'{"of": 3}']

    async def answer(stream: ByteStream, world: Loopback) -> None:
        await stream.send(answers[len(world.received) - 1])
        await stream.receive()

    async with serving(answer) as world, ApiClient(world.origin, version="1") as client:
        assert (await client.send(GOALS, GET_GOALS, FakeTokens(), run_id=RUN)).data == {}
        assert (await client.send(command, request_, FakeTokens(), run_id=RUN)).data is None
        assert (await client.send(command, request_, FakeTokens(), run_id=RUN)).data == {"of": 3}
    assert [line.partition(b" ")[0] for line in world.received] == [b"GET", b"POST", b"POST"]


async def _drip(stream: ByteStream, start: bytes) -> None:
    await stream.send(start)
    while True:
        await stream.send(b"a")
        await anyio.sleep(0.01)


async def _silence(stream: ByteStream, _world: Loopback) -> None:
    await stream.receive()


async def _drip_head(stream: ByteStream, _world: Loopback) -> None:
    await _drip(stream, b"HTTP/1.1 200 OK\r\nX-A: ")


async def _drip_body(stream: ByteStream, _world: Loopback) -> None:
    await _drip(stream, head("200 OK", "Content-Length: 100000"))


async def _flood_of_1xx(stream: ByteStream, _world: Loopback) -> None:
    while True:
        await stream.send(b"HTTP/1.1 100 Continue\r\n\r\n")


@pytest.mark.parametrize("behave", [_silence, _drip_head, _drip_body, _flood_of_1xx])
@pytest.mark.parametrize(("command", "request_"), [(GOALS, GET_GOALS), (SEND_MAIL, POST_MAIL), (MAKE, POST_CALL)])
async def test_every_run_ends_at_its_deadline(behave: Any, command: Any, request_: Any) -> None:
    """None of these servers would ever end it."""
    async with serving(behave) as world:
        error = await failure_of(world, command, request_, deadlines=SHORT)
    assert error.error_code == "timeout"
    assert error.details.get("outcome") == (None if command is GOALS else "unknown")


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200",
        b"garbage\r\n\r\n",
        head("200 OK", "Content-Length: 10") + b"{",
        head("200 OK", "Transfer-Encoding: chunked") + b"5\r\n{",
        head("200 OK", "Transfer-Encoding: chunked") + b"zz\r\n{",
        head("200 OK", "Content-Length: 1", "Content-Length: 2") + b"{}",
        head("200 OK", "X-A: " + "a" * 200_000),
    ],
    ids=["nothing", "cut line", "garbage", "cut body", "cut chunk", "bad chunk", "two lengths", "huge head"],
)
async def test_a_broken_answer_is_a_lost_connection(start: bytes) -> None:
    async def behave(stream: ByteStream, _world: Loopback) -> None:
        if start:
            await stream.send(start)

    async with serving(behave) as world:
        error = await failure_of(world)
    assert (error.error_code, error.details, len(world.received)) == ("connection_lost", {"outcome": "unknown"}, 1)


async def test_nobody_listening_means_that_nothing_was_sent() -> None:
    with refusing() as number:
        error = await failure_of(Loopback(f"http://127.0.0.1:{number}"))
    assert (error.error_code, error.details, error.retryable) == ("connection_failed", {"outcome": "not_sent"}, True)


@pytest.mark.parametrize("framing", ["Content-Length: 1073741824", "Transfer-Encoding: chunked"])
async def test_a_huge_body_is_given_up_at_the_cap(framing: str) -> None:
    sent = 0

    async def behave(stream: ByteStream, _world: Loopback) -> None:
        nonlocal sent
        await stream.send(head("200 OK", framing))
        part = b" " * 65536
        chunk = b"10000\r\n" + part + b"\r\n" if "chunked" in framing else part
        while True:
            await stream.send(chunk)
            sent += len(part)

    async with serving(behave) as world:
        error = await failure_of(world, max_bytes=1_000_000)
        with anyio.fail_after(PATIENCE):
            await world.gone.wait()
    assert error.error_code == "answer_too_large"
    assert sent < 20_000_000


def _bomb(encoding: str) -> bytes:
    squeezed = zlib.compressobj(9, wbits={"gzip": 31, "deflate": 15}[encoding])
    part = b" " * 1_000_000
    return b"".join(squeezed.compress(part) for _ in range(200)) + squeezed.flush()


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_compressed_bomb_is_given_up_at_the_cap(encoding: str) -> None:
    import tracemalloc

    body = _bomb(encoding)

    async def behave(stream: ByteStream, _world: Loopback) -> None:
        await stream.send(head("200 OK", f"Content-Encoding: {encoding}", f"Content-Length: {len(body)}") + body)

    async with serving(behave) as world:
        tracemalloc.start()
        try:
            error = await failure_of(world)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert error.error_code == "answer_too_large"
    assert peak < 32 * 1024 * 1024


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b'{"a":1}')),
        ("deflate", zlib.compress(b'{"a":1}')),
        ("deflate", zlib.compress(b'{"a":1}', wbits=-15)),
        ("identity", b'{"a":1}'),
    ],
    ids=["gzip", "zlib", "raw deflate", "identity"],
)
async def test_what_a_proxy_compressed_is_read(encoding: str, body: bytes) -> None:
    async def behave(stream: ByteStream, _world: Loopback) -> None:
        await stream.send(head("200 OK", f"Content-Encoding: {encoding}", f"Content-Length: {len(body)}") + body)

    async with serving(behave) as world, ApiClient(world.origin, version="1") as client:
        assert (await client.send(GOALS, GET_GOALS, FakeTokens(), run_id=RUN)).data == {"a": 1}


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
async def test_a_redirect_reaches_no_second_host(status: int) -> None:
    async with serving(_silence) as other:

        async def behave(stream: ByteStream, _world: Loopback) -> None:
            await stream.send(head(f"{status} Moved", f"Location: {other.origin}/x", "Content-Length: 0"))

        async with serving(behave) as world:
            error = await failure_of(world)
    assert (error.error_code, error.http_status, other.received) == ("redirected", status, [])


async def test_a_cancelled_run_closes_its_connection_at_once() -> None:
    async with serving(_silence) as world, ApiClient(world.origin, version="1") as client:
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: client.send(MAKE, POST_CALL, FakeTokens(), run_id=RUN))
                while not world.received:
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
            await world.gone.wait()


async def test_the_token_counts_against_the_deadline() -> None:
    class Stuck(FakeTokens):
        async def token(self) -> str | None:
            await anyio.sleep_forever()
            return None

    async with serving(_silence) as world, ApiClient(world.origin, version="1", deadlines=SHORT) as client:
        with anyio.fail_after(PATIENCE), pytest.raises(TransportError) as caught:
            await client.send(SEND_MAIL, POST_MAIL, Stuck(), run_id=RUN)
    assert caught.value.details == {"outcome": "not_sent"}
    assert world.received == []


async def test_a_token_is_renewed_once_in_a_run_whatever_comes_between() -> None:
    client, script = scripted(reply(401), reply(503), reply(401), reply(200, {}))
    tokens = FakeTokens(["old", "new", "newer"])
    with pytest.raises(SignInRequired):
        await client.send(GOALS, GET_GOALS, tokens, run_id=RUN)
    assert (len(script.requests), tokens.refused) == (3, ["old"])


async def test_a_deadline_met_while_nothing_could_be_sent_says_so() -> None:
    async def forever(_seconds: float) -> None:
        await anyio.sleep_forever()

    client, _ = scripted(httpx2.ConnectError("x"), sleep=forever, deadlines=Deadlines(slow=0.6))
    with anyio.fail_after(PATIENCE), pytest.raises(TransportError) as caught:
        await client.send(MAKE, POST_CALL, FakeTokens(), run_id=RUN)
    assert (caught.value.error_code, caught.value.details) == ("timeout", {"outcome": "not_sent"})

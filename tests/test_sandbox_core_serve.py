"""The sandbox as a server: faults that end connections, its beginning and its end, the program."""

from __future__ import annotations

import io
import math
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from in_time import comes_in_time, in_time

from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.sandbox import serve
from kallyai_mcp.sandbox.area import Area
from kallyai_mcp.sandbox.clock import FIXED_START, SandboxClock
from kallyai_mcp.sandbox.serve import SandboxOptions, Served, serving, start_from
from kallyai_mcp.sandbox.tokens import DEMO_TOKEN
from kallyai_mcp.sandbox.world import World
from tests.sandbox_core import CALL

if TYPE_CHECKING:
    from pathlib import Path

    from kallyai_mcp.commands.search import RunQuickSearch

pytestmark = pytest.mark.anyio

SEARCH = ("POST", "/v1/search/quick")
BODY = {"query": "plumbers nearby"}


def small_world() -> World:
    area = Area()

    @area.answers("search quick")
    def search(world: World, args: RunQuickSearch) -> dict[str, Any]:
        world.add("search", {"query": args.query})
        return {"results": [{"title": "Eva the plumber", "snippet": "Ring her from nine to five."}]}

    @area.answers("calls make")
    def make(world: World, _: object) -> dict[str, Any]:
        return {"call_id": world.add("call", {})["id"]}

    @area.answers("calls history")
    async def never(world: World, _: object) -> dict[str, Any]:
        world.add("waiting", {})
        await world.until(3600)
        return {}

    return World(areas=[area], clock=SandboxClock(FIXED_START, speed=0))


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let requests take their time at the end: one that a busy machine cuts short is logged."""
    monkeypatch.setattr(serve, "_GRACE", 60.0)


def connect(served: Served, **more: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        base_url=served.origin, headers={"Authorization": f"Bearer {DEMO_TOKEN}"}, timeout=60, trust_env=False, **more
    )


async def search(client: httpx2.AsyncClient, fault: str) -> httpx2.Response:
    return await client.request(*SEARCH, json=BODY, headers={"X-KallyAI-Sandbox-Fault": fault})


@pytest.mark.parametrize(
    ("fault", "done"),
    [("drop", 0), ("drop-after", 1), ("cut", 1), ("latency=0.01; drop-after", 1)],
)
@pytest.mark.usefixtures("unhurried")
async def test_a_connection_can_be_made_to_break(fault: str, done: int, caplog: pytest.LogCaptureFixture) -> None:
    world = small_world()
    async with serving(world) as served, connect(served) as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            await search(client, fault)
        again = await client.request(*SEARCH, json=BODY)
    assert again.status_code == 200
    assert len(world.all("search")) == done + 1
    assert caplog.records == []


async def test_a_call_whose_answer_was_lost_is_not_placed_twice_with_its_key() -> None:
    world = small_world()
    key = {"Idempotency-Key": "7c9e6679-7425-40de-944b-e07fc1f90ae7"}
    async with serving(world) as served, connect(served) as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.post("/v1/calls", json=CALL, headers=key | {"X-KallyAI-Sandbox-Fault": "drop-after"})
        answer = await client.post("/v1/calls", json=CALL, headers=key)
    assert [answer.json()["call_id"]] == [call["id"] for call in world.all("call")]


async def test_a_cut_answer_announces_more_than_it_brings() -> None:
    got = bytearray()

    async def read(client: httpx2.AsyncClient) -> None:
        headers = {"X-KallyAI-Sandbox-Fault": "cut"}
        async with client.stream(*SEARCH, json=BODY, headers=headers) as answer:
            assert answer.headers["Content-Length"] == str(len(whole))
            async for chunk in answer.aiter_raw():
                got.extend(chunk)

    async with serving(small_world()) as served, connect(served) as client:
        whole = (await client.request(*SEARCH, json=BODY)).content
        with pytest.raises(httpx2.RemoteProtocolError):
            await read(client)
    assert bytes(got) == whole[: len(whole) // 2]


@pytest.mark.usefixtures("unhurried")
async def test_a_hanging_request_ends_when_the_client_leaves(caplog: pytest.LogCaptureFixture) -> None:
    world = small_world()
    async with serving(world) as served, connect(served) as client:
        hurried = httpx2.Timeout(60, read=0.05)
        with pytest.raises(httpx2.ReadTimeout):
            await client.request(*SEARCH, json=BODY, headers={"X-KallyAI-Sandbox-Fault": "hang"}, timeout=hurried)
    assert world.all("search") == []
    assert caplog.records == []


@pytest.mark.parametrize(
    ("fault", "status", "content_type", "body"),
    [
        ("html", 200, "text/html", "<!doctype html>"),
        ("status=502; html", 502, "text/html", "<!doctype html>"),
        ("empty", 200, "application/json", ""),
        ("not-json", 200, "application/json", '{"results":'),
        ("surrogate", 200, "application/json", '{"results": [{'),
        ("big=2", 200, "application/json", '{"text":"xxx'),
        ("dribble=0", 200, "application/json", '{"results":['),
        ("status=503", 503, "application/json", '{"error":{'),
    ],
)
async def test_an_answer_can_be_made_strange(fault: str, status: int, content_type: str, body: str) -> None:
    async with serving(small_world()) as served, connect(served) as client:
        answer = await search(client, fault)
    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (status, content_type)
    assert answer.text.startswith(body)


async def test_a_rate_limit_says_how_long_to_wait() -> None:
    world = small_world()
    async with serving(world) as served, connect(served) as client:
        answer = await search(client, "status=429; retry-after=3; form-b")
    assert (answer.headers["Retry-After"], answer.json()["error"]["code"]) == ("3", "rate_limited")
    assert answer.json()["error"]["details"]["message"]
    assert world.all("search") == []


async def test_a_redirect_leads_where_it_is_told() -> None:
    async with serving(small_world()) as served, connect(served) as client:
        answer = await search(client, "redirect=http://127.0.0.1:9/elsewhere")
    assert (answer.status_code, answer.headers["Location"]) == (307, "http://127.0.0.1:9/elsewhere")


async def test_it_ends_within_a_second_whatever_is_connected(caplog: pytest.LogCaptureFixture) -> None:
    await comes_in_time(1, lambda: seconds_to_end(caplog))


async def seconds_to_end(caplog: pytest.LogCaptureFixture) -> float:
    world = small_world()
    ended: list[str] = []
    began = took = math.inf
    port = 0

    async def wait_in_vain(client: httpx2.AsyncClient) -> None:
        async with client:
            with pytest.raises(httpx2.TransportError):
                await client.get("/v1/calls")
        ended.append("the request")

    async def stay_connected(port: int) -> None:
        async with await anyio.connect_tcp("127.0.0.1", port) as idle:
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await idle.receive()
        ended.append("the connection")

    async with anyio.create_task_group() as group:
        async with serving(world) as served:
            port = served.port
            group.start_soon(stay_connected, port)
            group.start_soon(wait_in_vain, connect(served))
            with anyio.fail_after(60):
                while not world.all("waiting"):
                    await world.change()
            began = time.monotonic()
        took = time.monotonic() - began
    assert sorted(ended) == ["the connection", "the request"]
    # On a busy machine the time that requests get to end may be over, which is logged.
    assert took >= serve._GRACE or caplog.records == []  # pyright: ignore[reportPrivateUsage]
    caplog.clear()
    with pytest.raises(OSError, match="failed"):
        await anyio.connect_tcp("127.0.0.1", port)
    return took


async def test_what_the_block_raises_comes_out_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with serving(small_world()):
            _ = 1 / 0


async def test_it_serves_this_machine_only() -> None:
    with pytest.raises(InvalidSettings):
        async with serving(small_world(), host="0.0.0.0"):  # noqa: S104 - it must be refused
            pass


async def test_a_world_made_for_it_is_kept_in_its_file(tmp_path: Path) -> None:
    options = SandboxOptions.repeatable(file=tmp_path / "world.db")
    async with serving(options) as served:
        added = served.world.add("goal", {"title": "kept"})
    async with serving(options) as served:
        assert served.world.get("goal", added["id"]) == added


async def test_the_recording_of_a_finished_call_is_heard_at_its_address() -> None:
    async with serving(SandboxOptions.repeatable()) as served, connect(served) as client:
        call = (await client.post("/v1/calls", json=CALL)).json()
        recording = (await client.get(f"/v1/calls/{call['call_id']}/recording")).json()
        assert recording["url"] == f"{served.origin}/recordings/{call['call_id']}.wav"
        answer = await client.get(recording["url"])
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "audio/wav")
    assert answer.content.startswith(b"RIFF")


def test_a_beginning_is_read_as_now_fixed_or_a_moment() -> None:
    assert start_from("now") is None
    assert start_from("fixed") == FIXED_START
    assert start_from("2026-03-02T10:00:00+01:00") == FIXED_START


@pytest.mark.parametrize("wrong", [{"start": "yesterday"}, {"speed": -1.0}, {"port": 70_000}])
def test_what_the_program_cannot_use_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidSettings):
        serve.run(out=io.StringIO(), **wrong)


PROGRAM = """
import sys
from pathlib import Path
from kallyai_mcp.sandbox.serve import run
sys.exit(run(Path(sys.argv[1])))
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_the_program_says_how_to_connect_and_ends_when_told(tmp_path: Path, ending: signal.Signals) -> None:
    in_time(2, lambda: seconds_of_ending(tmp_path, ending))


def seconds_of_ending(tmp_path: Path, ending: signal.Signals) -> float:
    with subprocess.Popen(  # noqa: S603 - this interpreter, with a program of our own
        [sys.executable, "-c", PROGRAM, str(tmp_path / "state")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stderr is not None
        origin = program.stderr.readline().split()[-1]
        greeting = "".join(program.stderr.readline() for _ in range(6))
        marker = tmp_path / "state" / "sandboxes" / origin.rpartition(":")[2]
        try:
            assert marker.read_text(encoding="utf-8") == f"{origin}\n"
            assert {stat.S_IMODE(folder.stat().st_mode) for folder in (marker.parent, tmp_path / "state")} == {0o700}
            assert DEMO_TOKEN in greeting
            assert httpx2.get(f"{origin}/sandbox/state", trust_env=False).status_code == 200
        finally:
            began = time.monotonic()
            program.send_signal(ending)
            out, errors = program.communicate(timeout=60)
            took = time.monotonic() - began
    assert (program.returncode, out, errors) == (0, "", "The sandbox has ended.\n")
    assert not marker.exists()
    return took


SLOW = """
import sys, time
from pathlib import Path
from kallyai_mcp.sandbox.serve import run

class Slow:
    def write(self, text):
        sys.stderr.write(text)
    def flush(self):
        sys.stderr.flush()
        time.sleep(0.5)

sys.exit(run(Path(sys.argv[1]), out=Slow()))
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_whoever_knows_where_it_is_can_end_it(tmp_path: Path) -> None:
    with subprocess.Popen(  # noqa: S603 - this interpreter, with a program of our own
        [sys.executable, "-c", SLOW, str(tmp_path / "state")], stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stderr is not None
        assert program.stderr.readline().startswith("The KallyAI sandbox is at ")
        program.send_signal(signal.SIGTERM)
        _, errors = program.communicate(timeout=60)
    assert (program.returncode, errors.splitlines()[-1]) == (0, "The sandbox has ended.")
    assert list((tmp_path / "state" / "sandboxes").iterdir()) == []


def test_a_port_asked_for_that_is_taken_is_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InvalidSettings, match="cannot listen"):
            serve.run(port=taken.getsockname()[1], out=io.StringIO())


async def test_without_a_port_the_next_free_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(serve, "DEFAULT_PORT", taken.getsockname()[1])
        monkeypatch.setattr(serve, "_signalled", lambda: nullcontext(anyio.lowlevel.checkpoint))
        out = io.StringIO()
        await serve._run(  # pyright: ignore[reportPrivateUsage] - the program without its own event loop
            SandboxOptions.repeatable(), "127.0.0.1", None, None, out
        )
        assert f":{taken.getsockname()[1]}\n" not in out.getvalue()
        assert out.getvalue().startswith("The KallyAI sandbox is at http://127.0.0.1:")

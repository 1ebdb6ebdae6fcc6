"""A served sandbox as several clients at once meet it, cut short and begun again; and what marks all it sends."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from sandbox_api import open_sandbox
from sandbox_browser import hidden_fields
from sandbox_core import CALL
from starlette.routing import Route

from kallyai_mcp import catalog
from kallyai_mcp.examples import examples_of
from kallyai_mcp.sandbox import SandboxOptions, Served, serving
from kallyai_mcp.sandbox.app import MAX_BODY, create_app
from kallyai_mcp.sandbox.clock import FIXED_START, SandboxClock
from kallyai_mcp.sandbox.tokens import DEMO_TOKEN
from kallyai_mcp.sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio

SIGNED_IN = {"Authorization": f"Bearer {DEMO_TOKEN}"}
WAIT = 60.0


def client_of(served: Served) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=served.origin, headers=SIGNED_IN, timeout=WAIT)


async def at_once(count: int, run: Callable[[int], Awaitable[Any]]) -> list[Any]:
    """Run something so many times at the same time and return what came of it."""
    results: list[Any] = []

    async def keep(number: int) -> None:
        results.append(await run(number))

    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(keep, number)
    return results


@pytest.mark.parametrize("kept", [False, True])
async def test_a_hundred_requests_at_once_are_each_done_once(tmp_path: Path, kept: bool) -> None:
    options = SandboxOptions.repeatable(file=tmp_path / "world.db" if kept else None)
    async with serving(options) as served, client_of(served) as client:
        before = (await client.get("/v1/credits/balance")).json()["credits_remaining"]
        answers = await at_once(100, lambda n: client.post("/v1/search/quick", json={"query": f"Plumber {n}"}))
        after = (await client.get("/v1/credits/balance")).json()["credits_remaining"]
        assert {answer.status_code for answer in answers} == {200}
        assert before - after == pytest.approx(50)
        assert len({answer.json()["search_id"] for answer in answers}) == 100


async def test_calls_run_at_once_and_hold_nothing_up() -> None:
    async with serving(SandboxOptions(start=FIXED_START, speed=0)) as served, client_of(served) as client:
        before = (await client.get("/v1/calls")).json()["total"]
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(lambda: client.post("/v1/calls", json=CALL))
            # The clock stands, so neither call can end: everything else must be answered meanwhile.
            with anyio.fail_after(WAIT):
                while (await client.get("/v1/calls")).json()["total"] < before + 2:
                    pass
                await client.post("/sandbox/clock", json={"advance": 200})
        ended = (await client.get("/v1/calls?limit=2")).json()["items"]
        assert [call["status"] for call in ended] == ["success", "success"]
        assert ended[0]["call_id"] != ended[1]["call_id"]


async def test_a_call_goes_on_when_the_client_leaves_and_its_key_finds_it() -> None:
    async with serving(SandboxOptions(start=FIXED_START, speed=0)) as served, client_of(served) as client:
        before = (await client.get("/v1/calls")).json()["total"]
        leaving = httpx2.AsyncClient(
            base_url=served.origin, headers=SIGNED_IN | {"Idempotency-Key": "once"}, timeout=WAIT
        )
        async with leaving, anyio.create_task_group() as group:
            group.start_soon(lambda: leaving.post("/v1/calls", json=CALL))
            with anyio.fail_after(WAIT):
                while (await client.get("/v1/calls")).json()["total"] == before:
                    pass
            group.cancel_scope.cancel()
        await client.post("/sandbox/clock", json={"advance": 200})
        call = (await client.get("/v1/calls?limit=1")).json()["items"][0]
        assert call["status"] == "success"
        assert (await client.get(f"/v1/calls/{call['call_id']}/transcript")).json()["entries"]
        again = await client.post("/v1/calls", json=CALL, headers={"Idempotency-Key": "once"})
        assert (again.status_code, again.json()["call_id"]) == (201, call["call_id"])
        assert (await client.get("/v1/calls")).json()["total"] == before + 1


async def test_two_sandboxes_know_nothing_of_each_other() -> None:
    async with serving(SandboxOptions(seed=1)) as one, serving(SandboxOptions(seed=2)) as other:
        client, stranger = client_of(one), client_of(other)
        async with client, stranger:
            made = (await client.post("/v1/coordination/conversations")).json()["conversation_id"]
            pair = (await client.post("/sandbox/tokens", json={})).json()
            signed_in = {"Authorization": f"Bearer {pair['access_token']}"}
            assert (await client.get("/v1/credits/balance", headers=signed_in)).status_code == 200
            assert (await stranger.get("/v1/credits/balance", headers=signed_in)).status_code == 401
            assert (await stranger.get(f"/v1/coordination/history?conversation_id={made}")).status_code == 404


async def test_a_body_of_a_mebibyte_is_read_and_one_byte_more_is_not() -> None:
    body = json.dumps({"query": "x" * (MAX_BODY - len('{"query": ""}'))}).encode()
    assert len(body) == MAX_BODY
    as_json = {"Content-Type": "application/json"}
    async with serving(SandboxOptions.repeatable()) as served, client_of(served) as client:
        assert (await client.post("/v1/search/quick", content=body, headers=as_json)).status_code == 200
        assert (await client.post("/v1/search/quick", content=body + b" ", headers=as_json)).status_code == 413


async def test_a_killed_sandbox_goes_on_where_it_was(tmp_path: Path) -> None:
    file = tmp_path / "world.db"
    start = SandboxClock(FIXED_START, speed=0, real=lambda: 0.0)
    killed = World(clock=start, file=file)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(create_app(killed)), base_url="http://127.0.0.1:8770", headers=SIGNED_IN
    ) as client:
        expired = (await client.post("/sandbox/tokens", json={"expires_in": 60})).json()["access_token"]
        asked = await client.post("/v1/coordination/message", json={"message": "Call +12025550100 about the sofa"})
        code = (await client.post("/v1/auth/device/code", data={"client_id": "kallyai-mcp"})).json()
        page = await client.get(code["verification_uri_complete"])
        await client.post("/activate", data=hidden_fields(page.text) | {"decision": "approve"})
        await client.post("/sandbox/clock", json={"advance": 61})
        told = (await client.get("/sandbox/clock")).json()
    # It is not closed, as a process that is killed does not close it.
    again = World(clock=SandboxClock(FIXED_START, speed=0, real=lambda: 0.0), file=file)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(create_app(again)), base_url="http://127.0.0.1:8770"
    ) as client:
        assert (await client.get("/sandbox/clock")).json() == told
        old = await client.get("/v1/credits/balance", headers={"Authorization": f"Bearer {expired}"})
        assert old.json()["error"]["code"] == "token_expired"
        grant = "urn:ietf:params:oauth:grant-type:device_code"
        form = {"grant_type": grant, "device_code": code["device_code"], "client_id": "kallyai-mcp"}
        issued = (await client.post("/v1/auth/device/token", data=form)).json()
        signed_in = {"Authorization": f"Bearer {issued['access_token']}"}
        await client.post("/sandbox/clock", json={"advance": 200})
        goal = await client.get(f"/v1/coordination/goals/{asked.json()['goal_id']}", headers=signed_in)
        assert goal.json()["status"] == "completed"
    again.close()
    killed.close()


async def run_all_examples(seed: int) -> list[tuple[int, list[tuple[str, str]], bytes]]:
    """Send the request of every example, twice, time passing between; return all that came, headers too."""
    world = World(seed, clock=SandboxClock(FIXED_START, speed=math.inf, real=lambda: 0.0))
    app, came = create_app(world), list[tuple[int, list[tuple[str, str]], bytes]]()
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:8770", headers=SIGNED_IN
    ) as client:
        requests = [example["request"] for command in catalog.all_commands() for example in examples_of(command)]
        for _ in range(2):
            for made in requests:
                if made is not None:
                    answer = await client.request(made["method"], made["path"], params=made["query"], json=made["body"])
                    came.append((answer.status_code, sorted(answer.headers.items()), answer.content))
            await client.post("/sandbox/clock", json={"advance": 3000})
        for path in ("/", "/sandbox/state", "/sandbox/ledger"):
            answer = await client.get(path)
            came.append((answer.status_code, sorted(answer.headers.items()), answer.content))
    world.close()
    return came


async def test_the_same_seed_and_requests_give_the_same_bytes() -> None:
    first = await run_all_examples(7)
    assert first == await run_all_examples(7)
    assert {status for status, _, _ in first} >= {200, 201, 404}
    assert [content for _, _, content in first] != [content for _, _, content in await run_all_examples(8)]


async def test_what_fails_inside_is_answered_and_marked(caplog: pytest.LogCaptureFixture) -> None:
    def fails(world: World, args: object) -> None:
        raise RuntimeError("broken")

    world = SandboxOptions.repeatable().world()
    world.handlers["credits balance"] = fails
    async with serving(world) as served, client_of(served) as client:
        answer = await client.get("/v1/credits/balance")
        assert answer.status_code == 500
        assert answer.headers["X-KallyAI-Sandbox"] == "true"
        assert answer.json()["error"]["correlation_id"] == answer.headers["X-Request-Id"]
        assert (await client.get("/v1/credits/costs")).status_code == 200
    world.close()
    assert "broken" in caplog.text


async def test_what_is_no_http_is_answered_and_marked(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(SandboxOptions.repeatable()) as served:
        stream = await anyio.connect_tcp("127.0.0.1", served.port)
        async with stream:
            await stream.send(b"NONSENSE\r\n\r\n")
            came = b""
            with anyio.fail_after(WAIT):
                while b"\r\n\r\n" not in came:  # it may come in pieces
                    came += await stream.receive()
            head = came.partition(b"\r\n\r\n")[0].splitlines()
    assert head[0] == b"HTTP/1.1 400 Bad Request"
    assert b"X-KallyAI-Sandbox: true" in head


@pytest.mark.parametrize(
    ("method", "path", "fault"),
    [
        ("GET", "/", None),
        ("GET", "/activate", None),
        ("GET", "/pages/style.css", None),
        ("GET", "/v1/auth/cli", None),
        ("POST", "/v1/auth/device/token", None),
        ("POST", "/v1/auth/refresh", None),
        ("GET", "/.well-known/oauth-authorization-server", None),
        ("DELETE", "/v1/credits/balance", None),
        ("GET", "/v1/channels/email/verify?token=wrong", None),
        *(("GET", "/v1/credits/costs", fault) for fault in ("html", "empty", "status=503", "code=forbidden", "none")),
    ],
)
async def test_whatever_is_sent_is_marked(method: str, path: str, fault: str | None) -> None:
    headers = SIGNED_IN if fault is None else SIGNED_IN | {"X-KallyAI-Sandbox-Fault": fault}
    async with open_sandbox() as api:
        answer = await api.client.request(method, path, headers=headers)
    assert answer.headers["X-KallyAI-Sandbox"] == "true"
    assert answer.headers["X-Request-Id"].startswith("sbx_req_")


async def test_every_control_is_listed() -> None:
    async with open_sandbox() as api:
        listed = (await api.client.get("/sandbox")).json()["controls"]
        routes = [route for route in create_app(api.world).routes if isinstance(route, Route)]
    controls = [route.path for route in routes if re.fullmatch(r"/sandbox(/\w+)?", route.path)]
    assert [entry["path"] for entry in listed] == controls
    assert "/sandbox/oauth" in controls
    assert all(entry["does"] for entry in listed)

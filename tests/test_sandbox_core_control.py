"""The controls of the sandbox, and the door that keeps other sites out."""

from __future__ import annotations

from typing import Any

import pytest

from kallyai_mcp.model.codes import CODES
from tests.sandbox_core import CALL, connected, error_of, small_world

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("form", ["a", "b"])
async def test_every_documented_code_can_be_made_to_come(form: str) -> None:
    async with connected(small_world()) as client:
        await client.post("/sandbox/errors", json={"form": form})
        for code in CODES.values():
            await client.post("/sandbox/errors", json={"code": code.code})
            answer = await client.get("/v1/calls")
            error = error_of(answer)
            assert (answer.status_code, error["code"]) == (code.http_status, code.code)
            assert (error if form == "a" else error["details"])["message"] == code.meaning
        assert (await client.get("/v1/calls")).status_code == 200


async def test_a_fault_waits_for_the_requests_it_is_meant_for() -> None:
    async with connected(small_world()) as client:
        order = {"fault": "status=503", "times": 2, "tool": "kallyai_calls_history"}
        assert (await client.post("/sandbox/faults", json=order)).status_code == 201
        statuses = [(await client.get(path)).status_code for path in ("/v1/credits/balance", *["/v1/calls"] * 3)]
        assert statuses == [200, 503, 503, 200]
        await client.post("/sandbox/faults", json={"fault": "empty", "path": "/v1/calls", "method": "GET"})
        await client.delete("/sandbox/faults")
        assert (await client.get("/v1/calls")).content


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/sandbox/faults", {"fault": "explode"}, 400),
        ("/sandbox/faults", {"fault": "status=abc"}, 400),
        ("/sandbox/faults", {"fault": "latency=nan"}, 400),
        ("/sandbox/faults", {"fault": "empty", "times": 0}, 422),
        ("/sandbox/faults", {}, 422),
        ("/sandbox/errors", {"code": "unheard_of"}, 422),
        ("/sandbox/clock", {"speed": -1}, 422),
        ("/sandbox/clock", {"jump": 1}, 422),
        ("/sandbox/tokens", {"scopes": ["everything"]}, 422),
    ],
)
async def test_a_wrong_order_to_a_control_is_refused(path: str, body: dict[str, Any], status: int) -> None:
    async with connected(small_world()) as client:
        answer = await client.post(path, json=body)
    assert (answer.status_code, bool(error_of(answer)["message"])) == (status, True)


async def test_advancing_the_clock_shows_at_once() -> None:
    world = small_world()
    async with connected(world) as client:
        world.later(3600, "tick")
        put = await client.post("/sandbox/clock", json={"advance": 3600, "speed": 5})
        state = (await client.get("/sandbox/state")).json()
    assert put.json()["speed"] == 5
    assert state["counts"] == {"tick": 1}


async def test_reset_forgets_the_world_and_the_faults() -> None:
    world = small_world()
    async with connected(world) as client:
        await client.post("/v1/calls", json=CALL)
        await client.post("/sandbox/faults", json={"fault": "status=500", "times": 100})
        await client.post("/sandbox/errors", json={"form": "b"})
        state = (await client.post("/sandbox/reset", json={"seed": 2, "start": "2026-01-01T00:00:00Z"})).json()
        assert (await client.get("/sandbox/ledger")).json() == {"requests": []}
    clock = {"now": "2026-01-01T00:00:00Z", "wall": "2026-01-01T00:00:00Z", "speed": "jump"}
    assert state == {"sandbox": True, "seed": 2, "clock": clock, "counts": {}, "armed": 0, "form": "a"}


async def test_the_ledger_names_what_was_to_change_something() -> None:
    async with connected(small_world()) as client:
        await client.get("/v1/calls")
        await client.post("/v1/calls", json=CALL, headers={"Idempotency-Key": "k"})
        (request,) = (await client.get("/sandbox/ledger")).json()["requests"]
    assert request == {
        "id": request["id"],
        "method": "POST",
        "path": "/v1/calls",
        "command": "calls make",
        "idempotency_key": "k",
        "time": "2026-03-02T09:00:00Z",
        "status": 200,
    }


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "kallyai.example"}, 421),
        ({"Host": "127.0.0.1.example:80"}, 421),
        ({"Host": "localhost:1234"}, 200),
        ({"Host": "[::1]:1234"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:8770"}, 200),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
    ],
)
@pytest.mark.parametrize("path", ["/sandbox/state", "/v1/calls"])
async def test_other_sites_are_kept_out(path: str, headers: dict[str, str], status: int) -> None:
    async with connected(small_world()) as client:
        answer = await client.get(path, headers=headers)
    assert answer.status_code == status


async def test_a_form_of_another_site_cannot_reach_a_control() -> None:
    async with connected(small_world()) as client:
        link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        assert (await client.post("/sandbox/reset", headers=link)).status_code == 403
        assert (await client.post("/sandbox/reset", content=b"{}")).status_code == 415

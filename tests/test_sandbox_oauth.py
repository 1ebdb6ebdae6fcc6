"""Signing in to the sandbox by device code (RFC 8628), refresh, metadata (RFC 8414), and the controls for tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sandbox_browser import ORIGIN, decide, error_of, open_client, still_world

from kallyai_mcp.sandbox import signin, tokens
from kallyai_mcp.sandbox.oauth import CODE_TOKEN, DEVICE_CODE, DEVICE_GRANT, DEVICE_TOKEN, METADATA
from kallyai_mcp.sandbox.scopes import ALL_SCOPES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    import httpx2

    from kallyai_mcp.sandbox.world import World

pytestmark = pytest.mark.anyio

CLIENT = "kallyai-mcp"
CONTROL = "/sandbox/oauth"


@pytest.fixture
def world() -> Generator[World]:
    with still_world() as world:
        yield world


@pytest.fixture
async def client(world: World) -> AsyncGenerator[httpx2.AsyncClient]:
    async with open_client(world) as client:
        yield client


async def begin(client: httpx2.AsyncClient, **form: str) -> dict[str, Any]:
    answer = await client.post(DEVICE_CODE, data={"client_id": CLIENT} | form)
    assert answer.status_code == 200
    return answer.json()


async def poll(client: httpx2.AsyncClient, code: str) -> httpx2.Response:
    form = {"grant_type": DEVICE_GRANT, "device_code": code, "client_id": CLIENT}
    return await client.post(DEVICE_TOKEN, data=form)


# The device flow


async def test_device_authorization_answers_all_fields_of_the_rfc(client: httpx2.AsyncClient) -> None:
    answer = await client.post(DEVICE_CODE, data={"client_id": CLIENT})

    body = answer.json()
    code = body["user_code"]
    assert body == {
        "device_code": body["device_code"],
        "user_code": code,
        "verification_uri": f"{ORIGIN}/activate",
        "verification_uri_complete": f"{ORIGIN}/activate?user_code={code}",
        "expires_in": 600,
        "interval": 5,
    }
    assert body["device_code"].startswith("kallyai_sandbox_dc_")
    assert [len(half) for half in code.split("-")] == [4, 4]
    assert set(code) <= set(signin.ALPHABET) | {"-"}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-kallyai-sandbox"] == "true"


async def test_approved_device_code_yields_tokens_once(client: httpx2.AsyncClient, world: World) -> None:
    grant = await begin(client, scope="calls:read credits:read")
    assert error_of(await poll(client, grant["device_code"])) == "authorization_pending"

    done = await decide(client, f"/activate?user_code={grant['user_code']}", "approve")
    assert done.status_code == 200
    assert "You can close this page" in done.text
    world.clock.advance(5)
    answer = await poll(client, grant["device_code"])

    body = answer.json()
    assert body == {
        "access_token": body["access_token"],
        "token_type": "Bearer",
        "expires_in": 3600,
        "refresh_token": body["refresh_token"],
        "scope": "calls:read credits:read",
    }
    access = tokens.lookup(world, body["access_token"])
    assert access is not None
    assert access.scopes == {"calls:read", "credits:read"}
    world.clock.advance(5)
    assert error_of(await poll(client, grant["device_code"])) == "invalid_grant"


async def test_polling_too_early_lengthens_the_interval_for_good(client: httpx2.AsyncClient, world: World) -> None:
    code = (await begin(client))["device_code"]
    heard: list[str] = []
    for pause in (0, 4.9, 9.9, 15, 14.9, 20):
        world.clock.advance(pause)
        heard.append(error_of(await poll(client, code)))

    pending = "authorization_pending"
    assert heard == [pending, "slow_down", "slow_down", pending, "slow_down", pending]


async def test_denied_device_code_is_refused_for_good(client: httpx2.AsyncClient, world: World) -> None:
    grant = await begin(client)
    await decide(client, f"/activate?user_code={grant['user_code']}", "deny")

    assert error_of(await poll(client, grant["device_code"])) == "access_denied"
    world.clock.advance(5)
    assert error_of(await poll(client, grant["device_code"])) == "access_denied"


async def test_device_code_expires_even_when_approved(client: httpx2.AsyncClient, world: World) -> None:
    waiting, approved = await begin(client), await begin(client)
    await decide(client, f"/activate?user_code={approved['user_code']}", "approve")
    world.clock.advance(600)

    assert error_of(await poll(client, waiting["device_code"])) == "expired_token"
    assert error_of(await poll(client, approved["device_code"])) == "expired_token"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": DEVICE_GRANT}, "invalid_request"),
        ({"grant_type": DEVICE_GRANT, "device_code": "kallyai_sandbox_dc_x"}, "invalid_request"),
        ({"grant_type": DEVICE_GRANT, "device_code": "kallyai_sandbox_dc_x", "client_id": CLIENT}, "invalid_grant"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "kallyai_sandbox_rt_x"}, "invalid_grant"),
    ],
)
async def test_token_endpoint_names_what_is_wrong(client: httpx2.AsyncClient, form: dict[str, str], error: str) -> None:
    answer = await client.post(DEVICE_TOKEN, data=form)

    assert answer.status_code == 400
    assert error_of(answer) == error


async def test_device_code_of_another_client_is_refused(client: httpx2.AsyncClient) -> None:
    code = (await begin(client))["device_code"]
    form = {"grant_type": DEVICE_GRANT, "device_code": code, "client_id": "somebody-else"}

    assert error_of(await client.post(DEVICE_TOKEN, data=form)) == "invalid_grant"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"client_id": "x" * 81}, "invalid_request"),
        ({"client_id": "two\nlines"}, "invalid_request"),
        ({"client_id": CLIENT, "scope": "calls.write"}, "invalid_scope"),
    ],
)
async def test_device_authorization_names_what_is_wrong(
    client: httpx2.AsyncClient, form: dict[str, str], error: str
) -> None:
    answer = await client.post(DEVICE_CODE, data=form)

    assert answer.status_code == 400
    assert error_of(answer) == error


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b'{"client_id": "x"}', "application/json"),
        (b"client_id=a&client_id=b", "application/x-www-form-urlencoded"),
        (b"client_id=%ff", "application/x-www-form-urlencoded"),
        (b"client_id=" + b"a" * 20_000, "application/x-www-form-urlencoded"),
    ],
)
async def test_what_is_no_plain_form_is_refused(client: httpx2.AsyncClient, content: bytes, media_type: str) -> None:
    for path in (DEVICE_CODE, DEVICE_TOKEN, CODE_TOKEN):
        answer = await client.post(path, content=content, headers={"Content-Type": media_type})
        assert (answer.status_code, error_of(answer)) == (400, "invalid_request")


async def test_store_holds_no_usable_code(client: httpx2.AsyncClient, world: World) -> None:
    code = (await begin(client))["device_code"]

    assert code not in json.dumps(world.all("device_grant"))


# Controls


@pytest.mark.parametrize(
    ("script", "status", "error"),
    [
        ("authorization_pending", 400, "authorization_pending"),
        ("slow_down", 400, "slow_down"),
        ("access_denied", 400, "access_denied"),
        ("expired_token", 400, "expired_token"),
        ("invalid_grant", 400, "invalid_grant"),
        ("invalid_request", 400, "invalid_request"),
        ("invalid_client", 401, "invalid_client"),
        ("unsupported_grant_type", 400, "unsupported_grant_type"),
        ("approve", 200, None),
        ("html", 200, None),
        ("empty", 200, None),
        ("redirect", 302, None),
        ("429", 429, None),
        ("500", 500, None),
        ("503", 503, None),
    ],
)
async def test_every_token_answer_comes_on_demand(
    client: httpx2.AsyncClient, script: str, status: int, error: str | None
) -> None:
    code = (await begin(client))["device_code"]
    set_up = await client.post(CONTROL, json={"next": [script]})
    assert set_up.json()["next"] == [script]

    answer = await poll(client, code)

    assert answer.status_code == status
    if error is not None:
        assert error_of(answer) == error
    elif script == "approve":
        assert answer.json()["access_token"].startswith("kallyai_sandbox_at_")
    else:
        assert not answer.headers.get("content-type", "").startswith("application/json")
    assert (await client.get(CONTROL)).json()["next"] == []


def test_every_scripted_token_answer_is_tried() -> None:
    tried = test_every_token_answer_comes_on_demand.pytestmark[0].args[1]  # type: ignore[attr-defined]  # pytest's own record

    assert {row[0] for row in tried} == set(signin.TOKEN_ANSWERS)


async def test_scripted_slow_down_is_in_force(client: httpx2.AsyncClient, world: World) -> None:
    code = (await begin(client))["device_code"]
    await client.post(CONTROL, json={"next": ["slow_down"]})
    assert error_of(await poll(client, code)) == "slow_down"

    world.clock.advance(9)
    assert error_of(await poll(client, code)) == "slow_down"


@pytest.mark.parametrize("script", signin.CODE_ANSWERS)
async def test_every_device_authorization_answer_comes_on_demand(client: httpx2.AsyncClient, script: str) -> None:
    await client.post(CONTROL, json={"next_code": [script]})
    answer = await client.post(DEVICE_CODE, data={"client_id": CLIENT})
    expected = {"html": 200, "empty": 200, "redirect": 302, "invalid_client": 401, "invalid_scope": 400}

    assert answer.status_code == (int(script) if script.isdigit() else expected[script])
    assert (await client.post(DEVICE_CODE, data={"client_id": CLIENT})).status_code == 200


@pytest.mark.parametrize("interval", [0, 1, "5", 1e9, -1, "soon"])
async def test_interval_is_sent_however_odd(client: httpx2.AsyncClient, interval: float | str) -> None:
    await client.post(CONTROL, json={"interval": interval})

    assert (await begin(client))["interval"] == interval


async def test_interval_left_out_counts_as_five(client: httpx2.AsyncClient, world: World) -> None:
    await client.post(CONTROL, json={"interval": None})
    grant = await begin(client)
    assert "interval" not in grant

    await poll(client, grant["device_code"])
    world.clock.advance(4)
    assert error_of(await poll(client, grant["device_code"])) == "slow_down"


async def test_service_without_device_endpoints_answers_404(client: httpx2.AsyncClient) -> None:
    await client.post(CONTROL, json={"device_endpoints": False})

    statuses = [
        (await client.post(DEVICE_CODE, data={"client_id": CLIENT})).status_code,
        (await poll(client, "kallyai_sandbox_dc_x")).status_code,
        (await client.get(METADATA)).status_code,
    ]
    assert statuses == [404, 404, 404]
    assert (await client.get("/v1/auth/cli?redirect_uri=http://127.0.0.1:8740")).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [({"nonsense": 1}, 422), ({"next": ["nonsense"]}, 422), ({"interval": True}, 422), ({"expires_in": 0}, 422)],
)
async def test_control_refuses_what_it_does_not_know(
    client: httpx2.AsyncClient, body: dict[str, object], status: int
) -> None:
    before = (await client.get(CONTROL)).json()

    assert (await client.post(CONTROL, json=body)).status_code == status
    assert (await client.get(CONTROL)).json() == before


async def test_control_takes_json_only_and_no_other_site(client: httpx2.AsyncClient) -> None:
    as_text = await client.post(CONTROL, content=b"{}", headers={"Content-Type": "text/plain"})
    foreign = await client.post(CONTROL, json={}, headers={"Sec-Fetch-Site": "cross-site"})

    assert (as_text.status_code, foreign.status_code) == (415, 403)


# Refresh


async def test_refresh_rotates_and_reuse_revokes_the_family(client: httpx2.AsyncClient, world: World) -> None:
    first = tokens.issue(world)
    answer = await client.post("/v1/auth/refresh", json={"refresh_token": first.refresh_token})
    second = answer.json()
    assert answer.status_code == 200
    assert second.keys() == {"access_token", "refresh_token", "expires_in"}
    assert second["expires_in"] == 3600
    assert second["refresh_token"] != first.refresh_token

    again = await client.post("/v1/auth/refresh", json={"refresh_token": first.refresh_token})

    assert again.status_code == 401
    assert again.json()["error"]["code"] == "token_expired"
    assert tokens.lookup(world, second["access_token"]) is None
    after = await client.post("/v1/auth/refresh", json={"refresh_token": second["refresh_token"]})
    assert after.status_code == 401


async def test_refresh_grant_answers_like_the_token_endpoint(client: httpx2.AsyncClient, world: World) -> None:
    pair = tokens.issue(world, ["calls:read"])
    form = {"grant_type": "refresh_token", "refresh_token": pair.refresh_token}
    answer = await client.post(DEVICE_TOKEN, data=form)

    assert answer.json().keys() == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert answer.json()["scope"] == "calls:read"


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 422),
        (b'{"refresh_token": null}', "application/json", 422),
        (b"[" * 100_00, "application/json", 400),
        (b"{}", "text/plain", 415),
    ],
)
async def test_refresh_refuses_what_is_no_refresh(
    client: httpx2.AsyncClient, content: bytes, media_type: str, status: int
) -> None:
    answer = await client.post("/v1/auth/refresh", content=content, headers={"Content-Type": media_type})

    assert answer.status_code == status
    assert "message" in answer.json()["error"]


# Metadata


async def test_metadata_names_every_endpoint(client: httpx2.AsyncClient) -> None:
    assert (await client.get(METADATA)).json() == {
        "issuer": ORIGIN,
        "authorization_endpoint": f"{ORIGIN}/v1/auth/authorize",
        "device_authorization_endpoint": f"{ORIGIN}/v1/auth/device/code",
        "token_endpoint": f"{ORIGIN}/v1/auth/device/token",
        "grant_types_supported": ["authorization_code", "refresh_token", DEVICE_GRANT],
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_post", "client_secret_basic"],
        "scopes_supported": list(ALL_SCOPES),
    }

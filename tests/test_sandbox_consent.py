"""Signing in through the browser: the loopback redirect, and authorization codes (RFC 6749 4.1, RFC 7636)."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from sandbox_browser import decide, error_of, hidden_fields, open_client, still_world

from kallyai_mcp.sandbox import signin, tokens
from kallyai_mcp.sandbox.oauth import CODE_TOKEN, DEVICE_TOKEN
from kallyai_mcp.sandbox.pages.consent import is_loopback_redirect
from kallyai_mcp.sandbox.scopes import ALL_SCOPES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from kallyai_mcp.sandbox.world import World

pytestmark = pytest.mark.anyio

REDIRECT = "http://127.0.0.1:8740"


@pytest.fixture
def world() -> Generator[World]:
    with still_world() as world:
        yield world


@pytest.fixture
async def client(world: World) -> AsyncGenerator[httpx2.AsyncClient]:
    async with open_client(world) as client:
        yield client


@pytest.mark.parametrize(
    ("uri", "allowed"),
    [
        ("http://127.0.0.1:8740", True),
        ("http://localhost:1/", True),
        ("http://localhost:8976/callback", True),
        ("http://127.0.0.1:65535", True),
        ("http://127.0.0.1", False),
        ("http://127.0.0.1:0", False),
        ("http://127.0.0.1:65536", False),
        ("https://127.0.0.1:8740", False),
        ("http://127.0.0.1:8740@evil.example", False),
        ("http://127.0.0.1:8740.evil.example", False),
        ("http://user@127.0.0.1:8740", False),
        ("http://127.0.0.2:8740", False),
        ("http://[::1]:8740", False),
        ("http://LOCALHOST:8740", False),
        ("http://localhost.evil.example:8740", False),
        ("http://127.0.0.1:8740/?a=b", False),
        ("http://127.0.0.1:8740/#f", False),
        ("http://127.0.0.1:8740/\r\nX: y", False),
        ("http://127.0.0.1:\u0668\u0667\u0664\u0660", False),
        ("//127.0.0.1:8740", False),
        ("", False),
    ],
)
async def test_browser_goes_back_to_loopback_only(client: httpx2.AsyncClient, uri: str, allowed: bool) -> None:
    answer = await client.get("/v1/auth/cli", params={"redirect_uri": uri})

    assert is_loopback_redirect(uri) is allowed
    assert answer.status_code == (200 if allowed else 400)
    assert "location" not in answer.headers


async def test_allowed_cli_sign_in_hands_tokens_to_the_redirect(client: httpx2.AsyncClient, world: World) -> None:
    answer = await decide(client, f"/v1/auth/cli?redirect_uri={REDIRECT}&state=a-b_c", "approve")

    assert answer.status_code == 303
    location = urlsplit(answer.headers["location"])
    query = {name: value for name, (value,) in parse_qs(location.query).items()}
    assert f"{location.scheme}://{location.netloc}{location.path}" == f"{REDIRECT}/"
    assert query.keys() == {"access_token", "refresh_token", "expires_in", "state"}
    assert (query["expires_in"], query["state"]) == ("3600", "a-b_c")
    access = tokens.lookup(world, query["access_token"])
    assert access is not None
    assert access.scopes == set(ALL_SCOPES)


async def test_denied_cli_sign_in_hands_back_an_error(client: httpx2.AsyncClient, world: World) -> None:
    answer = await decide(client, f"/v1/auth/cli?redirect_uri={REDIRECT}/callback&state=s", "deny")

    assert answer.headers["location"] == f"{REDIRECT}/callback?error=access_denied&state=s"
    assert world.all("access_token") == []


async def test_sign_in_page_posts_to_itself_and_the_redirect_only(client: httpx2.AsyncClient) -> None:
    page = await client.get(f"/v1/auth/cli?redirect_uri={REDIRECT}")

    assert f"form-action 'self' {REDIRECT};" in page.headers["content-security-policy"]


async def test_sign_in_form_of_another_browser_issues_nothing(client: httpx2.AsyncClient, world: World) -> None:
    page = await client.get(f"/v1/auth/cli?redirect_uri={REDIRECT}")
    client.cookies.clear()
    answer = await client.post("/v1/auth/cli", data=hidden_fields(page.text) | {"decision": "approve"})

    assert answer.status_code == 403
    assert world.all("access_token") == []


VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def authorize(**more: str) -> str:
    asked = {
        "response_type": "code",
        "client_id": signin.CODE_CLIENT,
        "redirect_uri": f"{REDIRECT}/cb",
        "scope": "calls:read",
        "state": "s",
    }
    return f"/v1/auth/authorize?{httpx2.QueryParams(asked | more)}"


async def code_from(client: httpx2.AsyncClient, **more: str) -> str:
    answer = await decide(client, authorize(**more), "approve")
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query["state"] == ["s"]
    return query["code"][0]


def redemption(issued: str, **more: str) -> dict[str, str]:
    return {
        "grant_type": "authorization_code",
        "client_id": signin.CODE_CLIENT,
        "client_secret": signin.CODE_CLIENT_SECRET,
        "code": issued,
        "redirect_uri": f"{REDIRECT}/cb",
    } | more


@pytest.mark.parametrize("path", [CODE_TOKEN, DEVICE_TOKEN])
async def test_authorization_code_yields_tokens(client: httpx2.AsyncClient, path: str) -> None:
    code = await code_from(client, code_challenge=CHALLENGE, code_challenge_method="S256")
    answer = await client.post(path, data=redemption(code, code_verifier=VERIFIER))

    assert answer.status_code == 200
    assert answer.json()["scope"] == "calls:read"


async def test_authorization_code_used_twice_revokes_its_tokens(client: httpx2.AsyncClient, world: World) -> None:
    code = await code_from(client)
    issued = (await client.post(CODE_TOKEN, data=redemption(code))).json()
    again = await client.post(CODE_TOKEN, data=redemption(code))

    assert error_of(again) == "invalid_grant"
    assert tokens.lookup(world, issued["access_token"]) is None
    assert tokens.refresh(world, issued["refresh_token"]) is None


@pytest.mark.parametrize(
    ("asked", "more", "error"),
    [
        ({}, {"client_secret": "wrong"}, "invalid_client"),
        ({}, {"client_id": "wrong"}, "invalid_client"),
        ({}, {"redirect_uri": REDIRECT}, "invalid_grant"),
        ({}, {"code": "kallyai_sandbox_ac_wrong"}, "invalid_grant"),
        ({}, {"code_verifier": VERIFIER}, "invalid_grant"),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "S256"}, {}, "invalid_grant"),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "S256"}, {"code_verifier": "w" * 43}, "invalid_grant"),
    ],
)
async def test_wrong_redemption_yields_nothing(
    client: httpx2.AsyncClient, world: World, asked: dict[str, str], more: dict[str, str], error: str
) -> None:
    code = await code_from(client, **asked)
    answer = await client.post(CODE_TOKEN, data=redemption(code, **more))

    assert answer.status_code == (401 if error == "invalid_client" else 400)
    assert error_of(answer) == error
    assert world.all("access_token") == []


async def test_authorization_code_expires(client: httpx2.AsyncClient, world: World) -> None:
    code = await code_from(client)
    world.clock.advance(signin.CODE_LIFE)

    assert error_of(await client.post(CODE_TOKEN, data=redemption(code))) == "invalid_grant"


async def test_client_may_authenticate_by_basic(client: httpx2.AsyncClient) -> None:
    form = redemption(await code_from(client))
    basic = (form.pop("client_id"), form.pop("client_secret"))

    assert (await client.post(CODE_TOKEN, data=form, auth=basic)).status_code == 200


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "calls.write"}, "invalid_scope"),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short", "code_challenge_method": "S256"}, "invalid_request"),
    ],
)
async def test_wrong_authorization_request_goes_back_with_an_error(
    client: httpx2.AsyncClient, more: dict[str, str], error: str
) -> None:
    answer = await client.get(authorize(**more))
    query = parse_qs(urlsplit(answer.headers["location"]).query)

    assert answer.status_code == 303
    assert (query["error"], query["state"]) == ([error], ["s"])


async def test_unknown_client_is_told_on_the_page(client: httpx2.AsyncClient) -> None:
    answer = await client.get(authorize(client_id="unknown"))

    assert answer.status_code == 400
    assert signin.CODE_CLIENT in answer.text

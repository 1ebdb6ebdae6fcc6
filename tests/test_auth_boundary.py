"""Where tokens are kept and where they may go, and which addresses may be used and shown."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from auth_world import NOW, ORIGIN, Refreshing, Service, session_in, settings_in, stored, write_pair

from kallyai_mcp.auth.boundary import token_path
from kallyai_mcp.auth.discovery import find_endpoints
from kallyai_mcp.auth.flow import may_be_shown
from kallyai_mcp.auth.pair import TokenPair
from kallyai_mcp.errors import InvalidSettings, SignInFailed, SignInRequired, TransportError
from kallyai_mcp.settings import Settings

METADATA = "/.well-known/oauth-authorization-server"
LOCAL = "http://127.0.0.1:8790"


def test_a_sandbox_has_a_token_file_of_its_own_unless_one_was_named(tmp_path: Path) -> None:
    shared = Settings(state_dir=tmp_path)
    assert token_path(shared) == Path("~/.kallyai_token.json").expanduser()
    assert token_path(replace(shared, sandbox=True)) == tmp_path / "sandbox-token.json"
    assert token_path(replace(shared, api_url=LOCAL)) == shared.token_file
    (tmp_path / "sandboxes").mkdir()
    (tmp_path / "sandboxes" / "8790").touch()
    assert token_path(replace(shared, api_url=LOCAL)) == tmp_path / "sandbox-token.json"
    assert token_path(replace(shared, sandbox=True, token_file=tmp_path / "mine")) == tmp_path / "mine"


@pytest.mark.parametrize(
    "address",
    [
        "https://api.kallyai.com/device",
        "https://kallyai.com/device?user_code=AB",
        "https://app.kallyai.com:8443/x",
    ],
)
def test_the_vendors_pages_may_be_shown(address: str) -> None:
    assert may_be_shown(address, ORIGIN)


@pytest.mark.parametrize(
    "address",
    [
        None, 7, "", "http://kallyai.com/device", "https://kallyai.com.evil.example/", "https://evilkallyai.com/",
        "https://kallyai.com@evil.example/", "https://user@kallyai.com/", "javascript:alert(1)", "file:///etc/passwd",
        "https://kallyai.com/a b", "https://kallyai.com/\n", "https://kally\u0430i.com/", "https:///device",
        "//kallyai.com",
        "https://kallyai.com\\@evil.example/", "https://[::1/", "https://kallyai.com:99999/", "http://127.0.0.1/device",
        "https://kallyai.com/" + "a" * 2048, "https://kallyai.com/`id`",
    ],
)  # fmt: skip
def test_no_other_address_may_be_shown(address: object) -> None:
    assert not may_be_shown(address, ORIGIN)


def test_an_api_on_this_machine_may_send_a_person_to_this_machine_only() -> None:
    assert may_be_shown("http://127.0.0.1:8790/device", LOCAL)
    assert may_be_shown("http://localhost:8790/device", LOCAL)
    assert not may_be_shown("https://kallyai.com/device", LOCAL)


def metadata(**fields: object) -> dict[str, Any]:
    return {
        "issuer": ORIGIN,
        "device_authorization_endpoint": f"{ORIGIN}/oauth/device",
        "token_endpoint": f"{ORIGIN}/oauth/token",
    } | fields


def announcing(body: object) -> Service:
    return Service().at(METADATA, lambda _: httpx2.Response(200, json=body))


@pytest.mark.anyio
async def test_announced_endpoints_come_first(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, token_url="https://id.example/token")
    found = await find_endpoints(settings, announcing(metadata()).http)
    assert (found.device_authorization, found.token, found.source) == (
        f"{ORIGIN}/oauth/device",
        f"{ORIGIN}/oauth/token",
        "metadata",
    )


@pytest.mark.anyio
@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://evil.example"}, {"issuer": None}, {"device_authorization_endpoint": None},
        {"token_endpoint": "https://evil.example/token"}, {"token_endpoint": "http://api.kallyai.com/token"},
        {"device_authorization_endpoint": "https://x@api.kallyai.com/device"}, {"token_endpoint": ["x"]},
        {"token_endpoint": "https://api.kallyai.com:bad/"},
    ],
)  # fmt: skip
async def test_metadata_that_does_not_speak_for_the_origin_is_not_used(
    tmp_path: Path, change: dict[str, object]
) -> None:
    found = await find_endpoints(settings_in(tmp_path), announcing(metadata(**change)).http)
    assert (found.device_authorization, found.token, found.source) == (
        f"{ORIGIN}/v1/auth/device/code",
        f"{ORIGIN}/v1/auth/device/token",
        "guess",
    )


@pytest.mark.anyio
@pytest.mark.parametrize("answer", [httpx2.Response(404), httpx2.Response(200, text="<html>"), httpx2.Response(302)])
async def test_without_metadata_the_settings_count(tmp_path: Path, answer: httpx2.Response) -> None:
    settings = settings_in(tmp_path, device_authorization_url="https://id.example/d", token_url="https://id.example/t")
    found = await find_endpoints(settings, Service().at(METADATA, lambda _: answer).http)
    assert (found.device_authorization, found.token, found.source) == (
        "https://id.example/d",
        "https://id.example/t",
        "settings",
    )


@pytest.mark.anyio
async def test_an_api_that_cannot_be_reached_is_reported(tmp_path: Path) -> None:
    def fail(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectTimeout("slow", request=request)

    with pytest.raises(TransportError) as error:
        await find_endpoints(settings_in(tmp_path), Service().at(METADATA, fail).http)
    assert error.value.error_code == "timeout"


def mark_sandbox(folder: Path) -> None:
    (folder / "state" / "sandboxes").mkdir(parents=True)
    (folder / "state" / "sandboxes" / "8790").touch()


@pytest.mark.anyio
@pytest.mark.parametrize("fixed", [True, False])
async def test_a_sandbox_token_is_never_sent_to_a_live_origin(tmp_path: Path, fixed: bool) -> None:
    service = Service()
    token = "kallyai_sandbox_at_1"
    if fixed:
        session = session_in(tmp_path, service, access_token=token)
        with pytest.raises(InvalidSettings, match="KALLYAI_ACCESS_TOKEN was issued by a sandbox"):
            await session.token()
    else:
        write_pair(tmp_path, token, "kallyai_sandbox_rt_1", seconds=-1)
        session = session_in(tmp_path, service)
        with pytest.raises(SignInRequired, match="was issued by a sandbox"):
            await session.token()
    assert session.status().authenticated is False
    assert service.requests == []


@pytest.mark.anyio
@pytest.mark.parametrize("known_by", ["setting", "mark"])
async def test_a_live_token_is_never_sent_to_a_sandbox(tmp_path: Path, known_by: str) -> None:
    mark_sandbox(tmp_path)
    service = Service()
    write_pair(tmp_path, seconds=-1)
    changes: dict[str, Any] = (
        {"sandbox": True, "api_url": "http://127.0.0.1:1"} if known_by == "setting" else {"api_url": LOCAL}
    )
    with pytest.raises(SignInRequired, match="was not issued by a sandbox"):
        await session_in(tmp_path, service, **changes).token()
    with pytest.raises(InvalidSettings):
        await session_in(tmp_path, service, access_token="live", **changes).token()
    assert service.requests == []


@pytest.mark.anyio
async def test_a_live_refresh_token_beside_a_sandbox_access_token_is_not_sent_either(tmp_path: Path) -> None:
    service = Service()
    write_pair(tmp_path, "kallyai_sandbox_at_1", "live", seconds=-1)
    with pytest.raises(SignInRequired):
        await session_in(tmp_path, service, sandbox=True, api_url=LOCAL).token()
    assert service.requests == []


@pytest.mark.anyio
async def test_a_sandbox_session_refreshes_at_its_sandbox(tmp_path: Path) -> None:
    mark_sandbox(tmp_path)
    write_pair(tmp_path, "kallyai_sandbox_at_0", "kallyai_sandbox_rt_0", seconds=-1)
    service = Refreshing("kallyai_sandbox_rt_0", "kallyai_sandbox_")
    session = session_in(tmp_path, service, api_url=LOCAL)
    assert await session.token() == "kallyai_sandbox_at-1"
    assert str(service.requests[0].url) == f"{LOCAL}/v1/auth/refresh"


@pytest.mark.anyio
async def test_a_sign_in_at_a_sandbox_does_not_replace_live_tokens(tmp_path: Path) -> None:
    path = write_pair(tmp_path)
    session = session_in(tmp_path, api_url=LOCAL)
    pair = TokenPair("kallyai_sandbox_at_1", "kallyai_sandbox_rt_1", NOW + 3_000)
    with pytest.raises(SignInFailed, match="holds live tokens"):
        await session.adopt(pair)
    assert stored(path)["access_token"] == "at-0"
    path.unlink()
    assert await session.adopt(pair) is True
    assert await session.token() == pair.access_token

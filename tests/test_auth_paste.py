"""A browser on another machine: the address at which it ended is brought home by hand."""

from pathlib import Path

import pytest
from auth_browsers import free_ports, query_of
from auth_device_world import DeviceService, grant, signing_in
from auth_world import ORIGIN, Service, VirtualClock, session_in, stored

from kallyai_mcp.auth import callback
from kallyai_mcp.auth.flow import Done, Pending
from kallyai_mcp.auth.sign_in import SignIn
from kallyai_mcp.errors import SignInFailed

pytestmark = pytest.mark.anyio


async def test_the_address_of_the_command_lines_sign_in_is_shown_and_nothing_opened(tmp_path: Path) -> None:
    opened: list[str] = []

    def opener(address: str) -> bool:
        opened.append(address)
        return True

    ports, service = free_ports(), DeviceService(clock := VirtualClock(), [grant()])
    sign_in = SignIn(session_in(tmp_path, service, clock), opener=opener, ports=ports)
    pending = await sign_in.begin(paste=True)
    redirect = query_of(pending.verification_uri)["redirect_uri"]
    await sign_in.close()
    assert pending.verification_uri.startswith(f"{ORIGIN}/v1/auth/cli?")
    assert redirect == f"http://127.0.0.1:{ports.start}"
    assert pending.expires_in == 600
    assert (opened, service.requests) == ([], [])


async def test_the_right_address_signs_in_and_no_other_does(tmp_path: Path) -> None:
    sign_in = SignIn(session_in(tmp_path, Service(), VirtualClock()), ports=free_ports())
    query = query_of((await sign_in.begin(paste=True)).verification_uri)
    redirect, state = query["redirect_uri"], query["state"]
    tokens = "access_token=at-s3cret&refresh_token=rt-s3cret&expires_in=3600"
    for wrong in (
        "",
        "nonsense",
        f"{redirect}/",
        f"{redirect}/?{tokens}",
        f"{redirect}/?{tokens}&state={state[:-1]}*",
        f"{redirect}/?{tokens}&state={state}&state={state}",
        f"{redirect}/done?{tokens}&state={state}",
        f"http://127.0.0.1:1/?{tokens}&state={state}",
        f"https{redirect[4:]}/?{tokens}&state={state}",
        f"http://evil.example/?{tokens}&state={state}",
        f"{ORIGIN}/v1/auth/cli?redirect_uri={redirect}&state={state}",
        f"{redirect}/?{tokens}&state={state}&x={'x' * 70_000}",
        "http://[",
    ):
        assert not sign_in.paste(wrong), wrong
        assert isinstance(await sign_in.poll(), Pending)
    assert sign_in.paste(f"  {redirect}/?{tokens}&state={state}\n")
    assert isinstance(await sign_in.poll(), Done)
    assert stored(tmp_path / "token.json")["access_token"] == "at-s3cret"


async def test_the_state_is_compared_in_constant_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(callback.hmac, "compare_digest", compare)
    sign_in = SignIn(session_in(tmp_path), ports=free_ports())
    query = query_of((await sign_in.begin(paste=True)).verification_uri)
    assert not sign_in.paste(f"{query['redirect_uri']}/?access_token=a&state=b")
    await sign_in.close()
    assert compared == [(b"b", query["state"].encode())]


async def test_a_refusal_can_be_pasted_too(tmp_path: Path) -> None:
    sign_in = SignIn(session_in(tmp_path), ports=free_ports())
    query = query_of((await sign_in.begin(paste=True)).verification_uri)
    assert sign_in.paste(f"{query['redirect_uri']}/?error=access_denied&state={query['state']}")
    with pytest.raises(SignInFailed) as failed:
        await sign_in.finish()
    assert failed.value.error_code == "sign_in_denied"


async def test_nothing_can_be_pasted_into_a_device_flow_or_none(tmp_path: Path) -> None:
    sign_in, _, _ = signing_in(tmp_path, [grant()])
    assert not sign_in.paste("http://127.0.0.1:8740/?access_token=a")
    await sign_in.begin()
    assert not sign_in.paste("http://127.0.0.1:8740/?access_token=a")
    assert not sign_in.is_answered

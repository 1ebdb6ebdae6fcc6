"""Signing in and out: begun in one run, finished in another, shown without secrets."""

import logging
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from auth_device_world import CODE, PENDING, TOKEN, DeviceService, error, grant, signing_in
from auth_world import Service, VirtualClock, session_in, settings_in, stored

from kallyai_mcp.auth.flow import Done, Pending
from kallyai_mcp.auth.http import Http
from kallyai_mcp.auth.session import Session
from kallyai_mcp.auth.sign_in import SignIn
from kallyai_mcp.errors import InvalidSettings, SignInFailed


@pytest.mark.anyio
async def test_begin_shows_address_and_code_together_and_never_the_device_code(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        sign_in, _, _ = signing_in(tmp_path, [error(PENDING), error("access_denied")])
        state = await sign_in.begin()
        assert (state.flow, state.verification_uri, state.user_code, state.expires_in) == (
            "device",
            "https://kallyai.com/device",
            "ABCD-EFGH",
            600,
        )
        assert state.verification_uri_complete == "https://kallyai.com/device?user_code=ABCD-EFGH"
        for part in (state.verification_uri, state.verification_uri_complete, "ABCD-EFGH", "10 minutes", "kallyai-mcp"):
            assert part in state.message
        with pytest.raises(SignInFailed) as failed:
            await sign_in.finish()
    everything = f"{state!r} {sign_in!r} {failed.value!r} {failed.value.as_dict()} {caplog.text}"
    assert "s3cret" not in everything


@pytest.mark.anyio
@pytest.mark.parametrize(
    "start",
    [
        {"verification_uri": "https://evil.example/device"},
        {"verification_uri": "http://kallyai.com/device"},
        {"verification_uri": ...},
        {"user_code": "A" * 33},
        {"user_code": "AB\u202eCD"},
        {"user_code": ""},
        {"user_code": 7},
        {"device_code": ""},
        {"device_code": "a b\n"},
    ],
)
async def test_codes_and_pages_that_cannot_be_trusted_are_not_shown(tmp_path: Path, start: dict[str, Any]) -> None:
    sign_in, service, _ = signing_in(tmp_path, [grant()], **start)
    with pytest.raises(SignInFailed) as failed:
        await sign_in.begin()
    assert "evil" not in failed.value.message
    assert service.asked(TOKEN) == []


@pytest.mark.anyio
async def test_a_complete_address_elsewhere_is_left_out(tmp_path: Path) -> None:
    sign_in, _, _ = signing_in(tmp_path, [grant()], verification_uri_complete="https://evil.example/?c=ABCD-EFGH")
    state = await sign_in.begin()
    assert state.verification_uri_complete is None
    assert "evil" not in state.message


@pytest.mark.anyio
async def test_whoever_begins_meanwhile_joins_the_flow(tmp_path: Path) -> None:
    sign_in, service, clock = signing_in(tmp_path, [grant()])
    states: list[Pending] = []

    async def begin() -> None:
        states.append(await sign_in.begin())

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(begin)
    assert len(service.asked(CODE)) == 1
    assert len(set(states)) == 1
    clock.pass_(100)
    assert (await sign_in.begin()).expires_in == 500
    clock.pass_(500)
    assert (await sign_in.begin()).expires_in == 600
    assert len(service.asked(CODE)) == 2


@pytest.mark.anyio
async def test_a_later_poll_completes_what_an_earlier_run_began(tmp_path: Path) -> None:
    sign_in, service, clock = signing_in(tmp_path, [error(PENDING), grant()])
    await sign_in.begin()
    early = await sign_in.poll()
    assert isinstance(early, Pending)
    assert service.asked(TOKEN) == []
    clock.pass_(5)
    assert isinstance(await sign_in.poll(), Pending)
    clock.pass_(4.9)
    assert isinstance(await sign_in.poll(), Pending)
    assert len(service.asked(TOKEN)) == 1
    clock.pass_(0.2)
    done = await sign_in.poll()
    assert isinstance(done, Done)
    assert (done.saved, done.path) == (True, tmp_path / "token.json")
    assert clock.sleeps == []
    with pytest.raises(SignInFailed, match="No sign-in is under way"):
        await sign_in.poll()


@pytest.mark.anyio
async def test_all_who_wait_for_one_flow_learn_its_end(tmp_path: Path) -> None:
    sign_in, service, _ = signing_in(tmp_path, [error(PENDING), error(PENDING), grant()])
    await sign_in.begin()
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(sign_in.finish)
    assert len(service.asked(CODE)) == 1
    assert len(service.asked(TOKEN)) == 3


@pytest.mark.anyio
async def test_tokens_that_cannot_be_saved_are_told_about_and_used_meanwhile(tmp_path: Path) -> None:
    clock = VirtualClock()
    session = session_in(tmp_path, DeviceService(clock, [grant()]), clock)
    sign_in = SignIn(session)
    (tmp_path / "token.json").mkdir()
    await sign_in.begin()
    clock.pass_(5)
    done = await sign_in.poll()
    assert isinstance(done, Done)
    assert done.saved is False
    assert await session.token() == "at-s3cret"
    sign_in, _, _ = signing_in(tmp_path, [grant()])
    with pytest.raises(SignInFailed, match="could not be saved"):
        await sign_in.finish()


@pytest.mark.anyio
async def test_a_live_service_that_hands_out_sandbox_tokens_is_not_believed(tmp_path: Path) -> None:
    sign_in, _, _ = signing_in(tmp_path, [grant(access_token="kallyai_sandbox_at_1")])
    with pytest.raises(SignInFailed, match="sandbox"):
        await sign_in.finish()
    assert not (tmp_path / "token.json").exists()


@pytest.mark.anyio
async def test_a_fixed_token_is_told_about_instead_of_signing_in(tmp_path: Path) -> None:
    service = Service()
    sign_in = SignIn(session_in(tmp_path, service, access_token="fixed"))
    with pytest.raises(InvalidSettings, match="KALLYAI_ACCESS_TOKEN is set"):
        await sign_in.begin()
    assert service.requests == []


@pytest.mark.anyio
async def test_signing_out_removes_the_file_and_calls_a_sign_in_off(tmp_path: Path) -> None:
    sign_in, _, _ = signing_in(tmp_path, [grant()])
    await sign_in.finish()
    await sign_in.begin()
    assert await sign_in.sign_out() is True
    assert sign_in.pending is None
    assert await sign_in.sign_out() is False


@pytest.mark.anyio
@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_service_that_is_busy_is_not_taken_for_one_without_device_flow(tmp_path: Path, status: int) -> None:
    sign_in, service, _ = signing_in(tmp_path, [grant()])
    service.at(CODE, lambda _: httpx2.Response(status, text="<html>"))
    with pytest.raises(SignInFailed) as failed:
        await sign_in.begin()
    assert failed.value.retryable
    assert sign_in.pending is None


@pytest.mark.anyio
async def test_every_connection_is_closed(tmp_path: Path) -> None:
    opened: list[httpx2.MockTransport] = []
    closed: list[httpx2.AsyncBaseTransport] = []

    class Transport(httpx2.MockTransport):
        async def aclose(self) -> None:
            closed.append(self)

    clock = VirtualClock()
    service = DeviceService(clock, [error(PENDING), httpx2.ConnectError("down"), grant()])

    def transport() -> Transport:
        made = Transport(service)
        opened.append(made)
        return made

    settings = settings_in(tmp_path)
    await SignIn(Session(settings, http=Http(transport), clock=clock)).finish()
    assert len(opened) == 5
    assert closed == opened


@pytest.mark.anyio
async def test_a_run_that_is_cancelled_after_the_answer_does_not_lose_the_tokens(tmp_path: Path) -> None:
    clock = VirtualClock()
    service = DeviceService(clock, [grant()])
    scope = anyio.CancelScope()

    class Transport(httpx2.MockTransport):
        async def aclose(self) -> None:
            if service.times:
                scope.cancel()

    settings = settings_in(tmp_path)
    sign_in = SignIn(Session(settings, http=Http(lambda: Transport(service)), clock=clock))
    with scope:
        await sign_in.finish()
    assert scope.cancel_called
    assert stored(tmp_path / "token.json")["access_token"] == "at-s3cret"

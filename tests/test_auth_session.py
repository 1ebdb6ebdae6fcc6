"""Tokens for the API client: refreshed ahead of their end, once for all, and never lost or resurrected by an error."""

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path

import anyio
import httpx2
import pytest
from auth_world import NOW, ORIGIN, Refreshing, Service, VirtualClock, session_in, stored, write, write_pair

from kallyai_mcp.errors import KallyError, SignInRequired, TransportError

pytestmark = pytest.mark.anyio
REFRESH = "/v1/auth/refresh"


async def gather(count: int, run: Callable[[], object]) -> list[object]:
    results: list[object] = []

    async def one() -> None:
        try:
            results.append(await run())  # pyright: ignore[reportGeneralTypeIssues, reportUnknownArgumentType]  # a coroutine function
        except KallyError as error:
            results.append(error)

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(one)
    return results


async def test_without_a_file_nobody_is_signed_in(tmp_path: Path) -> None:
    service = Service()
    session = session_in(tmp_path, service)
    assert await session.token() is None
    assert session.status().authenticated is False
    assert service.requests == []


async def test_a_token_that_is_good_for_long_is_used_as_it_is(tmp_path: Path) -> None:
    write_pair(tmp_path, seconds=601)
    service = Service()
    assert await session_in(tmp_path, service).token() == "at-0"
    assert service.requests == []
    assert not (tmp_path / "token.json.lock").exists()


async def test_a_token_that_ends_within_ten_minutes_is_refreshed_as_documented(tmp_path: Path) -> None:
    path = write_pair(tmp_path, seconds=599)
    service = Refreshing()
    assert await session_in(tmp_path, service).token() == "at-1"
    (request,) = service.requests
    assert (request.method, str(request.url)) == ("POST", f"{ORIGIN}{REFRESH}")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("kallyai-mcp/")
    assert request.content == b'{"refresh_token":"rt-0"}'
    assert stored(path) == {"access_token": "at-1", "refresh_token": "rt-1", "expires_at": int(NOW) + 3540}


async def test_a_short_lived_token_is_not_refreshed_before_half_of_its_life(tmp_path: Path) -> None:
    path = write_pair(tmp_path, seconds=200)
    os.utime(path, (NOW - 100, NOW - 100))
    service = Refreshing()
    clock = VirtualClock()
    session = session_in(tmp_path, service, clock)
    assert await session.token() == "at-0"
    clock.pass_(51)
    assert await session.token() == "at-1"


async def test_an_answer_without_refresh_token_keeps_the_old_one(tmp_path: Path) -> None:
    path = write_pair(tmp_path, seconds=-1)
    service = Service().at(REFRESH, lambda _: httpx2.Response(200, json={"access_token": "at-1"}))
    assert await session_in(tmp_path, service).token() == "at-1"
    assert stored(path) == {"access_token": "at-1", "refresh_token": "rt-0", "expires_at": int(NOW) + 3540}


async def test_any_number_of_waiting_runs_and_sessions_share_one_refresh(tmp_path: Path) -> None:
    write_pair(tmp_path, seconds=-1)
    service = Refreshing()
    sessions = [session_in(tmp_path, service) for _ in range(4)]
    async with anyio.create_task_group() as group:
        for session in sessions:
            group.start_soon(gather, 50, session.token)
    assert [await session.token() for session in sessions] == ["at-1"] * 4
    assert (service.issued, service.revoked) == (1, False)


async def test_while_one_run_refreshes_ahead_the_others_use_the_valid_token(tmp_path: Path) -> None:
    write_pair(tmp_path, seconds=300)
    tokens = await gather(10, session_in(tmp_path, Refreshing()).token)
    assert sorted(map(str, tokens)) == ["at-0"] * 9 + ["at-1"]


@pytest.mark.parametrize("status", [302, 404, 429, 500, 503])
async def test_a_failed_refresh_ahead_of_time_uses_the_valid_token_and_pauses(tmp_path: Path, status: int) -> None:
    path = write_pair(tmp_path, seconds=300)
    service = Service().at(REFRESH, lambda _: httpx2.Response(status, text="<html>", headers={"location": "http://x"}))
    clock = VirtualClock()
    session = session_in(tmp_path, service, clock)
    assert [await session.token() for _ in range(3)] == ["at-0"] * 3
    assert len(service.requests) == 1
    clock.pass_(60)
    assert await session.token() == "at-0"
    assert len(service.requests) == 2
    clock.pass_(300)
    with pytest.raises(TransportError):
        await session.token()
    assert stored(path)["access_token"] == "at-0"


async def test_a_peer_that_refreshes_ahead_is_not_waited_for(tmp_path: Path) -> None:
    write_pair(tmp_path, seconds=300)
    clock = VirtualClock()
    service = Refreshing()
    session = session_in(tmp_path, service, clock)
    async with session.file.locked():
        assert await session.token() == "at-0"
    assert clock.sleeps == []
    assert service.requests == []


async def test_runs_that_waited_for_a_failed_refresh_share_its_error(tmp_path: Path) -> None:
    write_pair(tmp_path, seconds=-1)
    service = Service().at(REFRESH, lambda _: httpx2.Response(503))
    errors = await gather(50, session_in(tmp_path, service).token)
    assert {type(error) for error in errors} == {TransportError}
    assert len(service.requests) == 1


async def test_a_refused_refresh_token_is_one_stable_error_and_the_file_is_kept(tmp_path: Path) -> None:
    path = write_pair(tmp_path, seconds=-1)
    service = Refreshing(current="another")
    clock = VirtualClock()
    session = session_in(tmp_path, service, clock)
    errors = await gather(20, session.token) + await gather(20, session.token)
    assert {getattr(error, "error_code", None) for error in errors} == {"sign_in_required"}
    assert len(service.requests) == 1
    assert clock.elapsed == pytest.approx(1.0)
    assert stored(path)["refresh_token"] == "rt-0"
    assert session.status().authenticated is False


async def test_a_pair_that_the_cli_writes_meanwhile_is_adopted_when_the_refresh_is_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, seconds=-1)
    clock = VirtualClock()

    class CliWrites(VirtualClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            if len(self.sleeps) == 3:
                write_pair(tmp_path, "at-cli", "rt-cli", seconds=3540.5)

    clock = CliWrites()
    assert await session_in(tmp_path, Refreshing(current="rt-cli"), clock).token() == "at-cli"


async def test_a_file_that_is_half_written_at_this_moment_is_read_a_moment_later(tmp_path: Path) -> None:
    path = write(tmp_path / "token.json")
    path.write_text('{"access_token": "at-')

    class CliWrites(VirtualClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            write_pair(tmp_path, "at-cli")

    assert await session_in(tmp_path, clock=CliWrites(path.stat().st_ctime)).token() == "at-cli"


async def test_a_newer_pair_written_without_our_lock_is_not_overwritten(tmp_path: Path) -> None:
    path = write_pair(tmp_path, seconds=-1)

    def answer(_: httpx2.Request) -> httpx2.Response:
        write_pair(tmp_path, "at-new", "rt-new")
        return httpx2.Response(200, json={"access_token": "at-1", "refresh_token": "rt-1", "expires_in": 3600})

    assert await session_in(tmp_path, Service().at(REFRESH, answer)).token() == "at-new"
    assert stored(path)["refresh_token"] == "rt-new"


async def test_signing_out_during_a_refresh_is_final(tmp_path: Path) -> None:
    path = write_pair(tmp_path, seconds=-1)

    def answer(_: httpx2.Request) -> httpx2.Response:
        path.unlink()
        return httpx2.Response(200, json={"access_token": "at-1", "refresh_token": "rt-1"})

    session = session_in(tmp_path, Service().at(REFRESH, answer))
    assert await session.token() is None
    assert not path.exists()
    assert await session.token() is None


async def test_a_cancelled_run_does_not_lose_the_new_pair(tmp_path: Path) -> None:
    path = write_pair(tmp_path, seconds=-1)
    with anyio.CancelScope() as scope:
        service = Refreshing()
        refresh = service.routes[REFRESH]
        service.at(REFRESH, lambda request: (scope.cancel(), refresh(request))[1])
        await session_in(tmp_path, service).token()
    assert stored(path)["refresh_token"] == "rt-1"


@pytest.mark.parametrize("body", ["", "{}", "[]", '{"access_token": ""}', '{"access_token": "a\\r\\nb"}', "<html>"])
async def test_an_unusable_answer_is_a_passing_error_and_changes_nothing(tmp_path: Path, body: str) -> None:
    path = write_pair(tmp_path, seconds=-1)
    service = Service().at(REFRESH, lambda _: httpx2.Response(200, text=body))
    with pytest.raises(TransportError) as error:
        await session_in(tmp_path, service).token()
    assert error.value.retryable
    assert stored(path)["refresh_token"] == "rt-0"


async def test_an_answer_beyond_a_mebibyte_or_packed_is_not_read(tmp_path: Path) -> None:
    write_pair(tmp_path, seconds=-1)
    for response in (
        httpx2.Response(200, stream=httpx2.ByteStream(b" " * (1024 * 1024 + 1))),
        httpx2.Response(200, headers={"content-encoding": "gzip"}, stream=httpx2.ByteStream(b"\x1f\x8b")),
    ):
        session = session_in(tmp_path, Service().at(REFRESH, lambda _, response=response: response))
        with pytest.raises(TransportError) as error:
            await session.token()
        assert error.value.error_code == "unexpected_answer"


async def test_without_a_connection_the_error_names_the_host_and_no_token(tmp_path: Path) -> None:
    write_pair(tmp_path, seconds=-1)

    def fail(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("rt-0 at-0", request=request)

    with pytest.raises(TransportError) as error:
        await session_in(tmp_path, Service().at(REFRESH, fail)).token()
    assert error.value.message == "api.kallyai.com cannot be reached."


async def test_an_expired_token_without_refresh_token_needs_a_new_sign_in(tmp_path: Path) -> None:
    write_pair(tmp_path, refresh=None, seconds=-1)
    session = session_in(tmp_path)
    with pytest.raises(SignInRequired):
        await session.token()
    assert session.status().authenticated is False


async def test_a_full_disk_keeps_this_process_working_and_is_made_good_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_pair(tmp_path, seconds=-1)
    service = Refreshing()
    clock = VirtualClock()
    session = session_in(tmp_path, service, clock)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(os, "write", full)
        assert await session.token() == "at-1"
        assert await session.token() == "at-1"
    assert "No space left on device" in caplog.text
    assert "at-1" not in caplog.text
    assert "rt-1" not in caplog.text
    assert stored(path)["access_token"] == "at-0"
    clock.pass_(31)
    assert await session.token() == "at-1"
    assert stored(path)["access_token"] == "at-1"
    assert service.issued == 1


async def test_tokens_kept_in_memory_end_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_pair(tmp_path, seconds=-1)
    session = session_in(tmp_path, Refreshing())
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]  # raises in an expression
        assert await session.token() == "at-1"
    path.unlink()
    assert await session.token() is None


async def test_a_storm_of_refusals_costs_one_refresh(tmp_path: Path) -> None:
    write_pair(tmp_path)
    service = Refreshing()
    session = session_in(tmp_path, service)
    assert await gather(100, lambda: session.renew("at-0")) == ["at-1"] * 100
    assert await session.renew("at-0") == "at-1"
    assert service.issued == 1


async def test_a_refusal_of_an_older_token_costs_no_refresh(tmp_path: Path) -> None:
    write_pair(tmp_path, "at-5")
    service = Service()
    assert await session_in(tmp_path, service).renew("at-4") == "at-5"
    assert service.requests == []


async def test_where_no_other_token_can_be_had_the_caller_is_told_by_none(tmp_path: Path) -> None:
    write_pair(tmp_path)
    session = session_in(tmp_path, Refreshing(current="another"))
    assert await session.renew("at-0") is None
    assert await session.renew("at-0") is None
    (tmp_path / "token.json").unlink()
    assert await session.renew("at-0") is None


async def test_a_passing_failure_to_renew_is_not_taken_for_a_sign_out(tmp_path: Path) -> None:
    write_pair(tmp_path)
    session = session_in(tmp_path, Service().at(REFRESH, lambda _: httpx2.Response(502)))
    with pytest.raises(TransportError):
        await session.renew("at-0")


async def test_a_fixed_token_is_used_as_it_is_and_never_written_or_refreshed(tmp_path: Path) -> None:
    write_pair(tmp_path)
    before = (tmp_path / "token.json").read_text()
    service = Service()
    session = session_in(tmp_path, service, access_token="fixed")
    assert await session.token() == "fixed"
    assert await session.renew("fixed") is None
    status = session.status()
    assert (status.authenticated, status.source, status.expires_at, status.path) == (True, "environment", None, None)
    assert (tmp_path / "token.json").read_text() == before
    assert service.requests == []


async def test_the_status_tells_source_end_and_path_without_network(tmp_path: Path) -> None:
    path = write_pair(tmp_path, seconds=-1)
    service = Service()
    status = session_in(tmp_path, service).status()
    assert (status.authenticated, status.source, status.expires_at, status.path) == (True, "token file", NOW - 1, path)
    path.chmod(0o640)
    status = session_in(tmp_path, service).status()
    assert status.authenticated is False
    assert status.problem is not None
    assert "chmod 600" in status.problem.next_step
    assert service.requests == []


async def test_signing_out_removes_the_file_once(tmp_path: Path) -> None:
    write_pair(tmp_path)
    session = session_in(tmp_path)
    assert await session.forget() is True
    assert await session.forget() is False
    assert await session.token() is None

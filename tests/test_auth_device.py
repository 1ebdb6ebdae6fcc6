"""The device flow by RFC 8628: how often it asks, when it stops, and what it shows."""

from collections.abc import Callable
from pathlib import Path

import anyio
import httpx2
import pytest
from auth_device_world import CODE, DEVICE_CODE, PENDING, TOKEN, Answer, error, grant, signing_in
from auth_world import NOW, stored
from hypothesis import given, settings
from hypothesis import strategies as st

from kallyai_mcp.errors import SignInFailed


@pytest.mark.anyio
async def test_the_requests_are_those_of_the_rfc_for_a_public_client(tmp_path: Path) -> None:
    sign_in, service, _ = signing_in(tmp_path, [grant()])
    await sign_in.finish()
    (start,), (token,) = service.asked(CODE), service.asked(TOKEN)
    assert start.method == token.method == "POST"
    assert start.content == b"client_id=kallyai-mcp"
    assert dict(httpx2.QueryParams(token.content.decode())) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": DEVICE_CODE,
        "client_id": "kallyai-mcp",
    }
    for request in (start, token):
        assert request.headers["content-type"].startswith("application/x-www-form-urlencoded")
        assert "authorization" not in request.headers
    assert stored(tmp_path / "token.json") == {
        "access_token": "at-s3cret",
        "refresh_token": "rt-s3cret",
        "expires_at": int(NOW) + 5 + 3540,
    }


@pytest.mark.anyio
async def test_the_interval_counts_from_each_answer_and_grows_for_good_on_slow_down(tmp_path: Path) -> None:
    answers: list[Answer] = [error("slow_down"), error("slow_down"), error("slow_down"), error(PENDING), grant()]
    sign_in, service, _ = signing_in(tmp_path, answers, latency=2.0)
    await sign_in.finish()
    waits = [asked - before for before, asked in zip([0.0, *service.answered], service.times, strict=False)]
    assert waits == pytest.approx([5, 10, 15, 20, 20])


@pytest.mark.anyio
async def test_timeouts_and_server_errors_back_off_exponentially_and_an_answer_ends_that(tmp_path: Path) -> None:
    slow = httpx2.ConnectTimeout("slow")
    answers: list[Answer] = [slow, slow, slow, httpx2.Response(500), slow, error(PENDING), grant()]
    sign_in, service, _ = signing_in(tmp_path, answers)
    await sign_in.finish()
    assert [b - a for a, b in zip(service.times, service.times[1:], strict=False)] == [10, 20, 40, 60, 60, 5]


FINAL = [
    ("access_denied", "sign_in_denied"),
    ("expired_token", "sign_in_expired"),
    ("invalid_grant", "sign_in_failed"),
    ("invalid_client", "sign_in_failed"),
    ("s3cret-server-text", "sign_in_failed"),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("answer", "code"), FINAL)
async def test_final_errors_are_final(tmp_path: Path, answer: str, code: str) -> None:
    sign_in, service, _ = signing_in(tmp_path, [error(PENDING), error(answer), grant()])
    with pytest.raises(SignInFailed) as failed:
        await sign_in.finish()
    assert failed.value.error_code == code
    assert "s3cret" not in failed.value.message + failed.value.next_step
    assert len(service.asked(TOKEN)) == 2
    assert sign_in.pending is None
    assert not (tmp_path / "token.json").exists()


@pytest.mark.anyio
async def test_errors_in_the_apis_own_envelope_are_understood(tmp_path: Path) -> None:
    wrapped = httpx2.Response(400, json={"error": {"code": "access_denied", "message": "x"}})
    sign_in, _, _ = signing_in(tmp_path, [wrapped])
    with pytest.raises(SignInFailed) as failed:
        await sign_in.finish()
    assert failed.value.error_code == "sign_in_denied"


UNCLEAR: list[Answer] = [
    httpx2.Response(200, text="<html>"),
    httpx2.Response(200, json=[]),
    httpx2.Response(200, json={}),
    httpx2.Response(400, json={"access_token": "not-this", "expires_in": 1}),
    httpx2.Response(302, headers={"location": "https://evil.example/"}),
    httpx2.Response(429, text="slow"),
    httpx2.Response(429, json={"error": {"code": "rate_limit_exceeded", "message": "x"}}),
    httpx2.Response(503, json={"error": "access_denied"}),
    httpx2.ReadTimeout("slow"),
    httpx2.ConnectError("down"),
]


@pytest.mark.anyio
@pytest.mark.parametrize("unclear", UNCLEAR)
async def test_answers_that_say_nothing_are_survived_until_the_code_ends(tmp_path: Path, unclear: Answer) -> None:
    sign_in, _, _ = signing_in(tmp_path, [unclear, grant()])
    await sign_in.finish()
    assert stored(tmp_path / "token.json")["access_token"] == "at-s3cret"
    sign_in, service, clock = signing_in(tmp_path, [unclear])
    with pytest.raises(SignInFailed) as failed:
        await sign_in.finish()
    assert failed.value.error_code == "sign_in_expired"
    assert clock.elapsed <= 601
    assert len(service.times) <= 15


@pytest.mark.anyio
@pytest.mark.parametrize("expires_in", [None, 0, -1, "soon", 1e12, [], True])
async def test_an_absurd_token_lifetime_does_not_stop_the_sign_in(tmp_path: Path, expires_in: object) -> None:
    sign_in, _, _ = signing_in(tmp_path, [grant(expires_in=expires_in, expires_at=[])])
    await sign_in.finish()
    seconds = 3540 if expires_in is None else 240
    assert stored(tmp_path / "token.json")["expires_at"] == int(NOW) + 5 + seconds


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("interval", "first"),
    [(..., 5), (None, 5), (0, 5), (-3, 5), ("5", 5), ("soon", 5), (0.2, 1), (1e9, 60), ([], 5), (True, 5), (7, 7)],
)
async def test_absurd_intervals_are_brought_within_bounds(tmp_path: Path, interval: object, first: float) -> None:
    sign_in, service, _ = signing_in(tmp_path, [grant()], interval=interval)
    await sign_in.finish()
    assert service.times == [first]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("expires_in", "ends"), [(..., 600), (None, 600), (0, 600), (-1, 600), ("90", 90), (1e9, 1800), (60, 60), ({}, 600)]
)
async def test_absurd_validities_are_brought_within_bounds(tmp_path: Path, expires_in: object, ends: float) -> None:
    sign_in, _, clock = signing_in(tmp_path, [error(PENDING)], expires_in=expires_in)
    with pytest.raises(SignInFailed) as failed:
        await sign_in.finish()
    assert failed.value.error_code == "sign_in_expired"
    assert clock.elapsed == ends


KINDS: dict[str, Callable[[], Answer]] = {
    PENDING: lambda: error(PENDING),
    "slow_down": lambda: error("slow_down"),
    "access_denied": lambda: error("access_denied"),
    "expired_token": lambda: error("expired_token"),
    "invalid_grant": lambda: error("invalid_grant", 401),
    "html": lambda: httpx2.Response(200, text="<html>"),
    "500": lambda: httpx2.Response(500),
    "timeout": lambda: httpx2.ConnectTimeout("slow"),
    "grant": grant,
}
OUTCOMES = {
    "grant": None,
    "access_denied": "sign_in_denied",
    "expired_token": "sign_in_expired",
    "invalid_grant": "sign_in_failed",
}


@given(
    kinds=st.lists(
        st.sampled_from([PENDING, PENDING, PENDING, "slow_down", "slow_down", "html", "500", "timeout"]), max_size=25
    ),
    end=st.sampled_from(sorted(OUTCOMES)),
    interval=st.sampled_from([..., 0, 1, 5, 8]),
    expires_in=st.integers(1, 900),
    latency=st.floats(0, 3),
)
@settings(max_examples=250, deadline=None)
def test_it_never_asks_early_always_ends_in_time_and_has_the_right_outcome(
    kinds: list[str],
    end: str,
    interval: object,
    expires_in: int,
    latency: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    kinds = [*kinds, end]
    folder = tmp_path_factory.mktemp("flow")
    answers = [KINDS[kind]() for kind in kinds]
    sign_in, service, clock = signing_in(folder, answers, latency, interval=interval, expires_in=expires_in)
    outcome: str | None = None
    try:
        anyio.run(sign_in.finish)
    except SignInFailed as failed:
        outcome = failed.error_code

    in_force = interval if isinstance(interval, int) and interval > 0 else 5
    answered_before = 0.0
    for kind, asked, answered in zip(kinds, service.times, service.answered, strict=False):
        assert asked - answered_before >= in_force - 1e-6
        answered_before = answered
        in_force += 5 if kind == "slow_down" else 0
    assert all(asked < expires_in for asked in service.times)
    assert clock.elapsed <= expires_in + latency + 1e-6
    if len(service.times) == len(kinds):
        assert outcome == OUTCOMES[end]
        assert (folder / "token.json").exists() == (end == "grant")
    else:
        assert len(service.times) < len(kinds)
        assert outcome == "sign_in_expired"
        assert not (folder / "token.json").exists()

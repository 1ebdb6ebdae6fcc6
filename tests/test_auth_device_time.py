"""RFC 8628 section 3.5 as properties: any sequence of answers, late and lost ones among them, by a virtual clock."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import httpx2
import pytest
from auth_device_world import CODE, PENDING, START, TOKEN, error, grant
from auth_world import Service, settings_in, stored
from full import share
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import LoopClock, run_virtually

from kallyai_mcp.auth.http import Http
from kallyai_mcp.auth.session import Session
from kallyai_mcp.auth.sign_in import SignIn
from kallyai_mcp.errors import SignInFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ANSWERS: dict[str, Callable[[], httpx2.Response | Exception]] = {
    "pending": lambda: error(PENDING),
    "pending 401": lambda: error(PENDING, 401),
    "slow_down": lambda: error("slow_down"),
    "slow_down 429": lambda: error("slow_down", 429),
    "html": lambda: httpx2.Response(200, text="<html>"),
    "html 403": lambda: httpx2.Response(403, text="<html>"),
    "500": lambda: httpx2.Response(500),
    "503 json": lambda: httpx2.Response(503, json={"error": "access_denied"}),
    "half a grant": lambda: httpx2.Response(200, json={"refresh_token": "rt-s3cret"}),
    "redirect": lambda: httpx2.Response(307, headers={"location": "https://kallyai.com/elsewhere"}),
    "connect timeout": lambda: httpx2.ConnectTimeout("slow"),
    "read timeout": lambda: httpx2.ReadTimeout("slow"),
    "connection refused": lambda: httpx2.ConnectError("down"),
    "cut": lambda: httpx2.RemoteProtocolError("cut"),
}
GOES_ON = {"pending", "pending 401", "slow_down", "slow_down 429"}
FINAL: dict[str, tuple[Callable[[], httpx2.Response], str | None]] = {
    "grant": (grant, None),
    "grant with an absurd lifetime": (lambda: grant(expires_in="soon", expires_at=[]), None),
    "denied": (lambda: error("access_denied"), "sign_in_denied"),
    "denied 403": (lambda: error("access_denied", 403), "sign_in_denied"),
    "expired": (lambda: error("expired_token"), "sign_in_expired"),
    "invalid grant": (lambda: error("invalid_grant"), "sign_in_failed"),
    "unknown error": (lambda: error("no_such_error"), "sign_in_failed"),
}
ABSURD: tuple[object, ...] = (..., None, 0, -1, "soon", [], True, 1e9, float("1e308"))


@dataclass
class Asked:
    """One request for the tokens: what it was answered with, and when; nothing of an answer that came too late."""

    at: float
    kind: str
    done: float = 0.0
    heard: bool = False


@dataclass
class Authority:
    """Answers in order, each after its own time; after the last it says "pending" for ever."""

    plan: list[tuple[str, float]]
    start: Mapping[str, object]
    asked: list[Asked] = field(default_factory=list[Asked])

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path == CODE:
            return httpx2.Response(200, json=self.start)
        if request.url.path != TOKEN:
            return httpx2.Response(404)
        kind, latency = self.plan[len(self.asked)] if len(self.asked) < len(self.plan) else ("pending", 0.0)
        turn = Asked(anyio.current_time(), kind)
        self.asked.append(turn)
        try:
            await anyio.sleep(latency)
            turn.heard = True
        finally:
            turn.done = anyio.current_time()
        answer = FINAL[kind][0]() if kind in FINAL else ANSWERS[kind]()
        if isinstance(answer, Exception):
            raise answer
        return answer


def sign_in_with(authority: Authority, folder: Path) -> tuple[str | None, float]:
    """Sign in to the end; the code of the error, if any, and when it was over."""

    async def run() -> tuple[str | None, float]:
        http = Http(lambda: httpx2.MockTransport(authority))
        sign_in = SignIn(Session(settings_in(folder), http=http, clock=LoopClock(), jitter=lambda: 0.0))
        outcome = None
        try:
            await sign_in.finish()
        except SignInFailed as failed:
            outcome = failed.error_code
        return outcome, anyio.current_time()

    return run_virtually(run)


def stated(value: object, default: float, longest: float) -> float | None:
    """What the service asked for; None where it cannot have meant it."""
    if value is ... or value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    number = float(value) if value != "soon" else -1.0
    return number if 0 < number <= longest else None


latencies = st.one_of(st.just(0.0), st.floats(0, 3), st.floats(15, 40))
plans = st.tuples(
    st.lists(st.tuples(st.sampled_from(["pending"] * 6 + sorted(ANSWERS)), latencies), max_size=30),
    st.lists(st.tuples(st.sampled_from(sorted(FINAL)), latencies), max_size=2),
).map(lambda parts: [*parts[0], *parts[1]])


@given(
    plan=plans,
    interval=st.one_of(st.sampled_from(ABSURD), st.integers(1, 300), st.floats(0.1, 30), st.just("7")),
    expires_in=st.one_of(st.integers(1, 1800), st.floats(0.1, 60), st.sampled_from(ABSURD)),
)
@settings(max_examples=share(400, 10_000), deadline=None)
def test_it_never_asks_early_ends_in_time_and_has_the_right_outcome(
    plan: list[tuple[str, float]], interval: object, expires_in: object
) -> None:
    start = START | {"interval": interval, "expires_in": expires_in}
    authority = Authority(plan, {name: value for name, value in start.items() if value is not ...})
    with tempfile.TemporaryDirectory() as folder:
        outcome, over = sign_in_with(authority, Path(folder))
        is_saved = (Path(folder) / "token.json").exists()

    in_force = stated(interval, 5.0, 300.0) or 1.0
    validity = stated(expires_in, 600.0, 1800.0)
    ends = 1800.0 if validity is None else validity
    before, last_gap, failing = 0.0, 0.0, 0
    for turn in authority.asked:
        gap = turn.at - before
        assert gap >= in_force - 1e-6
        if failing:  # "MUST unilaterally reduce their polling frequency", and ever more
            assert gap >= min(2 * in_force, 60.0) - 1e-6
            assert gap > in_force
            assert failing == 1 or gap >= last_gap - 1e-6
        assert turn.at < max(ends, 1.0)
        says = turn.kind if turn.heard else "nothing"
        in_force += 5 if says.startswith("slow_down") else 0
        failing = 0 if says in GOES_ON else failing + 1
        before, last_gap = turn.done, gap
    assert over <= ends + 1 + 1e-6

    final = [turn for turn in authority.asked if turn.heard and turn.kind in FINAL]
    if final:
        assert final == authority.asked[-1:]
        assert outcome == FINAL[final[0].kind][1]
    else:
        assert outcome == "sign_in_expired"
        assert over >= (ends if validity else 600.0) - 1e-6
    assert is_saved == (outcome is None)


def test_frequency_falls_after_a_timeout_however_long_the_interval_is_already(tmp_path: Path) -> None:
    authority = Authority([("connect timeout", 0.0), ("pending", 0.0)], START | {"interval": 120, "expires_in": 900})
    sign_in_with(authority, tmp_path)
    assert [turn.at for turn in authority.asked[:3]] == [120, 120 + 240, 120 + 240 + 120]


def test_a_long_interval_is_kept_and_an_absurd_one_is_not_waited_for(tmp_path: Path) -> None:
    for interval, first in ((180, 180), (300, 300), (301, 60)):
        authority = Authority([("denied", 0.0)], START | {"interval": interval})
        sign_in_with(authority, tmp_path)
        assert [turn.at for turn in authority.asked] == [first]


def test_an_answer_that_does_not_come_is_given_up_after_20_seconds_and_a_second_after_the_end(tmp_path: Path) -> None:
    authority = Authority([("pending", 1e6)] * 99, START | {"expires_in": 63})
    outcome, over = sign_in_with(authority, tmp_path)
    assert [(turn.at, turn.done) for turn in authority.asked] == [(5, 25), (35, 55)]
    assert (outcome, over) == ("sign_in_expired", 63)
    authority = Authority([("pending", 1e6)], START | {"expires_in": 5.5})
    assert sign_in_with(authority, tmp_path) == ("sign_in_expired", 6)


def test_a_grant_that_arrives_while_its_run_is_cancelled_is_not_lost(tmp_path: Path) -> None:
    """A device code is good for one grant: who does not hear it has to sign in again."""
    authority = Authority([("grant", 3.0)], dict(START))

    async def run() -> None:
        http = Http(lambda: httpx2.MockTransport(authority))
        sign_in = SignIn(Session(settings_in(tmp_path), http=http, clock=LoopClock()))
        await sign_in.begin()
        await anyio.sleep(5)
        with anyio.move_on_after(1):
            await sign_in.poll()

    run_virtually(run)
    assert stored(tmp_path / "token.json")["access_token"] == "at-s3cret"


@pytest.mark.anyio
async def test_the_person_is_told_who_asks_for_what_and_compares_the_code(tmp_path: Path) -> None:
    """Sections 3.3.1 and 5.4: the code stands beside the address that has it filled in, and so does the warning."""
    service = Service().at(CODE, lambda _: httpx2.Response(200, json=START))
    shown = await SignIn(Session(settings_in(tmp_path), http=service.http, clock=LoopClock())).begin()
    for part in (
        "https://kallyai.com/device and enter the code ABCD-EFGH",
        "kallyai-mcp on this machine",
        "phone people, send mail and spend credits",
        "Approve only if you started this yourself",
        "check that the page shows ABCD-EFGH",
        "10 minutes",
    ):
        assert part in shown.message
    assert str(START["device_code"]) not in repr(shown)

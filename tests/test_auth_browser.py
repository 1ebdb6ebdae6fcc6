"""The browser flow: one listener on this machine, one answer that counts, no tokens left in the address bar."""

import http.client
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import anyio.to_thread
import httpx2
import pytest
from auth_browsers import free_ports
from auth_world import NOW, ORIGIN, Service, VirtualClock, session_in, stored

from kallyai_mcp.auth import callback, opener
from kallyai_mcp.auth.browser import BrowserFlow
from kallyai_mcp.auth.flow import Done, Pending
from kallyai_mcp.auth.sign_in import SignIn
from kallyai_mcp.errors import SignInFailed

pytestmark = pytest.mark.anyio
CODE = "/v1/auth/device/code"


@pytest.fixture
def ports() -> range:
    return free_ports()


@pytest.fixture(autouse=True)
def _time_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a listener that is closed be waited for: its thread may be held up for longer than a person would be."""
    monkeypatch.setattr(callback, "LINGER", 60.0)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def sign_in(tmp_path: Path, clock: VirtualClock, ports: range) -> Iterator[SignIn]:
    flow = SignIn(session_in(tmp_path, Service(), clock), ports=ports)
    yield flow
    anyio.run(flow.close)


def visit(
    pending: Pending, /, *, path: str = "/", method: str = "GET", host: str | None = None, **query: str
) -> tuple[int, Mapping[str, str], str]:
    """Do what the browser does with the answer's redirect; status, Location and body of what it gets."""
    target = urlsplit(parse_qs(urlsplit(pending.verification_uri).query)["redirect_uri"][0])
    connection = http.client.HTTPConnection("127.0.0.1", target.port or 0, timeout=60)
    with closing(connection):
        suffix = f"?{urlencode(query)}" if query else ""
        connection.request(method, path + suffix, headers={"Host": host or f"127.0.0.1:{target.port}"})
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read().decode()


def state_of(pending: Pending) -> str:
    return parse_qs(urlsplit(pending.verification_uri).query)["state"][0]


TOKENS = {"access_token": "at-s3cret", "refresh_token": "rt-s3cret", "expires_in": "3600"}


async def test_a_service_without_device_endpoint_is_signed_in_to_by_the_documented_redirect(
    sign_in: SignIn, ports: range
) -> None:
    pending = await sign_in.begin()
    address = urlsplit(pending.verification_uri)
    query = parse_qs(address.query)
    assert f"{address.scheme}://{address.netloc}{address.path}" == f"{ORIGIN}/v1/auth/cli"
    assert query["redirect_uri"] == [f"http://127.0.0.1:{ports.start}"]
    assert len(query["state"][0]) == 43
    assert (pending.flow, pending.user_code, pending.expires_in) == ("browser", None, 180)
    assert pending.verification_uri in pending.message


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(404, text="<html>"),
        httpx2.Response(405),
        httpx2.Response(401, json={"error": {"code": "missing_token"}}),
        httpx2.Response(403, text="no"),
        httpx2.Response(200, text="<html>the app</html>"),
        httpx2.Response(422, json={"detail": []}),
    ],
)
async def test_what_a_guessed_path_answers_without_a_device_code_means_there_is_none(
    tmp_path: Path, clock: VirtualClock, ports: range, answer: httpx2.Response
) -> None:
    sign_in = SignIn(session_in(tmp_path, Service().at(CODE, lambda _: answer), clock), ports=ports)
    assert (await sign_in.begin()).flow == "browser"
    await sign_in.close()


async def test_a_configured_endpoint_that_refuses_is_an_error_and_no_reason_for_another_flow(
    tmp_path: Path, clock: VirtualClock
) -> None:
    service = Service().at("/d", lambda _: httpx2.Response(401, json={"error": "invalid_client"}))
    changes = {"device_authorization_url": f"{ORIGIN}/d", "token_url": f"{ORIGIN}/t"}
    session = session_in(tmp_path, service, clock, **changes)
    with pytest.raises(SignInFailed, match="invalid_client"):
        await SignIn(session).begin()


async def test_the_tokens_are_taken_and_the_browser_is_sent_to_an_address_without_them(
    sign_in: SignIn, tmp_path: Path
) -> None:
    pending = await sign_in.begin()
    assert isinstance(await sign_in.poll(), Pending)
    status, headers, body = visit(pending, state=state_of(pending), **TOKENS)
    assert (status, headers["Location"], body) == (303, "/done", "")
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    status, headers, body = visit(pending, path="/done")
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "<script" not in body
    assert isinstance(await sign_in.poll(), Done)
    assert stored(tmp_path / "token.json") == {
        "access_token": "at-s3cret",
        "refresh_token": "rt-s3cret",
        "expires_at": int(NOW) + 3540,
    }
    with pytest.raises(ConnectionRefusedError):
        visit(pending, path="/done")


async def test_only_the_answer_with_the_right_state_counts(sign_in: SignIn, tmp_path: Path) -> None:
    pending = await sign_in.begin()
    state = state_of(pending)
    assert visit(pending, **TOKENS)[0] == 404
    assert visit(pending, state=state[:-1] + "*", **TOKENS)[0] == 404
    assert visit(pending, state="", error="access_denied")[0] == 404
    assert visit(pending, error="access_denied")[0] == 404
    assert visit(pending, path="/?state=%ff%ed%a0%80&access_token=a")[0] == 404
    assert visit(pending, state=state)[0] == 404
    assert visit(pending, path=f"/?state={state}&state={state}&access_token=a")[0] == 404
    assert visit(pending, path=f"/?state={state}&access_token=a&access_token=b")[0] == 404
    assert visit(pending, path="/other", state=state, **TOKENS)[0] == 404
    assert visit(pending, host="evil.example", state=state, **TOKENS)[0] == 421
    assert visit(pending, host="localhost", state=state, **TOKENS)[0] == 421
    assert visit(pending, method="POST", state=state, **TOKENS)[0] == 501
    assert isinstance(await sign_in.poll(), Pending)
    assert visit(pending, state=state, **TOKENS)[0] == 303
    assert visit(pending, state=state, access_token="another")[0] == 303
    visit(pending, path="/done")
    assert isinstance(await sign_in.poll(), Done)
    assert stored(tmp_path / "token.json")["access_token"] == "at-s3cret"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"error": "access_denied"}, "sign_in_denied"),
        ({"error": "s3cret <script>"}, "sign_in_failed"),
        ({"error": "access_denied", "access_token": "a"}, "sign_in_denied"),
        ({"access_token": ""}, "sign_in_failed"),
        ({"access_token": "a b"}, "sign_in_failed"),
    ],
)
async def test_an_answer_without_tokens_ends_the_sign_in(sign_in: SignIn, query: dict[str, str], code: str) -> None:
    pending = await sign_in.begin()
    location = visit(pending, state=state_of(pending), **query)[1]["Location"]
    assert visit(pending, path=location)[0] == 200
    with pytest.raises(SignInFailed) as failed:
        await sign_in.poll()
    assert failed.value.error_code == code
    assert "s3cret" not in failed.value.message


async def test_it_ends_after_three_minutes(sign_in: SignIn, clock: VirtualClock) -> None:
    with pytest.raises(SignInFailed) as failed:
        await sign_in.finish()
    assert failed.value.error_code == "sign_in_expired"
    assert clock.elapsed == pytest.approx(180)


async def test_a_busy_port_is_passed_over_and_none_left_is_an_error(clock: VirtualClock, ports: range) -> None:
    first = BrowserFlow(clock, ORIGIN, ports)
    second = BrowserFlow(clock, ORIGIN, ports)
    assert [f"127.0.0.1%3A{port}&" in flow.address for port, flow in zip(ports, (first, second), strict=True)] == [
        True,
        True,
    ]
    with pytest.raises(SignInFailed) as failed:
        BrowserFlow(clock, ORIGIN, ports)
    assert failed.value.error_code == "port_unavailable"
    await first.close()
    await BrowserFlow(clock, ORIGIN, ports).close()
    await second.close()


async def test_a_connection_that_sends_nothing_keeps_nobody_waiting(sign_in: SignIn, ports: range) -> None:
    pending = await sign_in.begin()
    with closing(socket.create_connection(("127.0.0.1", ports.start), timeout=60)):
        assert visit(pending, state=state_of(pending), **TOKENS)[0] == 303
        visit(pending, path="/done")
        assert isinstance(await sign_in.poll(), Done)


async def test_nothing_of_the_callback_is_printed(sign_in: SignIn, capfd: pytest.CaptureFixture[str]) -> None:
    pending = await sign_in.begin()
    visit(pending, path="/nothing", **TOKENS)
    visit(pending, state=state_of(pending), **TOKENS)
    visit(pending, path="/done")
    await sign_in.poll()
    assert capfd.readouterr() == ("", "")


class Shown:
    def __init__(self) -> None:
        self.shown: list[Pending] = []
        self.opened: list[str] = []

    async def show(self, pending: Pending) -> None:
        self.shown.append(pending)

    def open(self, address: str) -> bool:
        self.opened.append(address)
        return True


@pytest.mark.parametrize(("display", "no_browser", "opened"), [(True, False, 1), (False, False, 0), (True, True, 0)])
async def test_a_browser_is_opened_only_where_somebody_sees_it(
    tmp_path: Path, clock: VirtualClock, ports: range, display: bool, no_browser: bool, opened: int
) -> None:
    person = Shown()
    session = session_in(tmp_path, Service(), clock, display=display, no_browser=no_browser)
    sign_in = SignIn(session, prompter=person, opener=person.open, ports=ports)
    pending = await sign_in.begin()
    await sign_in.begin()
    await sign_in.close()
    assert person.shown == [pending]
    assert person.opened == [pending.verification_uri] * opened


async def test_the_browser_is_started_without_shell_output_or_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    seen = tmp_path / "seen"
    fake = tmp_path / "python"
    fake.write_text(f'#!/bin/sh\necho printed; echo "$@" > {seen}.part; env >> {seen}.part; mv {seen}.part {seen}\n')
    fake.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(fake))
    monkeypatch.setenv("KALLYAI_ACCESS_TOKEN", "s3cret")
    address = "https://kallyai.com/device?a=1&b=$(touch%20x);"
    assert opener.open_in_browser(address) is True

    def wait() -> str:
        while not seen.exists():
            time.sleep(0.01)
        return seen.read_text()

    with anyio.fail_after(60):
        text = await anyio.to_thread.run_sync(wait, abandon_on_cancel=True)
    assert text.startswith(f"-I -m webbrowser {address}\n")
    assert "s3cret" not in text
    assert capfd.readouterr() == ("", "")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    assert opener.open_in_browser(address) is False

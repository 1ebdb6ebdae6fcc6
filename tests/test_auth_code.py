"""A registered client signs in by authorization code: tried against the sandbox, and services that misbehave."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx2
import pytest
from auth_browsers import follow, free_ports, query_of
from auth_world import NOW, Service, VirtualClock, session_in, settings_in, stored
from sandbox_browser import ORIGIN, decide, still_world

from kallyai_mcp import catalog
from kallyai_mcp.auth.flow import Done, Pending
from kallyai_mcp.auth.http import Http
from kallyai_mcp.auth.session import Session
from kallyai_mcp.auth.sign_in import SignIn
from kallyai_mcp.engine.scopes import needed_scopes, scope_of
from kallyai_mcp.errors import InvalidSettings, SignInFailed
from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.scopes import ALL_SCOPES, needed_scope
from kallyai_mcp.settings import Settings

pytestmark = pytest.mark.anyio
CLIENT, SECRET = "kallyai_sandbox_client", "kallyai_sandbox_client_secret"
TOKEN_PATH = "/v1/auth/gpt/token"
SCOPES = needed_scopes(catalog.all_commands())


class Recording(httpx2.ASGITransport):
    """The sandbox, and what it was asked."""

    def __init__(self, app: object, asked: list[httpx2.Request]) -> None:
        super().__init__(app=app)  # pyright: ignore[reportArgumentType]  # an ASGI app, whose type httpx2 spells out
        self.asked = asked

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        return await super().handle_async_request(request)


@pytest.fixture
def asked() -> list[httpx2.Request]:
    return []


@pytest.fixture
def sandbox(asked: list[httpx2.Request]) -> Iterator[object]:
    with still_world() as world:
        yield create_app(world)


@pytest.fixture
async def browser(sandbox: object) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=Recording(sandbox, []), base_url=ORIGIN) as client:
        yield client


@pytest.fixture
def session(tmp_path: Path, sandbox: object, asked: list[httpx2.Request]) -> Session:
    settings = settings_in(tmp_path, api_url=ORIGIN, client_id=CLIENT, client_secret=SECRET)
    return Session(settings, http=Http(lambda: Recording(sandbox, asked)), clock=VirtualClock())


@pytest.fixture
async def sign_in(session: Session) -> AsyncGenerator[SignIn]:
    sign_in = SignIn(session, ports=free_ports(), scopes=SCOPES)
    yield sign_in
    await sign_in.close()


async def test_the_documented_flow_is_gone_through_with_state_pkce_and_an_exact_redirect(
    sign_in: SignIn, session: Session, browser: httpx2.AsyncClient, asked: list[httpx2.Request], tmp_path: Path
) -> None:
    pending = await sign_in.begin()
    assert asked == []
    assert pending.verification_uri.startswith(f"{ORIGIN}/v1/auth/authorize?")
    query = query_of(pending.verification_uri)
    assert query.keys() == {
        *("response_type", "client_id", "redirect_uri", "state", "scope", "code_challenge", "code_challenge_method")
    }
    assert (query["response_type"], query["client_id"], query["code_challenge_method"]) == ("code", CLIENT, "S256")
    assert query["scope"].split() == list(SCOPES)
    assert len(query["state"]) == 43
    assert SECRET not in pending.message

    answer = await decide(browser, pending.verification_uri.removeprefix(ORIGIN), "approve")
    assert await anyio.to_thread.run_sync(follow, answer.headers["location"]) == (303, "/done")
    await anyio.to_thread.run_sync(follow, f"{query['redirect_uri']}/done")
    assert isinstance(await sign_in.poll(), Done)

    (request,) = asked
    assert (request.method, request.url.path, request.url.query) == ("POST", TOKEN_PATH, b"")
    assert request.headers["content-type"].startswith("application/x-www-form-urlencoded")
    assert "authorization" not in request.headers
    form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
    verifier, code = form.pop("code_verifier"), form.pop("code")
    assert len(verifier) >= 43
    assert code == query_of(answer.headers["location"])["code"]
    assert form == {
        "grant_type": "authorization_code",
        "client_id": CLIENT,
        "client_secret": SECRET,
        "redirect_uri": query["redirect_uri"],
    }
    assert stored(tmp_path / "token.json")["access_token"].startswith("kallyai_sandbox_at_")
    assert session.facts().scopes == SCOPES


async def test_a_token_in_the_query_is_no_answer_to_this_flow(sign_in: SignIn, browser: httpx2.AsyncClient) -> None:
    pending = await sign_in.begin()
    query = query_of(pending.verification_uri)
    token = f"{query['redirect_uri']}/?access_token=a&state={query['state']}"
    assert (await anyio.to_thread.run_sync(follow, token))[0] == 404
    stranger = f"{query['redirect_uri']}/?code=a&state=other"
    assert (await anyio.to_thread.run_sync(follow, stranger))[0] == 404
    assert isinstance(await sign_in.poll(), Pending)
    answer = await decide(browser, pending.verification_uri.removeprefix(ORIGIN), "deny")
    await anyio.to_thread.run_sync(follow, answer.headers["location"])
    await anyio.to_thread.run_sync(follow, f"{query['redirect_uri']}/failed")
    with pytest.raises(SignInFailed) as failed:
        await sign_in.poll()
    assert failed.value.error_code == "sign_in_denied"


async def test_the_code_can_be_pasted_where_the_browser_is_elsewhere(
    sign_in: SignIn, browser: httpx2.AsyncClient
) -> None:
    pending = await sign_in.begin(paste=True)
    answer = await decide(browser, pending.verification_uri.removeprefix(ORIGIN), "approve")
    assert sign_in.paste(answer.headers["location"])
    assert isinstance(await sign_in.poll(), Done)


async def test_a_code_is_not_used_where_too_little_time_is_left_for_it(
    sign_in: SignIn, browser: httpx2.AsyncClient, asked: list[httpx2.Request]
) -> None:
    """It is good for one exchange; a call that must answer soon leaves that to the next one."""
    pending = await sign_in.begin(paste=True)
    answer = await decide(browser, pending.verification_uri.removeprefix(ORIGIN), "approve")
    assert sign_in.paste(answer.headers["location"])
    assert isinstance(await sign_in.wait(3, since=sign_in.completed), Pending)
    assert asked == []
    assert await sign_in.wait(30, since=sign_in.completed) is None
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (httpx2.Response(401, json={"error": "invalid_client"}), "secret is another"),
        (httpx2.Response(400, json={"error": "invalid_grant"}), "does not take the code"),
        (httpx2.Response(200, json={"access_token": "a b"}), "without tokens"),
        (httpx2.Response(200, text="<html>"), "without tokens|gave no answer"),
        (httpx2.Response(302, headers={"Location": "https://evil.example"}), "without tokens|gave no answer"),
        (httpx2.Response(503, text="s3cret"), "without tokens|gave no answer"),
    ],
)
async def test_a_refused_exchange_ends_the_sign_in_after_one_request(
    tmp_path: Path, answer: httpx2.Response, match: str
) -> None:
    service = Service().at(TOKEN_PATH, lambda _: answer)
    session = session_in(tmp_path, service, client_id="org", client_secret="s3cret-of-org")
    sign_in = SignIn(session, ports=free_ports())
    pending = await sign_in.begin()
    query = query_of(pending.verification_uri)
    assert sign_in.paste(f"{query['redirect_uri']}/?code=c-s3cret&state={query['state']}")
    with pytest.raises(SignInFailed, match=match) as failed:
        await sign_in.poll()
    assert "s3cret" not in f"{failed.value!r} {failed.value.as_dict()}"
    assert len(service.requests) == 1
    await sign_in.close()


async def test_it_refreshes_where_everybody_does(tmp_path: Path) -> None:
    def refreshed(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json={"access_token": "at-2", "refresh_token": "rt-2", "expires_in": 3600})

    service = Service().at("/v1/auth/refresh", refreshed)
    (tmp_path / "token.json").write_text(f'{{"access_token": "at-1", "refresh_token": "rt-1", "expires_at": {NOW}}}')
    (tmp_path / "token.json").chmod(0o600)
    assert await session_in(tmp_path, service, client_id="org", client_secret="s").token() == "at-2"
    assert [request.url.path for request in service.requests] == ["/v1/auth/refresh"]


def test_the_scopes_are_those_of_the_commands_and_written_with_a_colon() -> None:
    """The sandbox derives them on its own; public commands need none."""
    for command in catalog.all_commands():
        assert scope_of(command) == (None if command.public else needed_scope(command)), command.name
    assert set(SCOPES) < set(ALL_SCOPES)
    assert "billing:manage" not in SCOPES


@pytest.mark.parametrize("only", ["KALLYAI_CLIENT_ID", "KALLYAI_CLIENT_SECRET"])
def test_half_a_client_is_refused(only: str) -> None:
    with pytest.raises(InvalidSettings, match=f"{only} is set and KALLYAI_CLIENT_") as refused:
        Settings.read({only: "s3cret"})
    assert "s3cret" not in f"{refused.value} {refused.value.next_step}"


def test_the_secret_is_no_flag_and_not_in_the_representation() -> None:
    settings = Settings.read({"KALLYAI_CLIENT_ID": "org", "KALLYAI_CLIENT_SECRET": "s3cret"})
    assert (settings.client_id, settings.client_secret) == ("org", "s3cret")
    assert "s3cret" not in repr(settings)


def test_without_a_client_no_scope_is_asked_for(tmp_path: Path) -> None:
    async def begin() -> str:
        sign_in = SignIn(session_in(tmp_path), ports=free_ports(), scopes=SCOPES)
        pending = await sign_in.begin()
        await sign_in.close()
        return urlsplit(pending.verification_uri).query

    assert "scope" not in anyio.run(begin)

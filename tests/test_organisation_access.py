"""Who may use an organisation's endpoints: the check in front of every route, without a network."""

from __future__ import annotations

import hmac
import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from callers_world import FakeProvider, base64_of, encoded, key_of
from hosts import UNATTENDED
from joserfc.jwk import RSAKey
from starlette.routing import Route

from kallyai_mcp.auth.callers.policy import LEEWAY, Policy
from kallyai_mcp.auth.callers.provider import Provider
from kallyai_mcp.auth.callers.signed import SignedTokens
from kallyai_mcp.catalog import all_commands
from kallyai_mcp.errors import TransportError
from kallyai_mcp.exposure import exposed, surface
from kallyai_mcp.household.household import Household
from kallyai_mcp.household.member import Common
from kallyai_mcp.household.ring import codec_of
from kallyai_mcp.server import build_server, load_tools
from kallyai_mcp.server.http import Bound
from kallyai_mcp.server.http.application import Application
from kallyai_mcp.server.organisation.access import ENDPOINTS, OrganisationAccess, caller_of
from kallyai_mcp.server.organisation.elsewhere import NoPages
from kallyai_mcp.server.organisation.scopes import Scopes, only_reads
from kallyai_mcp.serving import HTTP, SSE, Serving
from kallyai_mcp.settings import Settings
from kallyai_mcp.shared import KeyRing, Shared, new_key
from kallyai_mcp.tool_settings import ToolSettings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
    from pathlib import Path

pytestmark = pytest.mark.anyio
ORIGIN = "https://mcp.example.com"
PUBLIC = {"/healthz", "/readyz", *(f"/.well-known/oauth-protected-resource{path}" for path in ("", *ENDPOINTS))}
SCOPES = Scopes("kallyai:read", "kallyai:act")
JSON = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "host", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
STREAM = {"Accept": "text/event-stream"}
SPELLINGS = ("kallyai_calls_make", "calls make", "calls-make", "Calls_Make", "  KALLYAI_CALLS_MAKE ", "calls  make")


class Nobody:
    """People of whom none may ever be asked for; what was asked is kept."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def account(self, ctx: Any, /) -> str:
        return "nobody" if ctx is None else "somebody"

    async def person(self, ctx: Any, /) -> Any:
        self.seen.append(ctx.request)
        raise TransportError("The test ends here.", next_step="Nothing.")

    @asynccontextmanager
    async def living(self, _: Any = None) -> AsyncGenerator[dict[str, Any]]:
        yield {}


class World:
    """A server behind the check, and a host that talks to it."""

    def __init__(self, people: Any = None, scopes: Scopes = SCOPES, surface: str = "direct") -> None:
        self.provider = FakeProvider()
        self.people = Nobody() if people is None else people
        policy = Policy(self.provider.issuer, frozenset(f"{ORIGIN}{path}" for path in ENDPOINTS))
        tokens = SignedTokens(Provider(self.provider.issuer, self.provider.http), policy)
        access = OrganisationAccess(ORIGIN, self.provider.issuer, tokens, scopes)
        exposure = exposed(ToolSettings(surface=surface))
        server = build_server(load_tools(exposure), self.people, exposure=exposure)
        options = Serving(transport=(HTTP, SSE))
        self.application = Application(server, options, access, Bound("0.0.0.0", 8765), stateless=True)  # noqa: S104 - as an organisation does
        self.host = httpx2.AsyncClient(transport=httpx2.ASGITransport(self.application), base_url=ORIGIN)

    async def call(self, token: str | None, tool: str, /, **arguments: Any) -> httpx2.Response:
        meta = META
        return await self.send(token, "tools/call", {"Mcp-Name": tool}, name=tool, arguments=arguments, _meta=meta)

    async def send(self, token: str | None, method: str, more: dict[str, str], /, **params: Any) -> httpx2.Response:
        headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method, **more, **JSON}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return await self.host.post("/mcp", json=body, headers=headers)


@asynccontextmanager
async def world(**options: Any) -> AsyncGenerator[World]:
    made = World(**options)
    async with made.application.living(), made.host:
        yield made


def bad_tokens(provider: FakeProvider) -> dict[str, str]:
    good = provider.token(scope="kallyai:read kallyai:act")
    body = good.split(".")[1]
    confused = f"{encoded({'alg': 'HS256', 'typ': 'at+jwt', 'kid': 'one'})}.{body}"
    public = RSAKey.import_key(provider.keys[0]).as_pem(private=False)
    return {
        "of another audience": provider.token(aud="https://other.example.com/mcp"),
        "over": provider.token(exp=int(time.time()) - 60),
        "of another issuer": provider.token(iss="https://evil.example.com"),
        "unsigned": f"{encoded({'alg': 'none', 'typ': 'at+jwt', 'kid': 'one'})}.{body}.",
        "signed with the public key": f"{confused}.{base64_of(hmac.digest(public, confused.encode(), 'sha256'))}",
        "signed by somebody": provider.token(key=RSAKey.import_key(key_of("two"))),
        "an identity token": provider.token(header={"typ": "JWT"}),
        "no token": "x",
    }


async def test_no_route_is_open_but_those_without_data() -> None:
    async with world() as here:
        paths = {route.path for route in here.application.routes if isinstance(route, Route)}
        assert len(paths) == len(here.application.routes)
        assert paths > PUBLIC
        guarded = paths - PUBLIC
        assert guarded == {"/mcp", "/sse", "/messages"}
        good = here.provider.token(scope="kallyai:read kallyai:act")
        bad = {"none": None, **bad_tokens(here.provider)}
        for path in sorted(guarded):
            for method in ("GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS"):
                for name, token in bad.items():
                    headers = JSON if token is None else JSON | {"Authorization": f"Bearer {token}"}
                    answer = await here.host.request(method, path, headers=headers, content=b"{}")
                    assert answer.status_code == 401, (method, path, name)
                    challenge = answer.headers["www-authenticate"]
                    endpoint = "/mcp" if path == "/mcp" else "/sse"
                    assert f'resource_metadata="{ORIGIN}/.well-known/oauth-protected-resource{endpoint}"' in challenge
                    assert 'scope="kallyai:read"' in challenge
                    assert ('error="invalid_token"' in challenge) is (token is not None)
                answer = await here.host.request(method, f"{path}?access_token={good}", headers=JSON)
                assert answer.status_code == 401
            twice = [("Authorization", f"Bearer {good}"), ("Authorization", f"Bearer {good}")]
            assert (await here.host.post(path, headers=twice)).status_code == 401
            both = await here.host.post(f"{path}?access_token=x", headers={"Authorization": f"Bearer {good}"})
            assert both.status_code == 400
            for scheme in ("Basic", "DPoP", "Bearer ", ""):
                headers = {"Authorization": f"{scheme} {good}" if scheme != "Bearer " else "Bearer"}
                assert (await here.host.post(path, headers=headers)).status_code == 401
        assert here.people.seen == []


async def test_a_good_token_lets_its_caller_in_and_goes_no_further() -> None:
    async with world() as here:
        token = here.provider.token(scope="kallyai:read", sub="ann")
        for scheme in ("Bearer", "bearer", "BEARER"):
            headers = {"Authorization": f"{scheme} {token}"}
            here.host.headers.update(headers)
            answer = await here.call(None, "kallyai_credits_balance")
            assert answer.json()["result"]["structuredContent"]["error"]["message"] == "The test ends here."
        for request in here.people.seen:
            caller = caller_of(request)
            assert caller is not None
            assert caller.principal.subject == "ann"
            assert "authorization" not in request.headers
            assert token not in repr(request.scope)
            assert request.scope["user"].access_token.token == ""


async def test_what_a_token_does_not_allow_is_asked_for_all_at_once() -> None:
    async with world() as here:
        read, act = (here.provider.token(scope=scope) for scope in ("kallyai:read", "kallyai:act other"))
        for command in all_commands():
            answer = await here.call(read, command.tool)
            assert (answer.status_code == 403) is not only_reads(command), command.tool
            if answer.status_code == 403:
                challenge = answer.headers["www-authenticate"]
                assert 'error="insufficient_scope"' in challenge
                assert 'scope="kallyai:read kallyai:act"' in challenge
                assert f'resource_metadata="{ORIGIN}/.well-known/oauth-protected-resource/mcp"' in challenge
            assert (await here.call(act, command.tool)).status_code == 200
        neither = await here.call(here.provider.token(scope="openid"), "kallyai_credits_balance")
        assert neither.status_code == 403
        for spelling in SPELLINGS:
            inner = await here.call(read, surface.RUN, tool=spelling, arguments='{"phone": "+15550100"}')
            assert inner.status_code == 403, spelling
        headers = {"Authorization": f"Bearer {read}", "MCP-Protocol-Version": "2025-06-18", **JSON}
        params = '{"name": "kallyai_calls_make", "arguments": {"task": "\\ud83d \xff"}}'
        body = f'{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {params}}}'.encode("latin-1")
        for text in (body, b"[" + body + b"]"):  # mended by whoever reads it next
            assert (await here.host.post("/mcp", content=text, headers=headers)).status_code == 403


async def test_whoever_begins_with_an_act_is_asked_at_once_for_all_that_it_takes() -> None:
    async with world() as here:
        for command in all_commands():
            answer = await here.host.post("/mcp", headers=JSON | {"Mcp-Name": command.tool}, content=b"{}")
            wanted = "kallyai:read" if only_reads(command) else "kallyai:read kallyai:act"
            assert f'scope="{wanted}"' in answer.headers["www-authenticate"], command.tool
        for name in ("nothing", "", "kallyai_credits_balance, x"):
            answer = await here.host.post("/mcp", headers=JSON | {"Mcp-Name": name}, content=b"{}")
            assert 'scope="kallyai:read"' in answer.headers["www-authenticate"]


class Lax(Scopes):
    """Lets everything pass at the door, so that what stands behind it is seen."""

    def missing(self, granted: Iterable[str], body: bytes) -> bool:
        del granted, body
        return False


async def test_behind_the_door_the_scope_of_the_tool_that_is_run_counts_by_whatever_name(tmp_path: Path) -> None:
    settings = Settings.read(
        {
            **UNATTENDED,
            "KALLYAI_API_URL": "http://127.0.0.1:9",
            "KALLYAI_ORGANISATION": "1",
            "KALLYAI_PUBLIC_URL": ORIGIN,
            "KALLYAI_ISSUER": "https://idp.example.com",
            "KALLYAI_EMBEDDED_STORAGE": "1",
        }
    )
    key = new_key()
    async with Shared.open(None, KeyRing.read(key), folder=tmp_path) as shared:
        common = Common(shared, codec_of(key), SCOPES, lambda _: None, NoPages(), None, f"at {ORIGIN}")
        people = Household(settings, common)
        lax = Lax(SCOPES.read, SCOPES.act)
        async with world(people=people, scopes=lax, surface="search") as here:
            tokens = [here.provider.token(scope=scope) for scope in ("kallyai:read", "kallyai:act")]
            for spelling in SPELLINGS:
                codes: list[str] = []
                for token in tokens:
                    given = {"tool": spelling, "arguments": {"phone": "nowhere", "task": "Say hello"}}
                    answer = await here.call(token, surface.RUN, **given)
                    codes.append(answer.json()["result"]["structuredContent"]["error"]["code"])
                assert codes == ["insufficient_scope", "invalid_arguments"], "the second got as far as the engine"
        await people.aclose()


async def test_a_stream_ends_with_the_token_with_which_its_host_came() -> None:
    async with world() as here:
        wanted = {"toolsListChanged": True}

        async def listen(token: str) -> httpx2.Response:
            return await here.send(token, "subscriptions/listen", {}, notifications=wanted, _meta=META)

        async def hear(token: str) -> httpx2.Response:
            return await here.host.get("/sse", headers={"Authorization": f"Bearer {token}", **STREAM})

        with anyio.fail_after(90):
            token, stream = await let_in(here, listen)
            told = [json.loads(line[6:]) for line in stream.text.splitlines() if line.startswith("data: ")]
            assert told[0]["method"] == "notifications/subscriptions/acknowledged"
            assert told[-1]["id"] == 1
            assert "result" in told[-1], "it ends as a stream does that is no longer served"
        assert (await listen(token)).status_code == 401
        with anyio.fail_after(90):
            token, stream = await let_in(here, hear)
            assert "event: endpoint" in stream.text
        assert (await hear(token)).status_code == 401


async def let_in(here: World, ask: Callable[[str], Awaitable[httpx2.Response]]) -> tuple[str, httpx2.Response]:
    """Ask for a stream with a token that is over soon; with a longer one, where it was over before it arrived."""
    for seconds in (2, 10, 40):
        token = here.provider.token(exp=int(time.time() - LEEWAY) + seconds)
        stream = await ask(token)
        if stream.status_code == 200:
            return token, stream
        assert stream.status_code == 401
    raise AssertionError("no token lasted long enough")


def test_nothing_that_acts_counts_as_reading() -> None:
    reading = {command.tool for command in all_commands() if only_reads(command)}
    for command in all_commands():
        if command.annotations["destructiveHint"] and command.method is not None:
            assert command.tool not in reading
    assert {"kallyai_stop", "kallyai_login", "kallyai_acts"} <= reading
    assert not {"kallyai_mandate", "kallyai_calls_make", "kallyai_search_run"} & reading


async def test_the_metadata_names_exactly_what_the_settings_name() -> None:
    async with world() as here:
        for path, resource in (("", "/mcp"), ("/mcp", "/mcp"), ("/sse", "/sse")):
            answer = await here.host.get(f"/.well-known/oauth-protected-resource{path}")
            assert answer.json()["resource"] == f"{ORIGIN}{resource}"
            assert answer.json()["authorization_servers"] == [here.provider.issuer]
            assert answer.json()["scopes_supported"] == ["kallyai:read", "kallyai:act"]
            assert answer.json()["bearer_methods_supported"] == ["header"]


async def test_while_the_provider_is_away_nobody_new_is_let_in_and_nobody_is_told_their_token_is_bad() -> None:
    async with world() as here:
        token = here.provider.token()
        here.provider.answers["/.well-known/openid-configuration"] = lambda _: httpx2.Response(503)
        answer = await here.call(token, "kallyai_credits_balance")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert json.loads(answer.content)["error"] == "temporarily_unavailable"
        assert here.people.seen == []


async def test_another_host_name_is_no_way_in() -> None:
    async with world() as here:
        token = here.provider.token()
        for host in ("evil.example.com", "127.0.0.1:8765", "mcp.example.com.evil.com", "mcp.example.com:444"):
            answer = await here.host.get("/.well-known/oauth-protected-resource/mcp", headers={"Host": host})
            assert answer.status_code == 421
            answer = await here.host.post("/mcp", headers={"Host": host, "Authorization": f"Bearer {token}"})
            assert answer.status_code == 421

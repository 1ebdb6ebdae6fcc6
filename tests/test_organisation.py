"""People of an organisation at its replicas: discovery to the first tool call, consent, isolation, a kill."""

from __future__ import annotations

import random
import re
import signal
import sqlite3
import time
from collections import Counter
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urljoin, urlsplit

import anyio
import httpx2
import pytest
from full import share
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from mcp_types import ElicitRequestParams, ElicitResult
from organisation_world import BALANCE, ERRAND, FORMS, URLS, Host, Organisation, answer_of, message, organisation
from ports import free_port
from provider_world import TestProvider, provider
from pydantic import AnyUrl
from sandbox_browser import decide, hidden_fields

from kallyai_mcp.auth.callers.policy import LEEWAY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from pathlib import Path

    from mcp.client import ClientRequestContext
    from postgres_world import Cluster

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def idp(tmp_path_factory: pytest.TempPathFactory) -> Generator[TestProvider]:
    with provider(tmp_path_factory.mktemp("idp")) as found:
        yield found


@pytest.fixture(scope="module")
def us(cluster: Cluster, idp: TestProvider, tmp_path_factory: pytest.TempPathFactory) -> Generator[Organisation]:
    """Two replicas on a database of their own; acts are asked about."""
    name = cluster.new()
    folder = tmp_path_factory.mktemp("us")
    more = {"KALLYAI_APPROVAL": "ask", "KALLYAI_TRANSPORT": "http,sse"}
    with organisation(folder, cluster.url(name), idp=idp, more=more) as made:
        yield made
    cluster.drop(name)


class Storage:
    """Keeps what the SDK's client gets."""

    def __init__(self, client: OAuthClientInformationFull | None) -> None:
        self.tokens: OAuthToken | None = None
        self.client = client

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


async def sign_in(address: str, person: str, callback: str) -> str:
    """Go through the provider's pages as a person, and return where the browser ends."""
    async with httpx2.AsyncClient(timeout=60) as browser:
        for _ in range(12):
            page = await browser.get(address)
            while page.status_code in {302, 303}:
                address = urljoin(str(page.url), page.headers["location"])
                if address.startswith(callback):
                    return address
                page = await browser.get(address)
            action = re.search(r'action="([^"]+)"', page.text)
            assert action is not None, page.text
            fields = hidden_fields(page.text) | {"login": person, "password": "x"}
            answer = await browser.post(urljoin(str(page.url), action[1]), data=fields)
            assert answer.status_code in {302, 303}, answer.text
            address = urljoin(str(answer.url), answer.headers["location"])
            if address.startswith(callback):
                return address
    raise AssertionError("the provider never came back")


@asynccontextmanager
async def signed_in(us: Organisation, person: str, *, registered: bool) -> AsyncGenerator[Client]:
    """Give the SDK's own client, which has found everything out by itself."""
    callback = f"http://127.0.0.1:{free_port()}/callback"
    back: list[str] = []
    asked: list[str] = []

    async def open_browser(address: str) -> None:
        asked.append(address)
        back.append(await sign_in(address, person, callback))

    async def come_back() -> AuthorizationCodeResult:
        told = parse_qs(urlsplit(back[-1]).query)
        return AuthorizationCodeResult(code=told["code"][0], state=told["state"][0], iss=told["iss"][0])

    uris = [AnyUrl(callback)]
    client = OAuthClientInformationFull(client_id="host", redirect_uris=uris, token_endpoint_auth_method="none")
    wanted = OAuthClientMetadata(
        client_name="Host", redirect_uris=uris, token_endpoint_auth_method="none", application_type="native"
    )
    oauth = OAuthClientProvider(us.resource, wanted, Storage(client if registered else None), open_browser, come_back)
    async with (
        httpx2.AsyncClient(auth=oauth, timeout=60, follow_redirects=True) as http,
        Client(streamable_http_client(us.resource, http_client=http), elicitation_callback=agree) as host,
    ):
        yield host
    if registered:
        first, second = (set(parse_qs(urlsplit(address).query)["scope"][0].split()) for address in asked)
        assert (first & {"kallyai:read", "kallyai:act"}) == {"kallyai:read"}
        assert second >= {"kallyai:read", "kallyai:act"}


async def agree(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    """Be a person who agrees to everything."""
    del context, params
    return ElicitResult(action="accept", content={})


@pytest.mark.parametrize("registered", [True, False])
async def test_a_host_that_knows_only_the_address_walks_to_its_first_tool_call(
    us: Organisation, registered: bool
) -> None:
    await us.link("walker")
    async with signed_in(us, "walker", registered=registered) as host:
        assert len((await host.list_tools()).tools) > 120
        result = await host.call_tool(BALANCE, {})
        assert result.structured_content is not None
        assert result.structured_content["owner"] == "walker"
        if not registered:
            return  # the SDK's client registers for the scope of the first challenge, and the provider holds it to that
        # Only reading was asked for so far: acting is asked for when it is needed, and then granted.
        result = await host.call_tool(ERRAND, {"description": f"Fetch the parcel, {registered}"})
        assert not result.is_error, result.content


async def test_consent_is_asked_at_one_replica_and_given_at_another(us: Organisation) -> None:
    await us.link("ann", "bob")
    wish = {"description": f"Fetch the parcel of {time.time_ns()}"}
    async with Host(us, us.token("ann")) as ann, Host(us, us.token("bob")) as bob:
        asked = await ann.call(0, ERRAND, can=FORMS, **wish)
        assert list(asked["inputRequests"]) == ["consent"]
        stolen = await bob.retry(1, ERRAND, FORMS, asked, "accept", **wish)
        assert stolen["data"] == {"reason": "invalid_request_state"}
        done = await ann.retry(1, ERRAND, FORMS, asked, "accept", **wish)
        assert done["structuredContent"]["owner"] == "ann", done
        for replica in (0, 1, 0):
            again = await ann.retry(replica, ERRAND, FORMS, asked, "accept", **wish)
            assert again["structuredContent"]["error"]["code"] == "approval_used"
        sent = [one for one in us.requests() if wish["description"] in one["body"] and one["path"].endswith("/errand")]
        assert [one["headers"]["authorization"] for one in sent] == ["Bearer at-ann"]
        # What one person did is nowhere in what another can see or name.
        acts = (await ann.call(0, "kallyai_acts"))["structuredContent"]["acts"]
        mine = next(act["id"] for act in acts if act["tool"] == ERRAND)
        others = await bob.call(1, "kallyai_acts")
        assert others["structuredContent"]["acts"] == []
        repeated = await bob.call(0, ERRAND, can=FORMS, _repeat_of=mine, **wish)
        unknown = await bob.call(0, ERRAND, can=FORMS, _repeat_of="0" * len(mine), **wish)
        assert repeated["structuredContent"]["error"]["code"] == "invalid_arguments"
        assert repeated == unknown


async def test_a_stop_holds_at_every_replica_and_for_its_person_alone(us: Organisation) -> None:
    await us.link("cleo", "dan")
    async with Host(us, us.token("cleo")) as cleo, Host(us, us.token("dan")) as dan:
        await cleo.call(0, "kallyai_stop")
        for replica in (0, 1):
            refused = await cleo.call(replica, ERRAND, can=FORMS, description="Fetch the parcel from the shop")
            assert refused["structuredContent"]["error"]["code"] == "stopped"
        asked = await dan.call(1, ERRAND, can=FORMS, description="Fetch the parcel from the shop")
        assert "consent" in asked["inputRequests"]


async def test_no_token_of_a_caller_is_ever_sent_on_or_written_down(us: Organisation) -> None:
    await us.link("eve")
    token = us.token("eve")
    numbers = iter(range(share(100, 10_000)))

    async def ask() -> None:
        for number in numbers:
            await eve.call(number % 2, BALANCE)

    async with Host(us, token) as eve, anyio.create_task_group() as group:
        for _ in range(16):
            group.start_soon(ask)
    secret = token.rpartition(".")[2]
    assert us.record is not None
    assert secret not in us.record.read_text()
    assert secret not in us.log()
    assert len([one for one in us.requests() if one["headers"]["authorization"] == "Bearer at-eve"]) >= 100


@pytest.mark.parametrize("version", ["2025-03-26", "2025-06-18", "2025-11-25"])
async def test_a_host_of_an_older_version_is_served_by_any_replica_without_a_session(
    us: Organisation, version: str
) -> None:
    await us.link("old")
    headers = {
        "Host": us.origin.partition("://")[2],
        "Authorization": f"Bearer {us.token('old')}",
        "Accept": "application/json, text/event-stream",
    }
    hello = {"protocolVersion": version, "capabilities": FORMS, "clientInfo": {"name": "old", "version": "1"}}
    async with httpx2.AsyncClient(timeout=60, headers=headers) as http:

        async def send(replica: int, method: str, **params: Any) -> httpx2.Response:
            body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            return await http.post(f"http://127.0.0.1:{us.ports[replica]}/mcp", json=body)

        greeting = await send(0, "initialize", **hello)
        assert "mcp-session-id" not in greeting.headers
        assert answer_of(greeting)["protocolVersion"] == version
        http.headers["MCP-Protocol-Version"] = version
        for replica in (1, 0):
            result = answer_of(await send(replica, "tools/call", name=BALANCE, arguments={}))
            assert result["structuredContent"]["owner"] == "old"
        asked = answer_of(await send(1, "tools/call", name=ERRAND, arguments={"description": "Fetch the parcel"}))
        assert "approval_required" in asked["content"][0]["text"]


@pytest.mark.parametrize("transport", ["http", "sse"])
async def test_an_open_stream_ends_with_its_token(us: Organisation, transport: str) -> None:
    endpoint = f"{us.origin}/{'mcp' if transport == 'http' else 'sse'}"
    body = message("", {})
    params = {"notifications": {"toolsListChanged": True}, "_meta": body["params"]["_meta"]}
    body |= {"method": "subscriptions/listen", "params": params}
    async with httpx2.AsyncClient(timeout=60) as http:
        http.headers["Accept"] = "application/json, text/event-stream"
        if transport == "http":
            http.headers |= {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"}
        for seconds in (3, 12, 48):  # a token that is over before it arrives opens no stream
            token = us.idp.token("reader", endpoint, seconds=seconds - int(LEEWAY))
            http.headers["Authorization"] = f"Bearer {token}"
            request = http.build_request("GET", endpoint)
            if transport == "http":
                request = http.build_request("POST", endpoint, json=body)
            answer = await http.send(request, stream=True)
            if answer.status_code != 401:
                break
            await answer.aclose()
        assert answer.status_code == 200
        told = (await answer.aread()).decode()  # to its end, which is a whole one
        assert "acknowledged" in told if transport == "http" else "event: endpoint" in told
        assert (await http.send(request)).status_code == 401


async def test_in_a_sandbox_everybody_has_an_account_of_their_own(idp: TestProvider, tmp_path: Path) -> None:
    more = {"KALLYAI_SANDBOX": "1", "KALLYAI_APPROVAL": "off"}
    with organisation(tmp_path, None, replicas=1, idp=idp, api="https://api.kallyai.com", more=more) as us:
        left: dict[str, float] = {}
        origins: set[str] = set()
        for name in ("ann", "bob"):
            async with Host(us, us.token(name)) as host:
                asked = await host.call(0, BALANCE, can=URLS)
                address: str = asked["inputRequests"]["sign_in"]["params"]["url"]
                page = urlsplit(address)
                origins.add(page.netloc)
                async with httpx2.AsyncClient(base_url=f"http://{page.netloc}") as kallyai:
                    await decide(kallyai, f"{page.path}?{page.query}", "approve")
                result = await host.retry(0, BALANCE, URLS, asked, "accept")
                left[name] = result["structuredContent"]["credits_remaining"]
                if name == "ann":
                    done = await host.call(0, ERRAND, description="Fetch the parcel from the post office")
                    assert not done["isError"], done
        assert left["ann"] == left["bob"]
        assert len(origins) == 2


async def test_whose_tokens_do_not_open_links_anew(idp: TestProvider, tmp_path: Path) -> None:
    more = {"KALLYAI_SANDBOX": "1"}
    with organisation(tmp_path, None, replicas=1, idp=idp, api="https://api.kallyai.com", more=more) as us:
        await us.link("ann", "bob")
        with closing(sqlite3.connect(tmp_path / "state" / "acts.db", isolation_level=None)) as file:
            others = "(SELECT sealed FROM token WHERE account = ?)"
            swap = f"UPDATE token SET sealed = {others} WHERE account = ?"  # noqa: S608 - two constants
            file.execute(swap, (us.principal("bob").key, us.principal("ann").key))
        async with Host(us, us.token("ann")) as host, httpx2.AsyncClient() as kallyai:
            refused = await host.call(0, BALANCE)
            assert refused["structuredContent"]["error"]["code"] == "vault_unusable"
            begun = (await host.call(0, "kallyai_login"))["structuredContent"]
            address: str = begun["verification_uri_complete"]
            page = urlsplit(address)
            kallyai.base_url = f"http://{page.netloc}"
            await decide(kallyai, f"{page.path}?{page.query}", "approve")
            while (await host.call(0, "kallyai_login"))["structuredContent"]["status"] == "pending":  # noqa: ASYNC110 - the other side is another process
                await anyio.sleep(0.5)
            assert not (await host.call(0, BALANCE))["isError"]


@pytest.mark.parametrize("people", [share(10, 200)])
async def test_no_answer_holds_a_byte_of_another_person_while_a_replica_is_killed(
    cluster: Cluster, idp: TestProvider, tmp_path: Path, people: int
) -> None:
    runs = share(6, 50)
    names = [f"p{number:03d}x" for number in range(people)]
    name = cluster.new()
    with organisation(tmp_path, cluster.url(name), replicas=share(2, 4), idp=idp) as us:
        await us.link(*names)
        tokens = {name: us.token(name) for name in names}
        storm = Storm(us, names, runs)
        started = time.monotonic()
        async with anyio.create_task_group() as group:
            for person in names:
                group.start_soon(storm.be, person, tokens[person])
            await storm.reached(people * runs // 2)
            us.processes[-1].send_signal(signal.SIGKILL)
            storm.killed = True
        seconds = time.monotonic() - started
        storm.check()
        print(f"{people} people, {runs} runs each, {seconds:.1f} s, {dict(storm.count)}")  # noqa: T201 - a figure for whoever asks
    cluster.drop(name)


class Storm:
    """Many people who run tools at the same time, with the same JSON-RPC ids."""

    def __init__(self, us: Organisation, names: list[str], runs: int) -> None:
        self._us = us
        self._runs = runs
        self._names = names
        self._slots = anyio.CapacityLimiter(64)
        self._done = 0
        self._chance = random.Random(7)  # noqa: S311 - which replica is asked
        self.count: Counter[str] = Counter()
        self.foreign: list[str] = []
        self.acknowledged: set[str] = set()
        self.wished: set[str] = set()
        self.killed = False

    async def reached(self, number: int) -> None:
        while self._done < number:  # noqa: ASYNC110 - polled by the test alone
            await anyio.sleep(0.02)

    async def be(self, person: str, token: str) -> None:
        async with Host(self._us, token) as host:
            for number in range(1, self._runs + 1):
                async with self._slots:
                    await self._run(host, person, number)
                self._done += 1

    async def _run(self, host: Host, person: str, number: int) -> None:
        acts = number % 4 == 0
        wish = f"Fetch parcel {number} for canary-{person}"
        body = message(ERRAND, {"description": wish}, number=number) if acts else message(BALANCE, {}, number=number)
        if acts:
            self.wished.add(wish)
        for _ in range(10):
            replica = self._chance.randrange(len(self._us.ports) - self.killed)
            try:
                response = await host.post(replica, body)
            except httpx2.HTTPError:
                self.count["cut"] += 1
                if not self.killed:
                    await anyio.sleep(0.2)
                continue
            if found := set(re.findall(r"canary-(\w+)|task-(\w+?)-", response.text)):
                names = {one or other for one, other in found}
                if names != {person}:
                    self.foreign.append(response.text)
            result = answer_of(response)
            code = result.get("structuredContent", result).get("error", {}).get("code", "ok")
            self.count[str(code)] += 1
            if acts and code == "ok":
                self.acknowledged.add(wish)
            if not acts and code != "ok":
                continue
            return

    def check(self) -> None:
        assert self.foreign == []
        sent = Counter[str]()
        for one in self._us.requests():
            owner = one["headers"]["authorization"].removeprefix("Bearer at-")
            for name in re.findall(r"canary-(\w+)", one["body"]):
                assert name == owner
            for wish in self.wished:
                if wish in one["body"] and one["path"].endswith("/errand"):
                    sent[wish] += 1
        assert all(number == 1 for number in sent.values()), sent.most_common(3)
        assert self.acknowledged <= set(sent)
        assert self.count["ok"] >= len(self._names) * self._runs * 0.9

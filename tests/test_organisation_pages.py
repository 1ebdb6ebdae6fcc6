"""Pages of an organisation's server: linking and approving, by the person whose it is and nobody else."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import httpx2
import pytest
from organisation_world import BALANCE, ERRAND, URLS, Host, Organisation, organisation
from provider_world import TestProvider, provider
from sandbox_browser import decide, hidden_fields
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from test_sandbox_browser import chromium, heading, wait

from kallyai_mcp.journal import ALL, Journal
from kallyai_mcp.journal.postgresql import PostgreSQL
from kallyai_mcp.sandbox.serve import SandboxOptions, serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Mapping
    from pathlib import Path

    from postgres_world import Cluster

pytestmark = pytest.mark.anyio
PAGES = {"KALLYAI_PAGES_CLIENT_ID": "pages", "KALLYAI_PAGES_CLIENT_SECRET": "pages-secret-for-tests+/="}
VISIT = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.fixture(scope="module")
def idp(tmp_path_factory: pytest.TempPathFactory) -> Generator[TestProvider]:
    with provider(tmp_path_factory.mktemp("idp")) as found:
        yield found


@asynccontextmanager
async def house(
    cluster: Cluster, database: str, idp: TestProvider, folder: Path, pages: Mapping[str, str] = PAGES
) -> AsyncGenerator[Organisation]:
    """Give two replicas with pages, in front of a sandbox."""
    options = SandboxOptions.repeatable()
    async with serving(options) as sandbox:
        more = {"KALLYAI_APPROVAL": "ask", **pages}
        with organisation(folder, cluster.url(database), idp=idp, api=sandbox.origin, more=more) as us:
            yield us


class Browser:
    """A person's browser, without a screen."""

    def __init__(self, us: Organisation, person: str) -> None:
        self._person = person
        self._us = us
        self.http = httpx2.AsyncClient(timeout=60, follow_redirects=True)

    async def __aenter__(self) -> Browser:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def open(self, address: str) -> httpx2.Response:
        """Open an address, and go through the provider's pages if they come up."""
        page = await self.http.get(address, headers=VISIT)
        while str(page.url).startswith(self._us.idp.issuer):
            action = re.search(r'action="([^"]+)"', page.text)
            assert action is not None, page.text
            fields = hidden_fields(page.text) | {"login": self._person, "password": "x"}
            page = await self.http.post(urljoin(str(page.url), action[1]), data=fields)
        return page

    async def send(self, page: httpx2.Response, decision: str, **headers: str) -> httpx2.Response:
        """Send the form of a page."""
        given = {"Origin": self._us.origin, "Sec-Fetch-Site": "same-origin"} | headers
        fields = hidden_fields(page.text) | {"decision": decision}
        return await self.http.post(str(page.url), data=fields, headers=given)


async def test_accounts_are_linked_and_acts_approved_by_those_whose_they_are(
    cluster: Cluster, database: str, idp: TestProvider, tmp_path: Path
) -> None:
    async with (
        house(cluster, database, idp, tmp_path) as us,
        Host(us, us.token("alice")) as alice,
        Host(us, us.token("bob")) as bob,
        Browser(us, "alice") as hers,
        Browser(us, "bob") as his,
    ):
        # Linking: begun at one replica, shown by the other, ended at the first.
        asked = await alice.call(1, BALANCE, can=URLS)
        address = asked["inputRequests"]["sign_in"]["params"]["url"]
        assert address.startswith(f"{us.origin}/link/")
        strange = await his.open(address)
        assert strange.status_code == 404
        assert "There is nothing here for you" in strange.text
        nothing = await his.open(f"{us.origin}/link/{'x' * 32}")
        assert nothing.text.replace("x" * 32, "") == strange.text.replace(address.rpartition("/")[2], "")
        page = await hers.open(address)
        assert page.status_code == 200
        assert page.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        code = re.search(r"<strong>([A-Z]{4}-[A-Z]{4})</strong>", page.text)
        onward = re.search(r'href="(http://127\.0\.0\.1[^"]+/activate[^"]*)"', page.text)
        assert code is not None
        assert onward is not None
        assert code[1] in asked["inputRequests"]["sign_in"]["params"]["message"]
        async with httpx2.AsyncClient(base_url=us.api) as kallyai:
            approved = await decide(kallyai, onward[1].removeprefix(us.api).replace("&amp;", "&"), "approve")
        assert approved.status_code == 200
        done = await alice.retry(0, BALANCE, URLS, asked, "accept")
        assert "credits_remaining" in done["structuredContent"], done
        for replica in (0, 1):
            assert "credits_remaining" in (await alice.call(replica, BALANCE))["structuredContent"]
        others = await bob.call(0, BALANCE, can=URLS)
        assert others["inputRequests"]["sign_in"]["params"]["url"] != address
        rows = cluster.sql(database, "SELECT account FROM kallyai.token WHERE sealed <> ''")
        assert [row["account"] for row in rows] == [us.principal("alice").key]

        # Approving where a host cannot ask.
        wish: dict[str, Any] = {"description": "Fetch the parcel from the post office"}
        needed = await alice.call(1, ERRAND, **wish)
        where = needed["structuredContent"]["error"]["approve_at"]
        assert where.startswith(f"{us.origin}/approve/")
        assert (await his.open(where)).status_code == 404
        page = await hers.open(where)
        assert "post office" in page.text
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert (await hers.send(page, "approve", **headers)).status_code == 403
        assert (await hers.http.post(where, data={"token": "x" * 43, "decision": "approve"})).status_code == 403
        forged = {"token": "x" * 43, "decision": "approve"}
        assert (await hers.http.post(where, data=forged, headers={"Origin": us.origin})).status_code == 403
        assert (await his.send(page, "approve")).status_code == 404
        still = await alice.call(0, ERRAND, **wish)
        assert still["structuredContent"]["error"]["code"] == "approval_required"
        assert "Approved" in (await hers.send(page, "approve")).text
        assert (await hers.send(page, "decline")).status_code == 409
        done = await alice.call(0, ERRAND, **wish)
        assert not done["isError"], done

        # Whoever has stopped everything goes on by a page of their own.
        stopped = await alice.call(0, "kallyai_stop")
        assert stopped["structuredContent"]["message"].endswith(f"{us.origin}/people/resume")
        refused = await alice.call(1, ERRAND, description="Fetch the parcel from the shop")
        assert f"{us.origin}/people/resume" in refused["structuredContent"]["error"]["next_step"]
        assert "Nothing is stopped" in (await his.open(f"{us.origin}/people/resume")).text
        page = await hers.open(f"{us.origin}/people/resume")
        assert (await hers.send(page, "approve", Origin="https://evil.example")).status_code == 403
        assert "Resumed" in (await hers.send(page, "approve")).text
        again = await alice.call(1, ERRAND, description="Fetch the parcel from the shop")
        assert again["structuredContent"]["error"]["code"] == "approval_required"

        # What the operator has stopped for everybody, nobody is told to be able to go on with.
        async with Journal(PostgreSQL(cluster.url(database))) as journal:
            await alice.call(0, "kallyai_stop")
            await journal.stop(ALL, "a terminal")
            refused = await alice.call(1, ERRAND, description="Fetch the parcel from the shop")
            assert refused["structuredContent"]["error"]["code"] == "stopped"
            assert "/people/resume" not in str(refused)
            assert "the operator" in refused["structuredContent"]["error"]["next_step"]
            told = await hers.open(f"{us.origin}/people/resume")
            assert "The operator has stopped all acts" in told.text
            assert 'name="decision"' not in told.text
            assert "The operator has stopped all acts" in (await hers.send(page, "approve")).text
            assert await journal.stopped(us.principal("alice").key) is not None
            await journal.resume(ALL)
        again = await alice.call(1, ERRAND, description="Fetch the parcel from the shop")
        assert again["structuredContent"]["error"]["code"] == "approval_required"


async def test_a_sign_in_to_the_pages_is_the_one_that_was_begun_in_this_browser(
    cluster: Cluster, database: str, idp: TestProvider, tmp_path: Path
) -> None:
    async with house(cluster, database, idp, tmp_path) as us, Browser(us, "alice") as hers:
        callback = f"{us.origin}/people/callback"
        for query in ("", "?code=x&state=y", f"?code=x&state=y&iss={idp.issuer}"):
            assert (await hers.http.get(f"{callback}{query}", headers=VISIT)).status_code == 403
        begun = await hers.http.get(f"{us.origin}/link/{'x' * 32}", headers=VISIT, follow_redirects=False)
        assert begun.status_code == 302
        assert begun.headers["location"].startswith(f"{idp.issuer}/auth?")
        assert "code_challenge_method=S256" in begun.headers["location"]
        cookie = begun.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        for query in (
            "?code=x&state=y",
            f"?code=x&state=y&iss={idp.issuer}",
            "?code=x&state=y&iss=https://evil.example",
        ):
            assert (await hers.http.get(f"{callback}{query}", headers=VISIT)).status_code == 403
        for path in ("/people/again?to=https://evil.example", "/people/again?to=//evil.example/link/x"):
            assert (await hers.http.get(f"{us.origin}{path}", headers=VISIT)).status_code == 404


async def test_a_person_links_their_account_in_a_real_browser(
    cluster: Cluster, database: str, idp: TestProvider, tmp_path: Path
) -> None:
    async with house(cluster, database, idp, tmp_path) as us, Host(us, us.token("alice")) as alice:
        asked = await alice.call(1, BALANCE, can=URLS)
        address = asked["inputRequests"]["sign_in"]["params"]["url"]
        import anyio.to_thread

        def walk() -> str:
            with chromium(tmp_path / "profile") as browser:
                browser.implicitly_wait(30)
                browser.get(address)
                browser.find_element(By.NAME, "login").send_keys("alice")
                browser.find_element(By.NAME, "password").send_keys("x")
                browser.find_element(By.CSS_SELECTOR, "button[type=submit]").click()

                clicked: set[str] = set()

                def is_back(_: object) -> bool:
                    """Whether the provider has sent us back; it asks for consent first, which is given once."""
                    if browser.current_url == address:
                        return True
                    if not browser.find_elements(By.NAME, "login"):
                        for button in browser.find_elements(By.CSS_SELECTOR, "button[type=submit]"):
                            if button.id not in clicked:
                                clicked.add(button.id)
                                button.click()
                    return browser.current_url == address

                browser.implicitly_wait(0)
                WebDriverWait(browser, 60, ignored_exceptions=[WebDriverException]).until(is_back)
                browser.implicitly_wait(30)
                (tmp_path / "link.png").write_bytes(browser.get_screenshot_as_png())
                code = browser.find_element(By.CSS_SELECTOR, "dd strong").text
                browser.find_element(By.LINK_TEXT, "Go on to KallyAI").click()
                WebDriverWait(browser, 60).until(lambda _: browser.current_url.startswith(us.api))
                assert browser.find_element(By.CSS_SELECTOR, "button[value=approve]")
                assert code in browser.page_source
                browser.find_element(By.CSS_SELECTOR, "button[value=approve]").click()
                wait(browser, lambda page: heading(page).endswith("is connected"))  # a browser that ends sends nothing
                return code

        code = await anyio.to_thread.run_sync(walk)
        assert code in asked["inputRequests"]["sign_in"]["params"]["message"]
        done = await alice.retry(0, BALANCE, URLS, asked, "accept")
        assert "credits_remaining" in done["structuredContent"], done


async def test_a_link_is_known_to_every_replica_at_once(
    cluster: Cluster, database: str, idp: TestProvider, tmp_path: Path
) -> None:
    async with house(cluster, database, idp, tmp_path, pages={}) as us, Host(us, us.token("alice")) as alice:
        asked = await alice.call(1, BALANCE, can=URLS)
        address = asked["inputRequests"]["sign_in"]["params"]["url"]
        assert address.startswith(us.api)
        async with httpx2.AsyncClient(base_url=us.api) as kallyai:
            await decide(kallyai, address.removeprefix(us.api), "approve")
        assert "credits_remaining" in (await alice.retry(0, BALANCE, URLS, asked, "accept"))["structuredContent"]
        for replica in (1, 0, 1):
            assert "credits_remaining" in (await alice.call(replica, BALANCE))["structuredContent"]
        # A host that cannot ask has nobody to approve, where there are no pages; it is told what can be done.
        needed = await alice.call(0, ERRAND, description="Fetch the parcel from the post office")
        assert "approve_at" not in needed["structuredContent"]["error"]
        assert "KALLYAI_PAGES_CLIENT_ID" in needed["structuredContent"]["error"]["next_step"]
        # While the database is away, who was known can read, nobody can act, and all is well soon after its return.
        cluster.stop()
        try:
            assert "credits_remaining" in (await alice.call(0, BALANCE))["structuredContent"]
            away = await alice.call(0, ERRAND, description="Fetch the parcel from the shop")
            assert away["structuredContent"]["error"]["code"] == "storage_away"
            assert "127.0.0.1" not in str(away)
            async with httpx2.AsyncClient() as probe:
                ready = await probe.get(f"http://127.0.0.1:{us.ports[0]}/readyz", timeout=60)
            assert ready.status_code == 503
        finally:
            cluster.start()
        us.ready()
        needed = await alice.call(0, ERRAND, description="Fetch the parcel from the shop")
        assert needed["structuredContent"]["error"]["code"] == "approval_required"

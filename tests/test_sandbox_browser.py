"""The sandbox's pages in a real browser: without JavaScript, live with it, and on a narrow screen.

The browser speaks to nothing but the sandbox on loopback.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import uvicorn
from anyio.from_thread import start_blocking_portal
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException, WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.oauth import DEVICE_CODE, DEVICE_GRANT, DEVICE_TOKEN
from kallyai_mcp.sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from anyio.from_thread import BlockingPortal

PATIENCE = 60
"""Seconds to wait for the browser at most."""

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)


class Sandbox:
    """A served sandbox, and a way to change its world from the test's thread."""

    def __init__(self, origin: str, world: World, portal: BlockingPortal) -> None:
        self.origin = origin
        self.world = world
        self._portal = portal

    def add(self, kind: str, data: dict[str, Any], key: str) -> None:
        """Put a document into the world, in place of one of the same id."""
        self._portal.call(self.world.save, kind, data | {"id": key})


@pytest.fixture
def sandbox() -> Generator[Sandbox]:
    """Serve an empty world on a free port."""
    with start_blocking_portal() as portal:
        world = portal.call(lambda: World(areas=()))
        settings = uvicorn.Config(
            create_app(world), port=0, log_level="error", ws="none", timeout_graceful_shutdown=1, lifespan="off"
        )
        server = uvicorn.Server(settings)
        listener = settings.bind_socket()
        listener.listen()  # from now on a connection waits for the server, which takes its time to begin
        served = portal.start_task_soon(server.serve, [listener])
        yield Sandbox(f"http://127.0.0.1:{listener.getsockname()[1]}", world, portal)
        server.should_exit = True
        served.result(PATIENCE)
        listener.close()
        portal.call(world.close)


@contextmanager
def chromium(profile: Path, *, javascript: bool = True) -> Generator[webdriver.Chrome]:
    """Start a headless Chromium with an empty profile."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        missing = "Chromium is not installed. Install it: apt-get update && apt-get install -y chromium chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    if not javascript:
        off = {"profile.managed_default_content_settings.javascript": 2}
        options.add_experimental_option("prefs", off)  # pyright: ignore[reportUnknownMemberType] - untyped in selenium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield chrome
    finally:
        chrome.quit()


def wait(chrome: webdriver.Chrome, claim: Callable[[webdriver.Chrome], Any]) -> Any:
    """Wait until something holds in the page."""

    def holds(chrome: webdriver.Chrome) -> Any:
        try:
            return claim(chrome)
        except (StaleElementReferenceException, NoSuchElementException):
            return False
        except WebDriverException as error:
            if "does not belong to the document" not in str(error.msg):  # of a page that was just replaced
                raise
            return False

    return WebDriverWait(chrome, PATIENCE, poll_frequency=0.05).until(holds)


def heading(chrome: webdriver.Chrome) -> str:
    return chrome.find_element(By.TAG_NAME, "h1").text


def screen(chrome: webdriver.Chrome, width: int, zoom: int = 1, scheme: str = "light") -> None:
    """Show pages as on a screen of this width (CSS pixels before zooming) and this colour scheme."""
    facts = {"width": width // zoom, "height": 800, "deviceScaleFactor": zoom, "mobile": False}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", facts)  # pyright: ignore[reportUnknownMemberType] - untyped in selenium
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", media)  # pyright: ignore[reportUnknownMemberType] - untyped in selenium


def value_of(chrome: webdriver.Chrome, script: str) -> Any:
    return chrome.execute_script(f"return {script}")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - untyped in selenium


def complaints(chrome: webdriver.Chrome) -> list[str]:
    """Return what the browser complained of, such as a breach of the Content-Security-Policy."""
    return [str(entry["message"]) for entry in chrome.get_log("browser") if "404" not in str(entry["message"])]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportUnknownArgumentType] - untyped in selenium


def test_device_code_is_typed_and_approved_without_javascript(sandbox: Sandbox, tmp_path: Path) -> None:
    grant = httpx2.post(sandbox.origin + DEVICE_CODE, data={"client_id": "kallyai-mcp"}).json()
    with chromium(tmp_path, javascript=False) as chrome:
        chrome.get("data:text/html,<title>off</title><script>document.title='on'</script>")
        assert chrome.title == "off"

        chrome.get(grant["verification_uri"])
        field = chrome.switch_to.active_element
        assert (field.aria_role, field.accessible_name) == ("textbox", "Code")
        field.send_keys("bbbb-bbbb", Keys.ENTER)
        wait(chrome, lambda c: c.title.startswith("Error: "))
        field = wait(chrome, lambda c: c.find_element(By.NAME, "user_code"))
        assert field.get_attribute("aria-invalid") == "true"
        field.clear()
        field.send_keys(grant["user_code"].replace("-", "").lower(), Keys.ENTER)
        wait(chrome, lambda c: heading(c) == "KallyAI MCP server asks for access")
        assert wait(chrome, lambda c: c.find_element(By.ID, "code").text) == grant["user_code"]

        approve = next(b for b in chrome.find_elements(By.TAG_NAME, "button") if b.accessible_name == "Approve")
        approve.send_keys(Keys.ENTER)
        wait(chrome, lambda c: heading(c) == "KallyAI MCP server is connected")
        wait(chrome, lambda c: "You can close this page" in c.page_source)
        assert complaints(chrome) == []

    form = {"grant_type": DEVICE_GRANT, "client_id": "kallyai-mcp", "device_code": grant["device_code"]}
    answer = httpx2.post(sandbox.origin + DEVICE_TOKEN, data=form)
    assert answer.json()["access_token"].startswith("kallyai_sandbox_at_")


def test_allowing_a_sign_in_leads_the_browser_to_the_redirect(sandbox: Sandbox, tmp_path: Path) -> None:
    # The redirect goes back to the sandbox under its other name: a different origin, as far as the browser knows.
    back = sandbox.origin.replace("127.0.0.1", "localhost") + "/pages/icon.svg"
    with chromium(tmp_path) as chrome:
        chrome.get(f"{sandbox.origin}/v1/auth/cli?redirect_uri={back}&state=s")
        chrome.find_element(By.CSS_SELECTOR, "button[value=approve]").click()
        wait(chrome, lambda c: c.current_url.startswith(f"{back}?access_token=kallyai_sandbox_at_"))
        assert chrome.current_url.endswith("&state=s")


def test_watch_page_follows_a_call_live(sandbox: Sandbox, tmp_path: Path) -> None:
    call: dict[str, Any] = {"call_id": "sbx_call_1", "status": "ringing", "business_name": "Luca"}
    talk = [{"speaker": "HUMAN", "content": "Luca, good evening.", "timestamp": "00:00:01"}]
    with chromium(tmp_path) as chrome:
        chrome.get(sandbox.origin)
        wait(chrome, lambda c: c.find_element(By.ID, "live").text == "Live")
        value_of(chrome, "window.stays = 1")

        for status, expected in (("ringing", "Ringing"), ("in_progress", "In progress"), ("success", "Success")):
            call |= {"status": status, "transcript": [] if status == "ringing" else talk}
            sandbox.add("call", call, "sbx_call_1")
            wait(chrome, lambda c, text=expected: c.find_element(By.CSS_SELECTOR, "#calls .state").text == text)
            assert value_of(chrome, "window.stays") == 1
        news = chrome.find_element(By.ID, "news")
        assert news.get_attribute("role") == "status"
        assert news.get_attribute("textContent") == "Call to Luca: Success"

        # What the reader opened stays open while other parts and this one change, and the focus stays.
        assert chrome.find_element(By.CSS_SELECTOR, "#calls details").get_attribute("open") is not None
        value_of(chrome, "document.querySelector('#calls summary').focus()")
        sandbox.add("call", call | {"highlights": "Table at eight."}, "sbx_call_1")
        wait(chrome, lambda c: "Table at eight." in c.find_element(By.ID, "calls").text)
        assert "Luca, good evening." in chrome.find_element(By.ID, "calls").text
        assert chrome.switch_to.active_element.tag_name == "summary"
        assert complaints(chrome) == []


def test_watch_page_reloads_by_itself_without_javascript(sandbox: Sandbox, tmp_path: Path) -> None:
    with chromium(tmp_path, javascript=False) as chrome:
        chrome.get(sandbox.origin)
        assert chrome.find_element(By.ID, "live").text == "Reloads every 5 seconds"
        sandbox.add("call", {"status": "busy", "to": "+12025550101"}, "sbx_call_1")
        wait(chrome, lambda c: "Busy" in c.find_element(By.ID, "calls").text)


def test_pages_fit_narrow_and_zoomed_screens_in_both_schemes(sandbox: Sandbox, tmp_path: Path) -> None:
    code = httpx2.post(sandbox.origin + DEVICE_CODE, data={"client_id": "kallyai-mcp"}).json()["user_code"]
    long = "averyveryverylongwordwithoutanyplacetobreakit" * 3
    talk = [{"speaker": "AI", "content": long, "timestamp": "00:00:01"}]
    call = {"status": "success", "business_name": long, "transcript": talk, "duration_seconds": 9, "highlights": long}
    sandbox.add("call", call, "sbx_call_1")
    sandbox.add("outbox_email", {"to": f"{long}@example.com", "subject": long, "status": "pending_approval"}, "sbx_m")
    sandbox.add("goal", {"title": long, "steps": [{"description": long, "status": "waiting_for_approval"}]}, "sbx_g")
    paths = ("/", "/calls/sbx_call_1", "/activate", f"/activate?user_code={code}", "/activate?user_code=wrong")
    with chromium(tmp_path) as chrome:
        for scheme in ("light", "dark"):
            for width, zoom in ((320, 1), (640, 2), (1280, 2), (1280, 1)):
                for path in paths:
                    screen(chrome, width, zoom, scheme)
                    chrome.get(sandbox.origin + path)
                    assert value_of(chrome, "document.documentElement.scrollWidth") <= width // zoom, (path, width)
            paths = paths[:-1]
        assert complaints(chrome) == []

"""The page for approvals in a real browser: a person reads it and decides, with and without JavaScript."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import pytest
from anyio.from_thread import start_blocking_portal
from consent_pages import House, pages_of
from consent_world import QUESTION, TOOL
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from starlette.responses import HTMLResponse
from test_sandbox_browser import chromium, complaints, heading, screen, value_of, wait

from kallyai_mcp.model import Consent
from kallyai_mcp.model.records import Question
from kallyai_mcp.server.loopback import HOST, Loopback

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from pathlib import Path

    from selenium import webdriver


@contextmanager
def serving(question: Question = QUESTION) -> Generator[House]:
    """Serve the pages with one question in another thread."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(pages_of(question)) as house:
        yield house


def press(chrome: webdriver.Chrome, name: str) -> None:
    next(b for b in chrome.find_elements(By.TAG_NAME, "button") if b.accessible_name == name).send_keys(Keys.ENTER)


@pytest.mark.parametrize("javascript", [False, True], ids=["plain", "with JavaScript"])
@pytest.mark.parametrize(("button", "agreed", "said"), [("Approve", True, "Approved"), ("Decline", False, "Declined")])
def test_a_person_decides_by_a_button(tmp_path: Path, javascript: bool, button: str, agreed: bool, said: str) -> None:
    with serving() as house, chromium(tmp_path, javascript=javascript) as chrome:
        chrome.get(house.address)
        assert heading(chrome) == QUESTION.title
        shown = [element.text for element in chrome.find_elements(By.CSS_SELECTOR, ".warnings li, .facts dd")]
        assert shown == [*QUESTION.warnings, *(value for _, value in QUESTION.facts), TOOL]
        assert house.approval.decision is None
        press(chrome, button)
        wait(chrome, lambda c: heading(c) == said)
        assert (house.approval.decision, house.approval.consent) == (agreed, Consent.PAGE)

        decided = house.approval
        chrome.back()
        wait(chrome, lambda c: heading(c) == said)
        chrome.refresh()
        wait(chrome, lambda c: heading(c) == said)
        assert house.approval == decided
        assert complaints(chrome) == []


@asynccontextmanager
async def stranger() -> AsyncGenerator[str]:
    """Serve a page of somebody else on this machine."""
    server = Loopback(HTMLResponse("<title>stranger</title>"))
    try:
        yield f"http://{HOST}:{await server.start()}/"
    finally:
        await server.close()


SEND = """(async () => {{
const fields = {{token: '{token}', decision: 'approve'}};
await fetch('{address}', {{method: 'POST', mode: 'no-cors', credentials: 'include', body: new URLSearchParams(fields)}})
    .catch(() => 0);
const form = document.createElement('form');
form.method = 'post';
form.action = '{address}';
for (const [name, value] of Object.entries(fields))
    form.append(Object.assign(document.createElement('input'), {{name, value}}));
document.documentElement.append(form);
form.submit();
}})()"""
"""Sends the form in both ways that another page has."""


def test_another_page_of_the_same_browser_decides_nothing(tmp_path: Path) -> None:
    """It may even know the address and the token, and be on this machine."""
    local = tmp_path / "stranger.html"
    local.write_text("<title>stranger</title>", encoding="utf-8")
    with (
        serving() as house,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(stranger()) as other,
        chromium(tmp_path / "profile") as chrome,
    ):
        for place in (other, other.replace(HOST, "localhost"), local.as_uri(), "about:blank"):
            chrome.get(house.address)
            token = chrome.find_element(By.NAME, "token").get_attribute("value")
            chrome.get(place)
            value_of(chrome, SEND.format(token=token, address=house.address))
            wait(chrome, lambda c: heading(c) == "Not from this page")
            assert house.approval.decision is None
        chrome.get(house.address)
        press(chrome, "Approve")
        wait(chrome, lambda c: heading(c) == "Approved")


def test_the_page_cannot_be_framed(tmp_path: Path) -> None:
    with serving() as house, chromium(tmp_path / "profile") as chrome:
        outer = tmp_path / "outer.html"
        outer.write_text(f'<title>outer</title><iframe src="{house.address}"></iframe>', encoding="utf-8")
        chrome.get(outer.as_uri())
        frame = chrome.find_element(By.TAG_NAME, "iframe")
        chrome.switch_to.frame(frame)
        assert chrome.find_elements(By.TAG_NAME, "button") == []


def test_the_page_fits_narrow_and_zoomed_screens_in_both_schemes(tmp_path: Path) -> None:
    long = "averyveryverylongwordwithoutanyplacetobreakit" * 3
    with serving(Question(long, TOOL, ((long, f"{long}\n{long}"),), (long,))) as house, chromium(tmp_path) as chrome:
        for path in (house.address, f"{house.origin}/elsewhere"):
            for scheme in ("light", "dark"):
                for width, zoom in ((320, 1), (640, 2), (1280, 2), (1280, 1)):
                    screen(chrome, width, zoom, scheme)
                    chrome.get(path)
                    assert value_of(chrome, "document.documentElement.scrollWidth") <= width // zoom, (path, width)
        assert complaints(chrome) == []

"""Apps in a real browser within a host stub: what a person sees, whatever strangers have written, on any screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from app_host import View, showing
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from test_sandbox_browser import chromium, complaints, wait

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from selenium import webdriver

MARKUP = "<script>parent.postMessage(1, '*'); document.title = 'owned'</script><img src=x onerror=alert(1)>"
LONG = "averyveryverylongwordwithoutanyplacetobreakit" * 4
TURNED = "\u202eabc \u05e9\u05dc\u05d5\u05dd\u200b"
HOSTILE = f"{MARKUP} {TURNED} {LONG}"
CALL: dict[str, Any] = {
    "call_id": "c1",
    "status": "success",
    "business_name": f"Osteria {MARKUP}",
    "result_summary": HOSTILE,
    "duration_seconds": 119.7,
    "credits_used": 1.7,
    "created_at": "2026-03-02T09:20:00Z",
}
SAID = {"entries": [{"speaker": "AI", "content": "Hello"}, {"speaker": "HUMAN", "content": HOSTILE}, 7, None]}
BALANCE = {"credits_remaining": 121, "credits_allocated": 200, "plan_type": HOSTILE}
BREAKDOWN = {"items": [{"action_type": "call", "credits_total": 52}, {"action_type": HOSTILE, "credits_total": "x"}]}
LEDGER = {
    "entries": [
        {"type": "call", "description": HOSTILE, "credits": 3 + day, "timestamp": f"2026-03-0{day}T09:00:00Z"}
        for day in range(1, 5)
    ]
}
OUTBOX = {"emails": [{"id": "e1", "to": HOSTILE, "subject": HOSTILE, "status": "pending_approval"}]}
PENDING = {"actions": {"count": 1, "items": [{"summary": HOSTILE, "type": HOSTILE}]}, "total_pending": 1}
PAGE = "http://127.0.0.1:45999/approve/" + "a" * 43
READS = {
    "kallyai_calls_info": CALL,
    "kallyai_calls_transcript": SAID,
    "kallyai_credits_balance": BALANCE,
    "kallyai_credits_breakdown": BREAKDOWN,
    "kallyai_credits_history": LEDGER,
    "kallyai_actions_email_outbox": OUTBOX,
    "kallyai_notifications_pending": PENDING,
}
SHOWN = {"call": (CALL, "What was said"), "credits": (LEDGER, "By kind"), "approvals": (OUTBOX, "To decide")}


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Generator[webdriver.Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


def refused(**more: Any) -> dict[str, Any]:
    return {"error": {"code": "approval_required", "message": "A person has to agree first.", **more}}


def told_height(view: View) -> float:
    """Return the height that the page has told its host last."""
    sizes = view.sent("ui/notifications/size-changed")
    return sizes[-1]["height"] if sizes else 0


HEIGHT = "return Math.ceil(document.body.getBoundingClientRect().height)"


def tools_run(view: View) -> list[str]:
    return [params["name"] for params in view.sent("tools/call")]


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize(("width", "scheme"), [(800, "light"), (360, "dark")])
def test_hostile_words_are_text_and_fit_every_screen(
    chrome: webdriver.Chrome, tmp_path: Path, name: str, width: int, scheme: str
) -> None:
    context = {"theme": scheme, "locale": "en-GB", "timeZone": "Europe/Madrid"}
    view = showing(chrome, tmp_path, name, answers=READS, context=context, width=width, scheme=scheme)
    data, words = SHOWN[name]
    view.result(data)
    view.shows(words)
    assert "<script>" in view.text()
    assert "\u202e" not in view.text()
    assert view.inside("return [document.scripts.length, document.images.length, document.title]")[:2] == [1, 0]
    assert "owned" not in view.inside("return document.title")
    assert view.inside("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert view.inside("return document.documentElement.dataset.theme") == scheme
    assert view.inside(CONTRAST) >= 4.5
    wait(chrome, lambda _: abs(told_height(view) - view.inside(HEIGHT)) <= 2)
    assert told_height(view) == pytest.approx(view.run("return view.offsetHeight"), abs=2)
    assert 1 not in view.run("return log")  # what the script of the strangers would have sent
    assert complaints(view.chrome) == []


CONTRAST = """
const channel = (value) => {
  const part = value / 255;
  return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
};
const light = (colour) => {
  const [r, g, b] = colour.match(/[0-9.]+/g).map(Number).map(channel);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (element) => {
  for (let one = element; one; one = one.parentElement) {
    const colour = getComputedStyle(one).backgroundColor;
    if (!/, 0\\)$/.test(colour)) return colour;
  }
  return "rgb(255, 255, 255)";
};
let worst = 21;
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const parent = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || ["SCRIPT", "STYLE"].includes(parent.tagName)) continue;
  const [a, b] = [light(getComputedStyle(parent).color), light(ground(parent))];
  worst = Math.min(worst, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
}
return worst;
"""
"""The weakest contrast between a text and what it stands on (WCAG 2.2, 1.4.3)."""


ADD_SCRIPT = """
return new Promise((done) => {
  addEventListener("securitypolicyviolation", (one) => {
    if (one.violatedDirective.startsWith("script-src")) done(one.violatedDirective);
  });
  const made = document.createElement("script");
  made.textContent = "window.owned = 1";
  document.body.append(made);
});
"""


def test_a_page_reaches_nothing_and_nobody(chrome: webdriver.Chrome, tmp_path: Path) -> None:
    view = showing(chrome, tmp_path, "call", answers=READS)
    reached = view.inside(
        "return fetch('http://127.0.0.1:9/x', {mode: 'no-cors'}).then(() => 'reached', (error) => String(error))"
    )
    assert "Failed to fetch" in reached
    view.inside("const one = new Image(); one.src = 'http://127.0.0.1:9/y'; document.body.append(one)")
    blocked = view.inside(ADD_SCRIPT)
    assert blocked.startswith("script-src")
    assert view.inside("return window.owned") is None


def test_a_call_is_followed_until_it_is_over(chrome: webdriver.Chrome, tmp_path: Path) -> None:
    ringing = {"call_id": "c1", "status": "in_progress", "to": "+14155550117"}
    view = showing(chrome, tmp_path, "call", answers=READS | {"kallyai_calls_info": ringing})
    view.send("tool-input", {"arguments": {"phone": "+14155550117", "task": "Ask when they open"}})
    view.shows("Ask when they open")
    assert "under way" in view.text()
    view.result(ringing, {"phone": "+14155550117"})
    view.shows("in progress")
    view.run("answers.kallyai_calls_info.structuredContent = arguments[0]", CALL)
    wait(view.chrome, lambda _: "What was said" in view.text())
    assert "1.7 credits" in view.text()
    assert "2 min 0 s" in view.text()
    *looks, last = tools_run(view)
    assert (set(looks), last) == ({"kallyai_calls_info"}, "kallyai_calls_transcript")


def test_a_host_that_lets_pages_read_nothing_gets_what_it_has_handed_over(
    chrome: webdriver.Chrome, tmp_path: Path
) -> None:
    view = showing(chrome, tmp_path, "call", answers=READS, capabilities={})
    view.result(SAID, {"call_id": "c1"})
    view.shows("What was said")
    assert tools_run(view) == []


@pytest.mark.parametrize("name", ["call", "approvals"])
def test_a_question_is_shown_and_decided_elsewhere(chrome: webdriver.Chrome, tmp_path: Path, name: str) -> None:
    view = showing(chrome, tmp_path, name, answers=READS)
    view.result(refused(approve_at=PAGE), {"phone": "+14155550117", "to": "a@b.example", "subject": MARKUP})
    view.shows("This waits for your consent")
    assert PAGE in view.text()
    view.chrome.switch_to.frame(view.chrome.find_element(By.ID, "view"))
    (button,) = view.chrome.find_elements(By.TAG_NAME, "button")
    assert button.text == "Open the approval page"
    button.send_keys(Keys.ENTER)
    wait(view.chrome, lambda _: view.sent("ui/open-link"))
    assert view.sent("ui/open-link") == [{"url": PAGE}]
    assert tools_run(view) == []
    sent = {one.get("method") for one in view.run("return log") if one.get("method")}
    assert sent <= {
        "ui/initialize",
        "ui/notifications/initialized",
        "ui/notifications/size-changed",
        "ui/open-link",
    }  # neither a message in the user's name nor anything for the model


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/approve/" + "a" * 43,
        "http://127.0.0.1:1/approve/" + "a" * 43 + "/../x",
        "http://127.0.0.1.evil.example:1/approve/" + "a" * 43,
        "javascript:alert(1)",
        7,
        None,
    ],
)
def test_no_other_address_is_ever_opened(chrome: webdriver.Chrome, tmp_path: Path, address: object) -> None:
    view = showing(chrome, tmp_path, "call", answers=READS)
    view.result(refused(approve_at=address))
    view.shows("This waits for your consent")
    assert view.inside("return document.querySelectorAll('button, a').length") == 0


def test_a_page_listens_to_its_host_alone_and_answers_it(chrome: webdriver.Chrome, tmp_path: Path) -> None:
    view = showing(chrome, tmp_path, "credits", answers=READS)

    def answers() -> dict[int, bool]:
        said = [one for one in view.run("return log") if one.get("id") in {91, 92} and "method" not in one]
        return {one["id"]: "error" in one for one in said}

    view.result(BALANCE)
    view.shows("By day")
    forged = {"jsonrpc": "2.0", "method": "ui/notifications/tool-result", "params": {"isError": True}}
    view.inside("window.postMessage(arguments[0], '*')", forged)
    view.send("host-context-changed", {"theme": "dark", "styles": {"variables": {"--color-text-primary": "#eeeeee"}}})
    wait(view.chrome, lambda _: view.inside("return document.documentElement.dataset.theme") == "dark")
    assert "121 of 200" in view.text()
    view.run("ask(91, 'ui/resource-teardown'); ask(92, 'tools/call')")
    wait(view.chrome, lambda _: answers() == {91: False, 92: True})
    view.send("tool-cancelled", {"reason": "user action"})
    view.shows("cancelled")

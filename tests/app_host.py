"""A host that shows apps: a page with a sandboxed frame, which speaks the protocol of MCP Apps as a host does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from selenium.webdriver.common.by import By
from test_sandbox_browser import complaints, screen, wait

from kallyai_mcp.server.apps import APPS
from kallyai_mcp.server.apps.serving import document

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from selenium import webdriver

STUB = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>host</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body { margin: 0; } iframe { border: 0; width: 100%; height: 40px; display: block; }</style></head>
<body><iframe id="view" title="view" sandbox="allow-scripts"></iframe>
<script>
const view = document.getElementById("view");
window.log = [];
window.answers = {};
window.context = {};
window.capabilities = { openLinks: {}, serverTools: {} };
window.send = (method, params) => view.contentWindow.postMessage({ jsonrpc: "2.0", method, params }, "*");
window.ask = (id, method) => view.contentWindow.postMessage({ jsonrpc: "2.0", id, method, params: {} }, "*");
window.show = (html) => { view.srcdoc = html; };
window.addEventListener("message", (event) => {
  if (event.source !== view.contentWindow) return;
  const message = event.data;
  window.log.push(message);
  const reply = (result) => view.contentWindow.postMessage({ jsonrpc: "2.0", id: message.id, result }, "*");
  if (message.method === "ui/initialize") {
    reply({ protocolVersion: "2026-01-26", hostInfo: { name: "stub", version: "1" },
            hostCapabilities: window.capabilities, hostContext: window.context });
  } else if (message.method === "tools/call") {
    reply(window.answers[message.params.name] ?? { isError: true, content: [] });
  } else if (message.method === "ui/open-link") {
    reply({});
  } else if (message.method === "ui/notifications/size-changed") {
    view.style.height = `${message.params.height}px`;
  }
});
</script></body></html>"""


class View:
    """One app, shown by the stub.

    Args:
        chrome: The browser, with the stub's page open.
    """

    def __init__(self, chrome: webdriver.Chrome) -> None:
        self.chrome = chrome

    def run(self, script: str, *values: Any) -> Any:
        """Run JavaScript in the host's page."""
        self.chrome.switch_to.default_content()
        return self.chrome.execute_script(script, *values)  # pyright: ignore[reportUnknownMemberType] - untyped in selenium

    def send(self, method: str, params: Mapping[str, Any]) -> None:
        """Send a notification to the page."""
        self.run("send(arguments[0], arguments[1])", f"ui/notifications/{method}", dict(params))

    def sent(self, method: str) -> list[dict[str, Any]]:
        """Return the parameters of what the page has sent under a method."""
        found = self.run("return log.filter((one) => one.method === arguments[0])", method)
        return [one.get("params", {}) for one in found]

    def result(self, structured: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> None:
        """Hand over arguments and the result of a tool."""
        self.send("tool-input", {"arguments": dict(given or {})})
        content = [{"type": "text", "text": "text"}]
        self.send(
            "tool-result", {"content": content, "structuredContent": dict(structured), "isError": "error" in structured}
        )

    def inside(self, script: str, *values: Any) -> Any:
        """Run JavaScript within the page of the app."""
        self.run("return 0")
        self.chrome.switch_to.frame(self.chrome.find_element(By.ID, "view"))
        try:
            return self.chrome.execute_script(script, *values)  # pyright: ignore[reportUnknownMemberType] - untyped in selenium
        finally:
            self.chrome.switch_to.default_content()

    def text(self) -> str:
        """Return what a person reads."""
        return self.inside("return document.getElementById('app').innerText")

    def shows(self, words: str) -> None:
        """Wait until the page shows these words."""
        wait(self.chrome, lambda _: words in self.text())


def showing(
    chrome: webdriver.Chrome,
    folder: Path,
    name: str,
    *,
    answers: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
    capabilities: Mapping[str, Any] | None = None,
    width: int = 800,
    scheme: str = "light",
) -> View:
    """Show an app in the stub, until it has said that it is there."""
    page = folder / "host.html"
    page.write_text(STUB, encoding="utf-8")
    screen(chrome, width, scheme=scheme)
    chrome.get(page.as_uri())
    complaints(chrome)  # those of a page before are none of this one's
    view = View(chrome)
    view.run(
        "answers = arguments[0]; context = arguments[1]; capabilities = arguments[2] ?? capabilities;",
        {tool: {"structuredContent": data, "content": []} for tool, data in (answers or {}).items()},
        dict(context or {}),
        None if capabilities is None else dict(capabilities),
    )
    view.run("show(arguments[0])", document(next(app for app in APPS if app.name == name)))
    wait(chrome, lambda _: view.sent("ui/notifications/initialized"))
    return view

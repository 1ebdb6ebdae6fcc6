"""Apps as hosts get them: announced to those that show them, self-contained, and without a way to decide anything."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

import anyio
import pytest
from extras_world import SHOWS_APPS, world
from hosts import LEGACY, MODERN, hosting
from mcp import MCPError
from page_rules import Page

from kallyai_mcp.catalog import by_tool
from kallyai_mcp.model import Effect
from kallyai_mcp.server import load_tools
from kallyai_mcp.server.apps import APPS, EXTENSION, MIME_TYPE, with_pages
from kallyai_mcp.server.apps.serving import FOLDER, document

if TYPE_CHECKING:
    from pathlib import Path

    from kallyai_mcp.server.apps import App

FLAGGED = {tool: app.uri for app in APPS for tool in app.tools}


@pytest.mark.parametrize("version", [LEGACY[0], LEGACY[-1], MODERN])
@pytest.mark.parametrize("declares", [True, False])
def test_pages_are_announced_to_hosts_that_show_them(tmp_path: Path, version: str, declares: bool) -> None:
    with hosting(tmp_path, "http://127.0.0.1:9", None) as host:
        capabilities = {"extensions": SHOWS_APPS if declares else {EXTENSION: {"mimeTypes": ["text/html"]}}}
        if version == MODERN:
            said = host.connect(version)
            given = {"_meta": {"io.modelcontextprotocol/clientCapabilities": capabilities}}
        else:
            opening = {
                "protocolVersion": version,
                "capabilities": capabilities,
                "clientInfo": {"name": "x", "version": "1"},
            }
            said, given = host.request("initialize", opening), {}
            host.notify("notifications/initialized")
        if version == MODERN:
            assert said["capabilities"]["extensions"] == {EXTENSION: {}}
        listed = host.request("tools/list", given)
        told = {tool["name"]: tool["_meta"] for tool in listed["tools"] if "ui" in tool.get("_meta", {})}
        pages = {name: meta["ui"]["resourceUri"] for name, meta in told.items()}
        assert pages == (FLAGGED if declares else {})
        assert all(meta["ui/resourceUri"] == pages[name] for name, meta in told.items())
        if version == MODERN:
            assert listed["cacheScope"] == ("private" if declares else "public")
        uris = [one["uri"] for one in host.request("resources/list", given)["resources"]]
        assert [uri for uri in uris if uri.startswith("ui:")] == ([app.uri for app in APPS] if declares else [])
        (content,) = host.request("resources/read", {"uri": "ui://kallyai/call"})["contents"]
        assert (content["mimeType"], content["text"]) == (MIME_TYPE, document(APPS[0]))
        assert not any(content["_meta"]["ui"]["csp"].values())


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.name)
def test_a_page_runs_nothing_that_acts(app: App) -> None:
    assert set(app.tools) | set(app.reads) <= by_tool().keys()
    for tool in app.reads:
        command = by_tool()[tool]
        assert (command.effect, command.is_recorded) == (Effect.READ, False)
    script = (FOLDER / f"{app.name}.js").read_text(encoding="utf-8")
    assert set(re.findall(r"kallyai_\w+", script)) <= set(app.reads)


def test_no_tool_is_for_pages_alone_and_none_of_them_could_decide() -> None:
    """A host may ignore visibility, and a model then run such a tool."""
    tools = load_tools()
    shown = with_pages(tools)
    assert [{**tool, "_meta": None} for tool in shown] == [{**tool, "_meta": None} for tool in tools]
    assert "visibility" not in str([tool.get("_meta") for tool in shown])
    assert tools == load_tools()  # the definitions that others get are not touched
    approving = {tool["name"] for tool in shown if re.search("approv|consent|decid", tool["name"])}
    # Commands of the service; where they act they need a consent of the server's own.
    assert approving == {"kallyai_actions_email_approve", "kallyai_budget_approve", "kallyai_coord_approve_step"}


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.name)
def test_a_page_is_one_document_that_loads_nothing(app: App) -> None:
    source = document(app)
    page = Page(source)
    assert page.problems == []
    assert [attrs.get("lang") for attrs, _ in page.all("html")] == ["en"]
    assert len(page.all("main")) == 1
    assert not [attrs for _, attrs in page.elements if {"src", "href", "style", "onclick", "onload"} & attrs.keys()]
    assert not re.search(r"https?://(?!127)", source.replace("https://modelcontextprotocol", ""))
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|url\(|@import", source
    )
    policy = next(attrs["content"] for attrs, _ in page.all("meta") if "http-equiv" in attrs)
    for tag, name in (("script", "script-src"), ("style", "style-src")):
        (inner,) = re.findall(f"<{tag}>(.*?)</{tag}>", source, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert len(source) < 40_000


def test_a_page_whose_tools_are_hidden_is_not_there() -> None:
    async def session() -> None:
        async with (
            world(is_exposed=lambda tool: not tool.startswith("kallyai_credits")) as shared,
            shared.client() as client,
        ):
            with pytest.raises(MCPError, match="Resource not found"):
                await client.read_resource("ui://kallyai/credits")
            await client.read_resource("ui://kallyai/call")

    anyio.run(session)

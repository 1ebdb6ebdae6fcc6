"""Clients by other people list, call, read, complete and are refused as they should be, over stdio."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from clients_world import FACTS, LONGEST, MODULES, NODE, SERVER, environment, require, run, seen_by

from kallyai_mcp.server import load_tools

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [tool["name"] for tool in load_tools()]
CLIENTS = (
    "frameworks/sdk_one",
    "frameworks/langchain_tools",
    "frameworks/pydantic_agent",
    "frameworks/openai_agent",
    "clients/fast",
    "node/typescript_one",
    "node/typescript_two",
)
INSPECTOR = MODULES / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js"


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_gets_what_it_asks_for(client: str, tmp_path: Path) -> None:
    seen = seen_by(client, tmp_path)
    assert seen["tools"] == NAMES
    balance = seen.get("balance") or seen["answers"][0]
    assert "credits_remaining" in json.dumps(balance)
    is_error, text = seen["wrong"]
    assert is_error in {True, None}  # None: the framework does not tell
    assert "call_not_found" in text
    is_error, text = seen["refused"]
    assert is_error in {True, None}
    assert "declined" in text or "approve" in text.lower()
    if "asked" in seen:
        assert len(seen["asked"]) == 1
        assert "Collect a parcel" in seen["asked"][0]
    if "unknown" in seen:
        assert seen["unknown"] == -32602
    if "read" in seen:
        assert "kallyai_calls_make" in seen["read"]
    if "completed" in seen:
        assert all(isinstance(value, str) for value in seen["completed"])
        assert len(seen["completed"]) <= 100
    if "language" in seen:
        assert seen["language"] == ["en", "es"]
    if "prompt" in seen:
        assert "kallyai_" in seen["prompt"]


def test_the_newest_client_needs_no_handshake(tmp_path: Path) -> None:
    assert seen_by("node/typescript_two", tmp_path)["version"] == "2026-07-28"


class Inspector:
    """The command line of the MCP Inspector."""

    def __init__(self, home: Path) -> None:
        require(INSPECTOR)
        self._home = home

    def __call__(self, *arguments: str, status: int = 0) -> Any:
        settings = [
            part
            for name, value in environment(self._home).items()
            if name.startswith("KALLYAI_")
            for part in ("-e", f"{name}={value}")
        ]
        patience = ("--connect-timeout", str(LONGEST * 1000))
        command = [NODE, str(INSPECTOR), "--cli", *patience, *settings, SERVER, *arguments]
        printed = run(command, self._home, status=status)
        return json.loads(printed) if printed.strip() else None


def test_the_inspector_lists_and_finds_every_schema_portable(tmp_path: Path) -> None:
    listed = Inspector(tmp_path)("--method", "tools/list", "--strict")
    assert [tool["name"] for tool in listed["tools"]] == NAMES


def test_the_inspector_calls_and_reads(tmp_path: Path) -> None:
    inspector = Inspector(tmp_path)
    balance = inspector("--method", "tools/call", "--tool-name", "kallyai_credits_balance")
    assert "credits_remaining" in balance["structuredContent"]
    read = inspector("--method", "resources/read", "--uri", str(FACTS["READ"]))
    assert "kallyai_calls_make" in read["contents"][0]["text"]
    templates = inspector("--method", "resources/templates/list")
    assert FACTS["COMPLETED"][0] in [template["uriTemplate"] for template in templates["resourceTemplates"]]
    prompt = inspector("--method", "prompts/get", "--prompt-name", str(FACTS["PROMPT"][0]))
    assert "kallyai_" in json.dumps(prompt)


def test_the_inspector_is_refused_an_act(tmp_path: Path) -> None:
    inspector = Inspector(tmp_path)
    arguments = ("--tool-name", "kallyai_actions_errand", "--tool-arg", "description=Collect a parcel")
    answer = inspector("--method", "tools/call", *arguments, status=5)
    assert answer["structuredContent"]["error"]["code"] == "approval_required"

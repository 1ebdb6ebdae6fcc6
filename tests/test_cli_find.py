"""`kallyai-mcp tools --find`: the tools for what somebody wants, among those that are served."""

from __future__ import annotations

import json

import pytest
from cli_world import FakeProgram

from kallyai_mcp.cli import run
from kallyai_mcp.cli.listing import found_tools
from kallyai_mcp.server import load_tools


@pytest.mark.parametrize(
    ("words", "tool"),
    [
        ("how many credits do I have left", "kallyai_credits_balance"),
        ("mueve la llamada al dentista al viernes", "kallyai_calls_reschedule"),
        ("帮我订个位子", "kallyai_actions_booking_create"),
    ],
    ids=["en", "es", "zh"],
)
def test_the_likeliest_tool_comes_first(words: str, tool: str) -> None:
    found = found_tools(load_tools(), words)
    assert found[0]["name"] == tool
    assert len(found) == 5


def test_only_what_is_served_is_found() -> None:
    served = [tool for tool in load_tools() if tool["name"] != "kallyai_credits_balance"]
    assert "kallyai_credits_balance" not in {tool["name"] for tool in found_tools(served, "credits left")}


def test_they_are_printed_as_definitions_for_programs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kallyai_mcp.logs.configure", str)
    program = FakeProgram()
    assert run(["tools", "--find", "call the plumber", "--json"], program) == 0
    assert json.loads(capsys.readouterr().out)["tools"][0]["name"] == "kallyai_calls_make"


def test_nothing_found_is_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kallyai_mcp.logs.configure", str)
    program = FakeProgram()
    assert run(["tools", "--find", "?!"], program) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "No tool was found for these words.\n")

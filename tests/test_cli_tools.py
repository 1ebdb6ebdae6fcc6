"""The terminal shows which tools settings expose, and prints them for models' APIs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cli_world import FakeProgram

from kallyai_mcp.cli import run
from kallyai_mcp.exposure import ALL, exposed, surface, toolsets
from kallyai_mcp.exposure.dialects import FORMATS, STRICT
from kallyai_mcp.settings import SETTINGS
from kallyai_mcp.tool_settings import ToolSettings


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kallyai_mcp.logs.configure", str)
    monkeypatch.setenv("COLUMNS", "120")
    for setting in SETTINGS:
        monkeypatch.delenv(setting.variable, raising=False)


def printed(capsys: pytest.CaptureFixture[str], *argv: str) -> Any:
    assert run(argv, FakeProgram()) == 0
    return json.loads(capsys.readouterr().out)


def test_what_settings_expose_is_shown_with_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tools", "--toolsets", "credits,messages", "--exclude-tools", "credits_plans"], FakeProgram()) == 0
    out = capsys.readouterr().out
    exposure = exposed(ToolSettings(toolsets=("credits", "messages"), exclude_tools=("credits_plans",)))
    balance = next(line for line in out.splitlines() if line.startswith("kallyai_credits_balance "))
    assert str(exposure.tokens["kallyai_credits_balance"]) in balance.split()
    assert "kallyai_credits_plans" not in out
    assert f"{len(exposure.listed)} tools, {sum(exposure.tokens.values()):,} tokens." in out


def test_the_search_surface_is_shown_with_its_own_tools(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tools", "--surface", "search"], FakeProgram()) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in (*surface.TOOLS, *surface.DAILY))
    assert f"{len(toolsets()[ALL])} commands can be found and run." in out.replace("\n", " ")
    assert run(["tools", "--surface", "search", "--find", "call the plumber", "--names"], FakeProgram()) == 0
    assert capsys.readouterr().out.splitlines()[0] == "kallyai_calls_make"


def test_variables_count_and_programs_get_tokens(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KALLYAI_READ_ONLY", "1")
    told = printed(capsys, "tools", "--json")
    assert all(tool["annotations"]["readOnlyHint"] for tool in told["tools"])
    assert told["tokens"] == sum(tool["tokens"] for tool in told["tools"])
    assert told["commands"] == len(told["tools"])


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["tools", "--toolsets", "cals"], "Did you mean calls?"),
        (["tools", "--exclude-tools", "call_make"], "calls_make"),
        (["schemas", "--toolsets", "cals"], "Did you mean calls?"),
        (["schemas", "--format", "gemin"], "Did you mean gemini?"),
        (["schemas", "--format", "gemini", "--strict"], "no strict mode"),
    ],
)
def test_what_does_not_exist_is_named_with_the_nearest(
    argv: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(argv, FakeProgram()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert told in " ".join(captured.err.split())


@pytest.mark.parametrize("form", FORMATS)
def test_schemas_are_printed_for_what_settings_expose(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = printed(capsys, "schemas", "--format", form, "--toolsets", "credits")
    tools: list[dict[str, Any]] = told[0]["functionDeclarations"] if form == "gemini" else told
    names = [tool.get("name") or tool["function"]["name"] for tool in tools]
    assert names == list(exposed(ToolSettings(toolsets=("credits",))).listed)


@pytest.mark.parametrize("form", STRICT)
def test_strict_schemas_say_that_they_are(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = printed(capsys, "schemas", "--format", form, "--strict", "--surface", "search")
    assert all((tool.get("function") or tool)["strict"] is True for tool in told)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["anthropic", "--strict"], "takes 20 strict ones"),
        (["openai"], "takes 128;"),
        (["openai-responses", "--strict"], "takes 128;"),
        (["openai", "--surface", "search"], None),
        (["anthropic"], None),
        (["gemini"], None),
    ],
)
def test_more_tools_than_a_request_takes_are_told(
    words: list[str], told: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["schemas", "--format", *words], FakeProgram()) == 0
    said = capsys.readouterr().err
    assert said == "" if told is None else told in said


@pytest.mark.parametrize("words", [["credits", "history"], ["stop"], ["ask", "--help"]])
def test_read_only_lets_the_terminal_read_and_stop(words: list[str]) -> None:
    program = FakeProgram(replies={" ".join(words): {}})
    assert run(["run", *words, "--read-only"], program) == 0


def test_read_only_bounds_the_terminal_and_toolsets_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    program = FakeProgram(replies={"ask": {}})
    assert run(["--read-only", "run", "ask", "Book a table"], program) == 2
    assert program.runs == []
    assert "only reading is allowed" in capsys.readouterr().err
    assert run(["--toolsets", "credits", "run", "ask", "Book a table"], program) == 0
    assert [name for name, _ in program.runs] == ["ask"]

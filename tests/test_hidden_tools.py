"""What the operator has hidden is not named: not by an error, an act's undoing, the list of acts, or a stop."""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hosts import UNATTENDED
from mcp import Client

from kallyai_mcp.app import running
from kallyai_mcp.catalog import all_commands, find
from kallyai_mcp.engine.gate import Gate, Order, Seen
from kallyai_mcp.errors import ActRefused, ApiError, UnknownCommand
from kallyai_mcp.examples import examples_of
from kallyai_mcp.exposure import exposed
from kallyai_mcp.model import parse
from kallyai_mcp.safety import ALL_DAY, Safety
from kallyai_mcp.sandbox import SandboxOptions, serving
from kallyai_mcp.sandbox.tokens import DEMO_TOKEN
from kallyai_mcp.server import build_server, load_tools
from kallyai_mcp.server.people import OnePerson, Person
from kallyai_mcp.settings import Settings
from kallyai_mcp.tool_settings import ToolSettings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from kallyai_mcp.exposure import Exposure
    from kallyai_mcp.model import Command

pytestmark = pytest.mark.anyio

NAME = re.compile(r"kallyai_[a-z_]*[a-z]")
MAIL = {"to": "desk@hotel.example", "subject": "Parking", "body": "One space."}
CALL = {"phone": "+12025550100", "task": "Ask whether they are open on Sunday"}
GONE = "11111111-1111-4111-8111-111111111111"


def leaked(exposure: Exposure, *told: Any) -> set[str]:
    text = json.dumps(told, default=str)
    return {name for name in NAME.findall(text) if exposure.is_hidden(name)}


class Host:
    """A host of a server with some tools, and the user's terminal beside it, which has all of them."""

    def __init__(self, client: Any, exposure: Exposure, terminal: Any, person: Person) -> None:
        self._client = client
        self._exposure = exposure
        self._person = person
        self.terminal = terminal

    async def run(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run a tool; what comes back names none that is hidden."""
        result = await self._client.call_tool(tool, arguments)
        texts = [getattr(part, "text", "") for part in result.content]
        assert leaked(self._exposure, texts, result.structured_content) == set(), (texts, result.structured_content)
        assert texts
        return result.structured_content | {"text": texts[0]}

    async def run_within(self, seconds: float, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run a tool at a host of little patience; again, as it is told, where it was not even sent in that time."""
        self._person.within = seconds
        try:
            while True:
                told = await self.run(tool, arguments)
                if told.get("error", {}).get("code") != "timeout":
                    return told
                assert told["error"]["outcome"] == "not_sent"
        finally:
            self._person.within = None


@asynccontextmanager
async def host(folder: Path, tools: ToolSettings, speed: float = 60.0) -> AsyncGenerator[Host]:
    exposure = exposed(tools)
    async with serving(SandboxOptions(speed=speed)) as served:
        told = UNATTENDED | {
            "KALLYAI_API_URL": served.origin,
            "KALLYAI_STATE_DIR": str(folder),
            "KALLYAI_ACCESS_TOKEN": DEMO_TOKEN,
        }
        settings = Settings.read(told)
        settings = replace(settings, safety=replace(settings.safety, contact_hours=ALL_DAY), tools=tools)
        async with running(settings) as terminal, running(settings) as app:
            app.allows = exposure.allows
            person = Person(app.engine, sign_in=app.sign_in, consents=app.consents)
            server = build_server(load_tools(exposure), OnePerson(person, app.account), exposure=exposure)
            async with Client(server) as client:
                yield Host(client, exposure, await terminal.engine(), person)


async def test_an_act_says_that_the_user_can_undo_it_where_no_tool_of_the_host_can(tmp_path: Path) -> None:
    async with host(tmp_path, ToolSettings(toolsets=("actions",), exclude_tools=("actions_email_cancel",))) as one:
        dry = await one.run("kallyai_actions_email_send", MAIL | {"dry_run": True})
        done = await one.run("kallyai_actions_email_send", MAIL)
        again = await one.run("kallyai_actions_email_send", MAIL)
        by_terminal = await one.terminal.run(find("kallyai_acts"), {})
    undo = done["_act"]["undo"]
    assert (undo["possible"], "tool" in undo) == (True, False)
    assert "in a terminal with kallyai-mcp, or in the KallyAI app" in undo["where"]
    assert undo["where"].removeprefix("by the user, ") in done["text"]
    assert "KallyAI app" in dry["undo"]
    assert again["_act"]["undo"] == undo
    assert by_terminal.structured["acts"][0]["undo"]["tool"] == "kallyai_actions_email_cancel"


async def test_what_the_user_has_done_with_hidden_tools_is_listed_in_words(tmp_path: Path) -> None:
    async with host(tmp_path, ToolSettings(toolsets=("calls",))) as one:
        sent = await one.terminal.run(find("kallyai_actions_email_send"), MAIL)
        act = sent.structured["_act"]["id"]
        listed = await one.run("kallyai_acts", {})
        waited = await one.run("kallyai_wait", {"id": act})
        stopped = await one.run("kallyai_stop", {})
        refused = await one.run("kallyai_calls_make", CALL)
    assert [entry["tool"] for entry in listed["acts"]] == ["actions email send"]
    assert (waited["_act"]["id"], waited["_act"]["outcome"]) == (act, "done")
    assert waited.keys() == {"_act", "text"}
    assert [entry["with"] for entry in stopped["cancelled"]] == ["actions email cancel"]
    assert refused["error"]["code"] == "stopped"


@pytest.mark.parametrize("tools", [ToolSettings(toolsets=("calls",), exclude_tools=("wait", "more", "acts", "stop"))])
async def test_a_run_that_takes_long_names_no_hidden_tool(tmp_path: Path, tools: ToolSettings) -> None:
    async with host(tmp_path, tools, speed=0.0) as one:  # the call does not end by itself
        with anyio.fail_after(60):
            waiting = await one.run_within(2.0, "kallyai_calls_make", CALL)
        assert waiting["_waiting"].keys() == {"id"}
        assert "KallyAI app" in waiting["text"]
        assert (await one.run("kallyai_calls_make", CALL))["error"]["code"] == "act_under_way"
        other = await one.run("kallyai_calls_make", CALL | {"repeat_of": GONE})
        assert other["error"]["code"] == "invalid_arguments"


async def test_a_mandate_for_a_hidden_tool_is_refused_as_for_one_that_does_not_exist(tmp_path: Path) -> None:
    proposed = {"purpose": "Mail", "acts": 1, "credits": 5, "until": "2999-01-01T00:00"}
    async with host(tmp_path, ToolSettings(toolsets=("calls", "acts"))) as one:
        told = [
            (await one.run("kallyai_mandate", proposed | {"tools": [f"kallyai_actions_{name}"]}))["error"]
            for name in ("email_send", "email_sand")
        ]
        assert json.dumps(told[0]).replace("send", "sand") == json.dumps(told[1])
        assert "given: actions email send" in told[0]["message"]


@pytest.mark.parametrize("command", [one for one in all_commands() if one.is_act], ids=lambda one: one.tool)
async def test_a_question_names_no_tool_but_its_own_where_the_others_are_hidden(command: Command) -> None:
    nothing: Any = SimpleNamespace(read=_unread, names=_unread)
    gate = Gate(nothing, nothing, Safety(), "UTC", allows=command.tool.__eq__)
    for example in examples_of(command):
        args = parse(command, example["arguments"])
        asked = await gate.question(Order(command, args, example["arguments"]), Seen(()), (), None)
        assert set(NAME.findall(asked.text())) == {command.tool}


async def _unread(*_: Any, **more: Any) -> None:
    del more


def test_an_error_names_no_hidden_tool_anywhere() -> None:
    exposure = exposed(ToolSettings(toolsets=("calls",), exclude_tools=("acts",)))
    error = exposure.told(
        ActRefused(
            "All acts are stopped (by the tool kallyai_mandate). Look with kallyai_acts.",
            next_step="Look with kallyai_acts. Then run kallyai_calls_make.",
            details={"tool": "kallyai_mandate", "why": [{"rule": "wrong; kallyai_acts lists them."}], "count": 3},
        )
    )
    assert leaked(exposure, error.as_dict()) == set()
    assert error.message == "All acts are stopped (by the tool mandate)."
    assert error.next_step == "Then run kallyai_calls_make."
    assert error.details == {"tool": "mandate", "why": [{"rule": "Wrong."}], "count": 3}


def test_a_tool_that_is_hidden_is_refused_as_one_that_does_not_exist() -> None:
    exposure = exposed(ToolSettings(toolsets=("calls",)))
    hidden, unknown = (exposure.told(UnknownCommand(name)) for name in ("kallyai_mandate", "kallyai_nothing"))
    assert hidden.message.replace("mandate", "nothing") == unknown.message
    assert hidden.next_step == unknown.next_step


def test_an_error_is_as_it_is_where_nothing_is_hidden() -> None:
    error = ApiError("No goal.", next_step="Take the id from kallyai_coord_goals.", details={"tool": "kallyai_acts"})
    assert exposed().told(error).as_dict() == {
        "code": "http_error",
        "message": "No goal.",
        "next_step": "Take the id from kallyai_coord_goals.",
        "retryable": False,
        "tool": "kallyai_acts",
    }

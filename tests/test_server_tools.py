"""Hidden tools over the wire, and tools run through the search surface, in both eras of the protocol."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from consent_world import IN_TIME, MAIL, OTHER, QUESTION, TOOL, Book, Engine, RawHost, error_of, raw
from hosts import MODERN, hosting
from recorder import Recorder, answer, recording

from kallyai_mcp.exposure import exposed, surface
from kallyai_mcp.model import Consent
from kallyai_mcp.server import build_server, load_tools, people
from kallyai_mcp.tool_settings import ToolSettings

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from mcp.server.lowlevel import Server

pytestmark = pytest.mark.anyio

HANDSHAKE = "2025-11-25"
VERSIONS = (HANDSHAKE, MODERN)
NONE: dict[str, Any] = {}


@pytest.fixture(scope="module")
def recorder() -> Generator[Recorder]:
    with recording() as made:
        yield made


@pytest.fixture
def engine() -> Engine:
    return Engine(Book())


def serve(engine: Engine, **values: Any) -> Server[Any]:
    """Return a server with these settings of tools."""
    exposure = exposed(ToolSettings(**values))

    async def give_engine() -> Any:
        return engine

    async def give_book() -> Book:
        return engine.book

    person = people.Person(give_engine, consents=give_book)
    return build_server(load_tools(exposure), people.OnePerson(person, lambda: engine.account), exposure=exposure)


async def found(host: RawHost, request: str, **more: Any) -> list[dict[str, Any]]:
    return (await host.result(surface.FIND, {"request": request, **more}))["structuredContent"]["tools"]


# As a process, by variables


@pytest.mark.parametrize("version", VERSIONS)
def test_variables_decide_what_a_host_is_shown(version: str, recorder: Recorder, tmp_path: Path) -> None:
    variables = {"KALLYAI_TOOLSETS": "credits,calls", "KALLYAI_EXCLUDE_TOOLS": "calls_make"}
    with hosting(tmp_path, recorder.origin, version, agrees=True, **variables) as host:
        names = [tool["name"] for tool in host.request("tools/list")["tools"]]
        assert names == list(exposed(ToolSettings(toolsets=("credits", "calls"), exclude_tools=("calls_make",))).listed)
        recorder.answers()
        arguments = {"phone": "+12025550100", "task": "Ask whether they are open."}
        hidden = host.refused("tools/call", {"name": "kallyai_calls_make", "arguments": arguments})
        unknown = host.refused("tools/call", {"name": "kallyai_calls_fake", "arguments": arguments})
        assert hidden["message"].replace("make", "fake") == unknown["message"]
        assert hidden.keys() == unknown.keys()
        assert hidden["code"] == unknown["code"] == -32602
        assert recorder.requests == []
        recorder.answers(answer({"credits_remaining": 3}))
        assert host.run("kallyai_credits_balance")["structuredContent"]["credits_remaining"] == 3


@pytest.mark.parametrize("version", VERSIONS)
def test_a_run_through_the_search_surface_answers_as_a_direct_one(
    version: str, recorder: Recorder, tmp_path: Path
) -> None:
    balance = {"credits_remaining": 12.5, "added_later": None}
    with hosting(tmp_path, recorder.origin, version, KALLYAI_SURFACE="search") as host:
        assert len(host.request("tools/list")["tools"]) == len(surface.TOOLS) + len(surface.DAILY)
        asked: list[Any] = []
        answers: list[Any] = []
        for tool, arguments in (
            ("kallyai_credits_history", {"limit": 2}),
            (surface.READ, {"tool": "kallyai_credits_history", "arguments": {"limit": 2}}),
            (surface.RUN, {"tool": "kallyai_credits_history", "arguments": {"limit": 2}}),
            (surface.READ, {"tool": "credits history", "limit": 2, "arguments": None}),
        ):
            recorder.answers(answer(balance))
            answers.append(host.run(tool, arguments))
            asked += [(one.method, one.path) for one in recorder.requests]
        assert all(one == answers[0] for one in answers)
        assert len(asked) == 4
        assert set(asked) == {asked[0]}
        recorder.answers()
        none = {"limit": 0}
        wrong = [
            host.run("kallyai_credits_history", none),
            host.run(surface.READ, {"tool": "kallyai_credits_history", "arguments": none}),
        ]
        assert wrong[0] == wrong[1]
        assert wrong[0]["isError"]


def test_settings_that_name_nothing_end_the_program_with_a_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kallyai_mcp"],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "KALLYAI_TOOLSETS": "cals"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Did you mean calls?" in done.stderr
    assert "Traceback" not in done.stderr


# Finding and describing


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("request_", "tool"),
    [
        ("how many credits do I have left", "kallyai_credits_balance"),
        ("mueve la llamada al dentista al viernes", "kallyai_calls_reschedule"),
        ("帮我订个位子", "kallyai_actions_booking_create"),
    ],
    ids=["en", "es", "zh"],
)
async def test_tools_are_found_by_what_a_person_wants(engine: Engine, version: str, request_: str, tool: str) -> None:
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine, surface="search"), version) as host:
            tools = await found(host, request_, limit=3)
    assert tools[0]["name"] == tool
    assert len(tools) == 3
    assert all(one.get("run_with") in {None, surface.READ, surface.RUN} for one in tools)


async def test_a_tool_is_described_in_full_with_an_example(engine: Engine) -> None:
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine, surface="search"), MODERN) as host:
            result = await host.result(surface.DESCRIBE, {"tools": ["kallyai_calls_make", "phone verify-check"]})
    make, verify = result["structuredContent"]["tools"]
    shipped = {tool["name"]: tool for tool in load_tools()}
    example = make.pop("example")
    assert make == shipped["kallyai_calls_make"]
    assert example.keys() <= make["inputSchema"]["properties"].keys()
    assert set(make["inputSchema"]["required"]) <= example.keys()
    assert "code" not in verify["example"]
    said = [json.loads(line) for line in result["content"][0]["text"].splitlines()]
    assert said == [{**make, "example": example}, verify]


@pytest.mark.parametrize("version", VERSIONS)
async def test_hidden_tools_are_not_found_described_or_run(engine: Engine, version: str) -> None:
    values = {"surface": "search", "toolsets": ("actions", "ask"), "exclude_tools": ("actions_email_send",)}
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine, **values), version) as host:
            assert TOOL not in {one["name"] for one in await found(host, "write a mail to the hotel", limit=10)}
            described = error_of(await host.result(surface.DESCRIBE, {"tools": [TOOL]}))
            unknown = error_of(await host.result(surface.DESCRIBE, {"tools": ["kallyai_actions_email_semd"]}))
            run = error_of(await host.result(surface.RUN, {"tool": TOOL, "arguments": MAIL}))
            direct = await host.result(TOOL)
    assert (direct["code"], direct["message"]) == (-32602, f"Unknown tool: {TOOL}")
    assert described == run
    assert run["code"] == "unknown_tool"
    assert {**run, "message": "", "next_step": ""} == {**unknown, "message": "", "next_step": ""}
    assert TOOL not in run["next_step"] + unknown["next_step"]
    assert engine.tries == 0


async def test_words_that_say_nothing_find_nothing_and_lead_on(engine: Engine) -> None:
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine, surface="search"), MODERN) as host:
            result = await host.result(surface.FIND, {"request": "?!"})
            assert "kallyai_ask" in result["content"][0]["text"]
            for arguments in (NONE, {"request": ""}, {"request": 7}, {"request": "x", "limit": 0}, {"words": "x"}):
                assert error_of(await host.result(surface.FIND, arguments))["code"] == "invalid_arguments"


# Running


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        (surface.RUN, {}, "tool: is required"),
        (surface.RUN, {"tool": 7}, "tool: is required"),
        (surface.RUN, {"tool": TOOL, "arguments": "not JSON"}, "no JSON"),
        (surface.RUN, {"tool": TOOL, "arguments": [1]}, "must be an object"),
        (surface.RUN, {"tool": TOOL, "arguments": "[1]"}, "must be an object"),
        (surface.RUN, {"tool": TOOL, "arguments": {"to": "a@b.example"}, "subject": "x"}, "subject: must stand within"),
        (surface.RUN, {"tool": "kallyai_actions_email_sent"}, TOOL),
        (surface.READ, {"tool": TOOL, "arguments": MAIL}, surface.RUN),
    ],
)
async def test_a_run_that_cannot_be_understood_is_explained(
    engine: Engine, tool: str, arguments: dict[str, Any], told: str
) -> None:
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine, surface="search"), MODERN) as host:
            result = await host.result(tool, arguments)
    assert told in result["content"][0]["text"]
    assert error_of(result)["code"] in {"invalid_arguments", "unknown_tool"}
    assert engine.tries == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"tool": TOOL, "arguments": MAIL},
        {"tool": "actions email send", "arguments": MAIL},
        {"tool": TOOL, "arguments": json.dumps(MAIL)},
        {"tool": TOOL, **MAIL},
    ],
    ids=["nested", "words", "text", "flat"],
)
@pytest.mark.parametrize("version", VERSIONS)
async def test_an_act_through_it_asks_as_the_act_itself_and_runs_once(
    engine: Engine, version: str, arguments: dict[str, Any]
) -> None:
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine, surface="search"), version) as host:
            if version == MODERN:
                first = await host.result(surface.RUN, arguments)
                shown = first["inputRequests"]["consent"]["params"]["message"]
                answers: dict[str, Any] = {"consent": {"action": "accept", "content": {}}}
                state = first["requestState"]
                second = await host.result(surface.RUN, arguments, inputResponses=answers, requestState=state)
            else:
                number = await host.call(surface.RUN, arguments)
                question = await host.next()
                shown = question["params"]["message"]
                await host.answer(question, {"action": "accept", "content": {}})
                message = await host.next()
                assert message["id"] == number
                second = message["result"]
    assert shown == QUESTION.text()
    assert second["structuredContent"] == {"sent": True}
    assert engine.done == [MAIL]
    approval = engine.book.last
    assert (approval.tool, approval.decision, approval.consent) == (TOOL, True, Consent.ELICITATION)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (surface.RUN, {"tool": TOOL, "arguments": {**MAIL, "to": "thief@evil.example"}}),
        (surface.RUN, {"tool": OTHER, "arguments": MAIL}),
        (surface.RUN, {"tool": TOOL, **MAIL}),
        (surface.READ, {"tool": TOOL, "arguments": MAIL}),
        (TOOL, MAIL),
    ],
    ids=["other arguments", "other tool", "other spelling", "other runner", "directly"],
)
async def test_a_state_is_good_for_the_tool_and_arguments_that_were_shown(
    engine: Engine, tool: str, arguments: dict[str, Any]
) -> None:
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine, surface="search"), MODERN) as host:
            first = await host.result(surface.RUN, {"tool": TOOL, "arguments": MAIL})
            answers: dict[str, Any] = {"consent": {"action": "accept", "content": {}}}
            again = await host.result(tool, arguments, inputResponses=answers, requestState=first["requestState"])
    assert again["code"] == -32602
    assert engine.done == []
    assert engine.book.last.decision is None


@pytest.mark.parametrize("name", [surface.FIND, surface.RUN, "describe_tools"])
@pytest.mark.parametrize(
    ("tool", "given"), [(surface.RUN, "tool"), (surface.READ, "tool"), (surface.DESCRIBE, "tools")], ids=str
)
async def test_a_tool_of_the_surface_is_called_directly_and_not_through_it(
    engine: Engine, tool: str, given: str, name: str
) -> None:
    async with raw(serve(engine, surface="search"), MODERN) as host:
        refused = await host.result(tool, {given: [name] if given == "tools" else name})
    error = refused["structuredContent"]["error"]
    assert error["code"] == "invalid_arguments"
    assert error["arguments"][0]["argument"] == given
    assert "is called directly" in refused["content"][0]["text"]


async def test_an_approval_given_to_one_door_lets_the_act_happen_once_through_any(engine: Engine) -> None:
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine, surface="search"), MODERN) as host:
            await host.result(surface.RUN, {"tool": TOOL, "arguments": MAIL})
            await engine.book.decide(engine.book.last.id, agreed=True, how=Consent.PAGE)
            assert (await host.result(TOOL))["structuredContent"] == {"sent": True}
            assert "requestState" in await host.result(surface.RUN, {"tool": TOOL, "arguments": MAIL})
    assert engine.done == [MAIL]


@pytest.mark.parametrize("version", VERSIONS)
async def test_options_of_a_run_reach_the_tool(engine: Engine, version: str) -> None:
    seen: list[Any] = []

    async def run(command: Any, arguments: Any, *, progress: Any = None, until: float | None = None) -> Any:
        del progress, until
        seen.append((command.tool, arguments))
        return await Engine(Book()).run(command, arguments)

    engine.run = run
    options = {"dry_run": True, "repeat_of": "act-1"}
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine, surface="search"), version, {}) as host:
            await host.result(surface.RUN, {"tool": TOOL, "arguments": {**MAIL, **options}})
    assert seen[0] == (TOOL, {**MAIL, **options})


async def test_a_failure_gives_no_advice_that_leads_to_a_hidden_tool(engine: Engine) -> None:
    from kallyai_mcp.errors import ApiError

    async def fail(_: Any) -> None:
        step = "Take the id from kallyai_coord_goals."
        raise ApiError("There is no goal with this id.", next_step=step, code="goal_not_found")

    engine.before = fail
    with anyio.fail_after(IN_TIME):
        async with raw(serve(engine, toolsets=("actions",)), MODERN) as host:
            hidden = error_of(await host.result())
        async with raw(serve(engine), MODERN) as host:
            shown = error_of(await host.result())
    assert hidden["next_step"] == "Tell the user."
    assert shown["next_step"] == "Take the id from kallyai_coord_goals."

"""Hosts of little patience: every call of theirs is answered in time, ends in its result, and is placed once."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hosts import UNATTENDED
from mcp import Client
from mcp.shared.exceptions import MCPError
from virtual_time import run_virtually

from kallyai_mcp.app import running
from kallyai_mcp.catalog import by_tool, find
from kallyai_mcp.engine.outcome import ACT
from kallyai_mcp.engine.result import Body, Result
from kallyai_mcp.engine.underway import WAITING, Underway, reporting
from kallyai_mcp.errors import TransportError
from kallyai_mcp.sandbox import SandboxOptions, serving
from kallyai_mcp.sandbox.tokens import DEMO_TOKEN
from kallyai_mcp.server import build_server, load_tools
from kallyai_mcp.server.people import OnePerson, Person
from kallyai_mcp.server.sign_in import patience
from kallyai_mcp.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from mcp_types import CallToolResult

    from kallyai_mcp.engine.underway import Run

pytestmark = pytest.mark.anyio

CALL = {"phone": "+12025550100", "task": "Ask whether they are open on Sunday"}
MAKE = find("kallyai_calls_make")
READ = find("kallyai_credits_balance")
FASTER = 8.0
"""How much faster than life the hosts of these tests lose patience."""


@asynccontextmanager
async def house(folder: Path, origin: str, within: float) -> AsyncGenerator[Any]:
    """Give a server as a host starts it, on a state folder that another one may have used before."""
    told = UNATTENDED | {
        "KALLYAI_API_URL": origin,
        "KALLYAI_STATE_DIR": str(folder),
        "KALLYAI_ACCESS_TOKEN": DEMO_TOKEN,
    }
    settings = replace(Settings.read(told), answer_within=within)
    async with running(settings) as app:
        person = Person(app.engine, sign_in=app.sign_in, consents=app.consents, within=within)
        yield build_server(load_tools(), OnePerson(person, app.account))


async def to_its_end(client: Any, tool: str, arguments: dict[str, Any], limit: float, told: list[float] | None) -> Any:
    """Call a tool as a model does that follows what it is told, at a host that gives each call so many seconds."""

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        del total, message
        assert told is not None
        told.append(progress)

    for _ in range(100):
        try:
            result: CallToolResult = await client.call_tool(
                tool, arguments, read_timeout_seconds=limit, progress_callback=None if told is None else hear
            )
        except (MCPError, TimeoutError):  # the host has lost patience, as it does on a busy machine
            if acts := (await read(client, "kallyai_acts", {"limit": 1}))["acts"]:
                tool, arguments = "kallyai_wait", {"id": acts[0]["id"]}
            continue
        content: dict[str, Any] = result.structured_content or {}
        if "error" in content:
            assert content["error"]["retryable"], content
            continue
        if (waiting := content.get(WAITING)) is None:
            return content
        assert waiting["id"] in result.content[0].text  # type: ignore[union-attr] - a text
        tool, arguments = waiting["tool"], waiting["arguments"]
    raise AssertionError("it never ended")


async def read(client: Any, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run a tool, again where the machine was too slow for it and nothing was sent."""
    while True:
        content: dict[str, Any] = (await client.call_tool(tool, arguments)).structured_content
        if "error" not in content:
            return content
        assert content["error"]["code"] == "timeout", content


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
@pytest.mark.parametrize("with_progress", [True, False], ids=["progress", "no progress"])
@pytest.mark.parametrize("patience_", [10.0, 30.0, 60.0, 240.0])
async def test_a_call_ends_in_its_final_result_at_any_host_and_is_placed_once(
    tmp_path: Path, patience_: float, with_progress: bool, mode: str
) -> None:
    limit = patience_ / FASTER
    async with (
        serving(SandboxOptions(speed=60.0)) as served,
        house(tmp_path, served.origin, limit * 0.7) as server,
        Client(server, mode=mode) as client,  # pyright: ignore[reportArgumentType]
    ):
        with anyio.fail_after(120):
            told: list[float] | None = [] if with_progress else None
            content = await to_its_end(client, MAKE.tool, CALL, limit, told)
            assert content["status"] == "success", content
            listed = (await read(client, "kallyai_calls_history", {}))["items"]
        assert sum(call.get("to") == CALL["phone"] for call in listed) == 1


async def test_a_wait_outlives_the_process_that_placed_the_call(tmp_path: Path) -> None:
    async with serving(SandboxOptions(speed=0)) as served:
        async with house(tmp_path, served.origin, 0.8) as server, Client(server) as client:
            with anyio.fail_after(120):
                content = await read(client, MAKE.tool, CALL)  # what was not sent in time is sent again
            assert content[WAITING]["tool"] == "kallyai_wait"
            assert content[ACT]["outcome"] == "sent"
        served.world.clock.speed = 30.0
        async with house(tmp_path, served.origin, 30.0) as server, Client(server) as client:
            with anyio.fail_after(120):
                content = await to_its_end(client, "kallyai_wait", content[WAITING]["arguments"], 30.0, None)
            assert content["status"] == "success"
            again = (await client.call_tool("kallyai_wait", {"id": content["call_id"]})).structured_content
            assert again["status"] == "success"
            listed = (await client.call_tool("kallyai_calls_history", {})).structured_content["items"]
            assert sum(call.get("to") == CALL["phone"] for call in listed) == 1


async def test_a_goal_is_followed_until_it_is_over_or_needs_the_user(tmp_path: Path) -> None:
    async with (
        serving(SandboxOptions(speed=200.0)) as served,
        house(tmp_path, served.origin, 3.0) as server,
        Client(server) as client,
    ):
        with anyio.fail_after(120):
            wish = {"message": "Book a table for two at Luca on Friday at 19:30"}
            content = await to_its_end(client, "kallyai_ask", wish, 30.0, None)
            assert "goal_id" in content, content
            goal = await to_its_end(client, "kallyai_wait", {"id": content["goal_id"]}, 30.0, None)
        assert goal["id"] == content["goal_id"]
        assert goal["status"] != "active" or any(step["status"] != "completed" for step in goal["steps"])


async def test_what_nobody_knows_is_refused(tmp_path: Path) -> None:
    async with (
        serving(SandboxOptions()) as served,
        house(tmp_path, served.origin, 60.0) as server,
        Client(server) as client,
    ):
        result = await client.call_tool("kallyai_wait", {"id": "nothing-of-this-kind"})
        assert result.is_error
        assert (result.structured_content or {})["error"]["code"] == "invalid_arguments"


# By itself, in no time


def void(_: object) -> None:
    """Forget what was returned."""


def test_an_answer_comes_when_it_is_due_whatever_the_run_does() -> None:
    async def story() -> None:
        async with anyio.create_task_group() as group:
            underway = Underway(lambda work: void(group.start_soon(work)))
            sent = 0

            async def work(run: Run) -> Result:
                nonlocal sent
                underway.keep(run, "act-1")
                sent += 1
                await anyio.sleep(300)
                return Body(data={"status": "success"}).result()

            told: list[float] = []

            async def hear(seconds: float, _: str) -> None:
                told.append(seconds)

            result = await underway.run(MAKE, work, anyio.current_time() + 45, hear)
            assert anyio.current_time() == 45
            assert result.structured[WAITING]["arguments"] == {"id": "act-1"}
            assert all(late - early <= 15 for early, late in zip([0.0, *told], [*told, 45.0], strict=True))
            reports = len(told)
            run = underway.find("act-1")
            assert run is not None
            with anyio.move_on_after(10):
                await underway.result(run, anyio.current_time() + 45, None)
            assert not run.done.is_set()  # whoever stops waiting stops nothing else
            while WAITING in result.structured:
                result = await underway.result(run, anyio.current_time() + 45, None)
            assert result.structured == {"status": "success"}
            assert anyio.current_time() == 300
            assert (await underway.result(run, anyio.current_time(), None)).structured == {"status": "success"}
            assert (sent, len(told)) == (1, reports)  # nothing is reported once a call is answered

    run_virtually(story)


def test_what_was_not_sent_in_time_or_is_called_off_by_its_host_is_given_up() -> None:
    async def story() -> None:
        async with anyio.create_task_group() as group:
            underway = Underway(lambda work: void(group.start_soon(work)))
            ended: list[str] = []

            async def slow(run: Run) -> Result:
                try:
                    await anyio.sleep(100)
                finally:
                    ended.append("slow")
                return Body(data={}).result()

            with pytest.raises(TransportError) as refused:
                await underway.run(READ, slow, anyio.current_time() + 45, None)
            assert (refused.value.error_code, refused.value.retryable) == ("timeout", True)
            with anyio.move_on_after(5):
                await underway.run(READ, slow, anyio.current_time() + 45, None)
            await anyio.sleep(1)
            assert ended == ["slow", "slow"]

            async def acting(run: Run) -> Result:
                underway.keep(run, "act-2")
                try:
                    await anyio.sleep(100)
                finally:
                    ended.append("acting")
                return Body(data={}).result()

            with anyio.move_on_after(5):
                await underway.run(MAKE, acting, anyio.current_time() + 45, None)
            await anyio.sleep(1)
            assert ended == ["slow", "slow", "acting"]  # its connection is closed
            assert underway.find("act-2") is None  # the journal knows what became of it

    run_virtually(story)


def test_a_report_that_is_refused_ends_no_run() -> None:
    async def story() -> None:
        async def fail(_: float, __: str) -> None:
            raise anyio.ClosedResourceError

        async def work() -> int:
            await anyio.sleep(30)
            return 7

        assert await reporting(work(), fail, MAKE) == 7

    run_virtually(story)


@pytest.mark.parametrize(("within", "longest"), [(45.0, 38.0), (240.0, 233.0), (8.0, 4.0), (2.0, 1.0)])
def test_a_question_to_a_person_counts_into_the_time_of_a_call(within: float, longest: float) -> None:
    assert patience(within) == longest


def test_what_changes_something_here_is_not_given_up_when_the_time_is_over() -> None:
    """Such as the stop, which cancels what is under way one after another."""

    async def story() -> None:
        async with anyio.create_task_group() as group:
            underway = Underway(lambda work: void(group.start_soon(work)))

            async def stopping(run: Run) -> Result:
                underway.keep(run)
                await anyio.sleep(100)
                return Body(data={"stopped": True}).result()

            stop = by_tool()["kallyai_stop"]
            first = await underway.run(stop, stopping, anyio.current_time() + 45, None)
            number = first.structured["_waiting"]["id"]
            run = underway.find(number)
            assert run is not None
            assert (await underway.result(run, None, None)).structured == {"stopped": True}

    run_virtually(story)

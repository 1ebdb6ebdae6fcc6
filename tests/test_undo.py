"""Run and take back: the sandbox is where it was, and stays there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from act_cases import CASES, Arguments, Run, command_of, look, run
from sandbox_api import SandboxApi, open_sandbox

from kallyai_mcp.catalog import all_commands, by_tool
from kallyai_mcp.engine.naming import everything, undo_sentence
from kallyai_mcp.model import Undo
from kallyai_mcp.model.undoing import Way, chain, tool_of, undo_call, undo_calls, value_of, ways

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from datetime import datetime

    from kallyai_mcp.model import Command

UNDOABLE = [command.name for command in all_commands() if command.undo is not None]

TOLD = {"action", "ledger", "coordinator_message", "conversation", "message", "request"}
"""Kinds of documents that only tell what happened."""
BY_ITSELF = {"inbound_call", "inbound_event", "voicemail"}
"""Kinds of documents that come by themselves."""
OFF = {"cancelled", "undone"}

State = dict[tuple[str, str], dict[str, Any]]
"""Documents by their kinds and identifiers."""


@pytest.fixture
async def api() -> AsyncGenerator[SandboxApi]:
    async with open_sandbox() as api:
        # What a world begins with is older than any run.
        api.wait(3600)
        yield api


def state(api: SandboxApi) -> State:
    """Return all documents that matter: nothing that is off, no stamps of time, no record of changes."""
    world = api.world
    return {
        (kind, document["id"]): {
            name: value for name, value in document.items() if not name.endswith("_at") and name != "changes"
        }
        for kind in world.counts().keys() - TOLD - BY_ITSELF
        for document in world.all(kind)
        if document.get("status") not in OFF and document.get("connected") is not False
    }


async def seen_before(api: SandboxApi, command: Command, arguments: Arguments) -> dict[str, Any] | None:
    if command.subject is None:
        return None
    return next(iter(await look(api, command.subject.look, arguments)), None)


async def take_back(
    api: SandboxApi,
    command: Command,
    arguments: Arguments,
    answer: dict[str, Any],
    before: dict[str, Any] | None = None,
    *,
    since: datetime | None = None,
) -> Way:
    """Try the ways in their order, as the engine does, and return the one that the service accepts."""
    assert command.undo is not None
    sources = {source for undo in chain(command.undo) for source in undo.arguments.values()}
    is_told = bool(answer) and any("answer." in source for source in sources)
    found = [] if is_told or command.undo.look is None else await look(api, command.undo.look, arguments, since)
    for way in ways(command, arguments, answer, next(iter(found), None), before):
        if way.arguments is not None:
            said = await api.send(by_tool()[way.tool].name, **way.arguments)
            if said.is_success:
                return way
            assert said.status_code in {404, 409}, said.text
    raise AssertionError(f"no way to take {command.name} back")


async def step_ahead(api: SandboxApi) -> Arguments:
    """Agree beforehand to the sending of a mail that is still to be written."""
    goal = await api.run("ask", message="Write to bo@mail.example that I am late")
    return {"goal_id": goal["goal_id"]}


TO_TAKE_BACK = CASES | {"coord approve-step": step_ahead}


@pytest.mark.anyio
@pytest.mark.parametrize("is_answered", [True, False], ids=["answered", "answer_lost"])
@pytest.mark.parametrize("name", [name for name in UNDOABLE if name != "calls make"])
async def test_what_is_done_and_undone_leaves_the_sandbox_as_it_was(
    api: SandboxApi, name: str, *, is_answered: bool
) -> None:
    command, arguments = command_of(name), await TO_TAKE_BACK[name](api)
    subject = await seen_before(api, command, arguments)
    before, sent = state(api), api.world.clock.now()

    answer = await run(api, name, arguments)
    assert state(api) != before
    way = await take_back(api, command, arguments, answer if is_answered else {}, subject, since=sent)
    api.wait(3600)

    after = state(api)
    if not way.undo.restores:
        # What the arguments stand for is off, and what belongs to it with it.
        ended = {arguments[name] for name in arguments.keys() & {"goal_id", "call_id", "task_id"}}
        assert not ended & {id_ for _, id_ in after}
        before, after = without(before, ended), without(after, ended)
    assert after == before


def without(documents: State, ended: set[str]) -> State:
    return {key: one for key, one in documents.items() if not {key[1], one.get("goal_id")} & ended}


@pytest.mark.anyio
@pytest.mark.parametrize(("seconds", "price"), [(0, 0), (3, 0), (30, 1.1)], ids=["queued", "ringing", "talking"])
async def test_a_call_is_stopped_at_any_time_of_its_life(api: SandboxApi, seconds: float, price: float) -> None:
    command, arguments = command_of("calls make"), await CASES["calls make"](api)
    left = await api.credits_left()
    before = state(api)

    running = Run(api, "calls make", arguments)
    async with anyio.create_task_group() as group:
        group.start_soon(running)
        await anyio.wait_all_tasks_blocked()
        api.wait(seconds)
        assert (await take_back(api, command, arguments, {})).tool == "kallyai_calls_stop"
    api.wait(3600)

    assert running.answer["status"] == "cancelled"
    assert price == running.answer["credits_used"] == pytest.approx(left - await api.credits_left())
    if not price:
        assert state(api) == before


@pytest.mark.anyio
async def test_a_call_that_waits_for_its_time_is_cancelled_where_it_cannot_be_stopped(api: SandboxApi) -> None:
    command, arguments = command_of("calls make"), {"phone": "+12025550147"}
    waiting = await CASES["calls cancel"](api)
    way = await take_back(api, command, arguments, {})
    assert (way.tool, way.arguments) == ("kallyai_calls_cancel", waiting)


def test_a_call_that_is_over_is_not_to_be_stopped() -> None:
    command = command_of("calls make")
    assert undo_call(command, {}, {"call_id": "c_1", "status": "success"}) is None
    assert undo_call(command, {}, {}, {"call_id": "c_1", "status": "voicemail"}) is None
    assert undo_calls(command, {}, {"call_id": "c_1", "status": "in_progress"}) == (
        ("kallyai_calls_stop", {"call_id": "c_1"}),
        ("kallyai_calls_cancel", {"call_id": "c_1"}),
    )


# What was there before


@pytest.mark.anyio
async def test_a_forwarding_is_put_back_to_where_it_went(api: SandboxApi) -> None:
    number = (await CASES["phone remove-forwarding"](api))["phone_number_id"]
    command, arguments = command_of("phone forwarding"), {"phone_number_id": number, "target": "+12025550191"}
    subject, before = await seen_before(api, command, arguments), state(api)
    answer = await run(api, "phone forwarding", arguments)
    way = await take_back(api, command, arguments, answer, subject)
    assert (way.tool, way.undo.restores) == ("kallyai_phone_forwarding", True)
    assert state(api) == before


@pytest.mark.anyio
async def test_a_forwarding_where_there_was_none_is_taken_away(api: SandboxApi) -> None:
    command, arguments = command_of("phone forwarding"), await CASES["phone forwarding"](api)
    subject, before = await seen_before(api, command, arguments), state(api)
    assert subject is not None
    assert subject["forwarding_number"] is None
    answer = await run(api, "phone forwarding", arguments)
    assert [(way.tool, way.restores) for way in ways(command, arguments, answer, None, subject)] == [
        ("kallyai_phone_remove_forwarding", True)
    ]
    await take_back(api, command, arguments, answer, subject)
    assert state(api) == before


def test_what_was_not_there_is_not_put_back() -> None:
    number = {"phone_number_id": "pn_1"}
    nothing = {"id": "pn_1", "forwarding_number": None, "caller_id_name": None}
    for name, arguments in {"remove-forwarding": number, "caller-id": number | {"name": "Sam"}}.items():
        assert ways(command_of(f"phone {name}"), arguments, {}, None, nothing) == ()
        assert ways(command_of(f"phone {name}"), arguments, {}, None, None)[0].arguments is None


@pytest.mark.anyio
async def test_a_booking_that_can_no_longer_be_undone_is_called_off(api: SandboxApi) -> None:
    command, arguments = command_of("actions booking create"), {"type": "hotel", "date": "2026-03-06"}
    answer = await run(api, "actions booking create", arguments)
    api.wait(301)
    way = await take_back(api, command, arguments, answer)
    assert (way.tool, way.undo.restores) == ("kallyai_actions_booking_cancel", False)
    assert api.world.need("booking", answer["id"])["status"] == "cancelled"


def test_an_upgrade_a_main_address_and_a_messenger_connected_before_are_not_put_back() -> None:
    upgraded = {"success": True, "change_type": "upgrade"}
    assert undo_call(command_of("subscription change-plan"), {"plan": "pro"}, upgraded) is None
    made_main = {"email_id": "a", "primary": True}
    assert undo_call(command_of("channels email-update"), made_main, {}, None, {"is_primary": False}) is None
    connected = {"channel": "telegram", "connected": True}
    assert undo_call(command_of("channels connect"), {"channel": "telegram"}, {}, None, connected) is None


def test_only_what_the_run_was_given_is_put_back() -> None:
    command = command_of("inbound update-rule")
    rule: dict[str, Any] = {
        "id": "r_1",
        "name": "VIPs",
        "action": "answer",
        "priority": 50,
        "conditions": {},
        "is_active": True,
    }
    arguments = {"rule_id": "r_1", "is_active": False, "conditions": {"caller_vip": True}}
    restored: dict[str, Any] = {"rule_id": "r_1", "is_active": True, "conditions": {}}
    assert undo_call(command, arguments, {}, None, rule) == ("kallyai_inbound_update_rule", restored)
    assert undo_call(command, arguments | {"action_config": {}}, {}, None, rule) is None
    assert undo_call(command, arguments, {}) is None


# How a value is found


def test_a_value_is_the_first_alternative_that_is_there() -> None:
    known = {"answer": {"id": None, "task": {"id": "t_2"}}, "entry": {"id": "t_1"}, "args": {}, "before": {}}
    assert value_of("answer.id|entry.id", known) == "t_1"
    assert value_of("answer.task.id|entry.id", known) == "t_2"
    assert value_of("args.id|before.id", known) is None


def test_a_way_whose_arguments_are_not_known_is_shown_without_them() -> None:
    ride = command_of("actions ride")
    assert [(way.tool, way.arguments) for way in ways(ride, {}, {})] == [("kallyai_actions_undo", None)]
    assert undo_call(ride, {}, {}) is None
    assert undo_call(ride, {}, {}, {"id": "a_1", "undoable": True}) == (
        "kallyai_actions_undo",
        {"action_id": "a_1"},
    )
    assert ways(ride, {}, {}, {"id": "a_1", "undoable": False}) == ()


def test_before_a_run_it_is_told_how_it_would_be_taken_back() -> None:
    command, arguments = command_of("phone forwarding"), {"phone_number_id": "pn_1", "target": "+12025550143"}
    for before, tool in ((None, "forwarding"), ("+12025550191", "forwarding"), ("", "remove_forwarding")):
        subject = None if before is None else {"id": "pn_1", "forwarding_number": before or None}
        told = undo_sentence(command, everything, arguments, subject)
        assert told == f"It can be undone with kallyai_phone_{tool} until it is changed again."
    assert undo_sentence(command_of("actions email approve"), everything) == "It cannot be undone."


def test_a_run_that_stays_has_no_way_back() -> None:
    assert ways(command_of("actions email approve"), {"email_id": "m_1"}, {}) == ()


def test_a_way_that_is_excluded_leaves_the_others() -> None:
    command = command_of("actions booking create")
    assert command.undo is not None
    gone = ways(command, {}, {"id": "b_1"}, {"id": "a_1", "undoable": False})
    assert [way.undo for way in gone] == [command.undo.otherwise]


def test_a_chain_ends_where_nothing_else_is_declared() -> None:
    last = Undo(command="calls cancel", arguments={}, until="")
    first = replace(last, command="calls stop", otherwise=last)
    assert list(chain(first)) == [first, last]
    assert list(chain(None)) == []


def test_the_tool_of_a_command_is_found_by_its_name() -> None:
    assert {tool_of(command.name) for command in all_commands()} == by_tool().keys()

"""For each act, and each search: what a run of it needs in a new sandbox, and the run itself, however long it lasts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import anyio
from anyio import wait_all_tasks_blocked

from kallyai_mcp.catalog import by_words
from kallyai_mcp.model.looking import entries, given, judge

if TYPE_CHECKING:
    from datetime import datetime

    from sandbox_api import SandboxApi

    from kallyai_mcp.model import Command, Look

Arguments = dict[str, Any]
Prepare = Callable[["SandboxApi"], Awaitable[Arguments]]

LONG = 600.0
"""Sandbox seconds in which every call and import is over."""

CASES: dict[str, Prepare] = {}
"""By the name of the command: makes ready what it acts on and returns its arguments."""


def command_of(name: str) -> Command:
    return by_words()[tuple(name.split())]


class Run:
    """A run under way. Its answer is there once it is over; calls and imports need time to pass."""

    def __init__(self, api: SandboxApi, name: str, arguments: Arguments) -> None:
        self._api = api
        self._name = name
        self._arguments = arguments
        self.answer: dict[str, Any] = {}

    async def __call__(self) -> None:
        answer = await self._api.send(self._name, **self._arguments)
        assert answer.is_success, answer.text
        self.answer = answer.json() if answer.content else {}


async def run(api: SandboxApi, name: str, arguments: Arguments) -> dict[str, Any]:
    """Run a command to its end and return its answer."""
    running = Run(api, name, arguments)
    async with anyio.create_task_group() as group:
        group.start_soon(running)
        await wait_all_tasks_blocked()
        if name in {"calls make", "inbound import-contacts"}:
            api.wait(LONG)
    return running.answer


async def look(
    api: SandboxApi, where: Look, arguments: Arguments, since: datetime | None = None
) -> list[dict[str, Any]]:
    """Return the entries that a look surely means."""
    answer = await read(api, where, arguments)
    return [dict(entry) for entry in entries(where, answer) if judge(where, entry, arguments, since)]


async def read(api: SandboxApi, where: Look, arguments: Arguments) -> dict[str, Any]:
    """Return the answer of the command that reads."""
    return await api.run(where.command, **given(where, arguments))


def case(name: str) -> Callable[[Prepare], Prepare]:
    def keep(prepare: Prepare) -> Prepare:
        CASES[name] = prepare
        return prepare

    return keep


def plain(name: str, /, **arguments: Any) -> None:
    async def prepare(api: SandboxApi) -> Arguments:
        return arguments

    CASES[name] = prepare


async def first(api: SandboxApi, name: str, entries_: str, **facts: Any) -> dict[str, Any]:
    """Return the first entry of a list that has these values."""
    listed = (await api.run(name))[entries_]
    return next(entry for entry in listed if facts.items() <= entry.items())


async def seeded_goal(api: SandboxApi, words: str) -> Arguments:
    goals = (await api.run("coord goals"))["goals"]
    return {"goal_id": next(goal["id"] for goal in goals if words in goal["title"])}


plain("ask", message="Call +12025550107 and ask when they close on Sunday")
plain("coord message", text="Call +12025550107 and ask what a haircut costs")
plain("calls make", phone="+12025550107", task="Ask when they close on Sunday", user_phone="+12025550190")
plain("outreach create", target="+12025550107", description="Ask whether the frame is ready")
plain("inbound add-rule", name="Pass the bank on", action="transfer", action_config={"target_number": "+12025550191"})
plain("inbound import-contacts", source="google")
plain("phone provision", country="US", area_code="212")
plain("phone verify-start", number="+12025550190")
plain("actions booking create", type="restaurant", date="2026-03-06", time="19:30", party_size=2, name="Sam")
plain("actions bill dispute", description="Internet, February", amount=80.0, reason="Twice the price agreed")
plain("actions ride", pickup="12 Mercer St", destination="Central Station")
plain("actions food", description="Two pizzas from the corner")
plain("actions errand", description="Fetch the shirts from the cleaner's")
plain("actions email send", to="desk@hotel.example", subject="Late arrival", body="I come at 11.", cc="bo@mail.example")
plain("channels email-add", address="sam@club.example", name="Club", primary=True)
plain("channels connect", channel="telegram")
plain("channels disconnect", channel="whatsapp")
plain("search run", query="Locksmith on Sundays", location="Springfield")
plain("search quick", query="Cobbler")
plain("actions restaurant search", query="Thai")
plain("actions bill analyze", description="Internet, February", amount=80.0)


@case("calls cancel")
@case("calls reschedule")
async def _scheduled_call(api: SandboxApi) -> Arguments:
    call = await first(api, "calls history", "items", status="scheduled")
    return {"call_id": call["call_id"]}


@case("calls stop")
async def _running_call(api: SandboxApi) -> Arguments:
    goal = await api.run("ask", message="Call +12025550107 and ask when they close")
    api.wait(60)
    shown = await api.run("coord goal", goal_id=goal["goal_id"])
    return {"call_id": shown["steps"][0]["call_id"]}


@case("inbound takeover")
@case("inbound reject")
async def _running_inbound_call(api: SandboxApi) -> Arguments:
    call = await first(api, "inbound calls", "calls", status="active")
    return {"call_id": call["id"]}


@case("inbound transfer")
async def _transfer(api: SandboxApi) -> Arguments:
    return await _running_inbound_call(api) | {"to": "+12025550191"}


@case("inbound delete-rule")
async def _rule(api: SandboxApi) -> Arguments:
    return {"rule_id": (await api.run("inbound rules"))["rules"][0]["id"]}


@case("inbound update-rule")
async def _rule_changes(api: SandboxApi) -> Arguments:
    changed = {"action": "transfer", "is_active": False, "action_config": {"target_number": "+12025550191"}}
    return await _rule(api) | changed


@case("inbound delete-contact")
async def _contact(api: SandboxApi) -> Arguments:
    return {"contact_id": (await api.run("inbound contacts"))["contacts"][0]["id"]}


@case("phone release")
@case("phone remove-forwarding")
async def _number(api: SandboxApi) -> Arguments:
    number = (await api.run("phone list"))["phone_numbers"][0]
    await api.run("phone forwarding", phone_number_id=number["id"], target="+12025550192")
    return {"phone_number_id": number["id"]}


@case("phone forwarding")
async def _forwarding(api: SandboxApi) -> Arguments:
    number = (await api.run("phone list"))["phone_numbers"][0]
    return {"phone_number_id": number["id"], "target": "+12025550191"}


@case("phone caller-id")
async def _caller_name(api: SandboxApi) -> Arguments:
    number = (await api.run("phone list"))["phone_numbers"][0]
    return {"phone_number_id": number["id"], "name": "S Rivera"}


@case("actions calendar delete")
async def _event(api: SandboxApi) -> Arguments:
    event = await api.run("actions calendar create", title="Review", start="2026-03-05T10:00")
    return {"event_id": event["id"]}


@case("actions booking cancel")
async def _booking(api: SandboxApi) -> Arguments:
    return {"booking_id": (await api.run("actions booking create", type="hotel"))["id"]}


@case("actions email approve")
@case("actions email cancel")
async def _draft(api: SandboxApi) -> Arguments:
    mail = await first(api, "actions email outbox", "emails", status="pending_approval")
    return {"email_id": mail["id"]}


@case("actions undo")
async def _undoable(api: SandboxApi) -> Arguments:
    return {"action_id": (await api.run("actions errand", description="Buy stamps"))["id"]}


@case("email disconnect")
async def _account(api: SandboxApi) -> Arguments:
    return {"account_id": (await api.run("email accounts"))["accounts"][0]["id"]}


@case("email respond")
async def _mail(api: SandboxApi) -> Arguments:
    return {"message_id": (await api.run("email list"))["messages"][0]["id"], "instructions": "Yes, please."}


@case("channels email-delete")
async def _address(api: SandboxApi) -> Arguments:
    return {"email_id": (await api.run("channels email-list"))["emails"][1]["id"]}


@case("channels email-update")
async def _address_changes(api: SandboxApi) -> Arguments:
    return await _address(api) | {"name": "Attic", "receives_copies": False}


@case("outreach retry")
async def _failed_task(api: SandboxApi) -> Arguments:
    return {"task_id": (await first(api, "outreach tasks", "tasks", status="failed"))["id"]}


@case("outreach cancel")
async def _waiting_task(api: SandboxApi) -> Arguments:
    return {"task_id": (await first(api, "outreach tasks", "tasks", status="pending"))["id"]}


@case("coord cancel-goal")
@case("coord cascade-cancel")
async def _plan(api: SandboxApi) -> Arguments:
    return await seeded_goal(api, "farewell party")


@case("coord approve-step")
async def _waiting_step(api: SandboxApi) -> Arguments:
    return await seeded_goal(api, "Trattoria Verde")


@case("coord continue")
async def _offer(api: SandboxApi) -> Arguments:
    goal = await api.run("ask", message="Negotiate my phone bill with Acme Telecom")
    api.wait(LONG)
    return {"goal_id": goal["goal_id"]}


@case("budget approve")
async def _waiting_budget(api: SandboxApi) -> Arguments:
    goal = await api.run("ask", message="Call +12025550107 about the sofa, needs a budget")
    return {"goal_id": goal["goal_id"]}


@case("budget ack-cap")
async def _soft_cap(api: SandboxApi) -> Arguments:
    return await seeded_goal(api, "Atlas Movers")


@case("subscription change-plan")
async def _smaller_plan(api: SandboxApi) -> Arguments:
    await api.run("subscription change-plan", plan="power")
    return {"plan": "pro"}


@case("subscription cancel-change")
async def _pending_change(api: SandboxApi) -> Arguments:
    await api.run("subscription change-plan", **await _smaller_plan(api))
    return {}

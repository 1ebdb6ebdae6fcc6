"""Outreach: somebody is contacted on the channel that fits, and what came of it is kept attempt by attempt."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox import triggers
from kallyai_mcp.sandbox.area import Area, Reply
from kallyai_mcp.sandbox.areas import postbox, reach, telephony
from kallyai_mcp.sandbox.areas.paging import page, without
from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from kallyai_mcp.commands.outreach import (
        CancelOutreach,
        ContactSomebody,
        ListOutreachTasks,
        RetryOutreach,
        ShowOutreachTask,
    )
    from kallyai_mcp.sandbox.world import World

area = Area()

MESSAGE_PRICE = 0.3
"""A message over a messenger; the facts name no price of its own, so it is that of a mail."""
_BEGINS_AFTER = 5.0
_SEEN_AFTER = 30.0
_PHONE = re.compile(r"\+[1-9][0-9]{1,14}")


@area.answers("outreach tasks")
def tasks(world: World, args: ListOutreachTasks) -> dict[str, Any]:
    wanted = {part.strip() for part in args.status.split(",")} if args.status else None
    found = [task for task in reversed(world.all("outreach_task")) if wanted is None or task["status"] in wanted]
    part = page(found, args)
    return {
        "tasks": [without(task, "attempts", "auto_execute", "coordination_message_id") for task in part],
        "total": len(found),
        "has_more": (args.offset or 0) + len(part) < len(found),
    }


@area.answers("outreach task")
def task(world: World, args: ShowOutreachTask) -> dict[str, Any]:
    return world.need("outreach_task", args.task_id)


@area.answers("outreach create")
def create(world: World, args: ContactSomebody) -> Reply:
    channel = args.channel or _choose(args.target)
    _check(world, channel, args.target, args.description)
    now = world.now()
    new = world.add(
        "outreach_task",
        {
            "goal": args.description,
            "recipient_identifier": args.target,
            "recipient_name": args.recipient_name,
            "status": "pending",
            "urgency": args.urgency or "normal",
            "selected_channel": channel,
            "completed_via_channel": None,
            "completion_summary": None,
            "created_at": now,
            "updated_at": now,
            "completed_at": None,
            "auto_execute": args.auto_execute is not False,
            "coordination_message_id": args.coordination_message_id,
            "attempts": [],
        },
    )
    if new["auto_execute"]:
        world.later(_BEGINS_AFTER, "outreach_begins", task_id=new["id"])
    return Reply(new, status=201)


def _choose(target: str) -> str:
    """Choose the channel by the form of the recipient.

    Raises:
        Refusal: 422 when it is neither a number, an address nor a handle.
    """
    if _PHONE.fullmatch(target):
        return "call"
    if re.fullmatch(r"@\w+", target):
        return "telegram"
    if re.fullmatch(r"[^@\s]+@[^@\s]+", target):
        return "email"
    raise Refusal(status=422, message="The recipient is neither a number (+ and digits), an address nor a @handle.")


def _check(world: World, channel: str, target: str, goal: str) -> None:
    """Refuse what can never reach the recipient.

    Raises:
        Refusal: `missing_phone_number` or what forbids a call to the number; `email_not_connected`; 422 or 409.
    """
    match channel:
        case "call":
            if not _PHONE.fullmatch(target):
                raise Refusal("missing_phone_number")
            telephony.check(world, reach.order(target, goal))
        case "email":
            if _choose_or_none(target) != "email":
                raise Refusal(status=422, message="The recipient is no mail address.")
            postbox.connected_account(world)
        case _:
            messenger = world.get("channel", channel)
            if messenger is None or not messenger["connected"]:
                raise Refusal(status=409, message=f"{channel} is not connected; use channels connect.")


def _choose_or_none(target: str) -> str | None:
    try:
        return _choose(target)
    except Refusal:
        return None


@area.answers("outreach retry")
def retry(world: World, args: RetryOutreach) -> dict[str, Any]:
    """Try a task again that failed, or begin one that was left waiting."""
    one = world.need("outreach_task", args.task_id)
    if one["status"] != "failed" and (one["status"] != "pending" or one["auto_execute"]):
        raise Refusal(status=409, message=f"Only a failed or waiting task is tried; this one is {one['status']}.")
    _check(world, one["selected_channel"], one["recipient_identifier"], one["goal"])
    one = _save(world, one | {"status": "pending", "completion_summary": None, "auto_execute": True})
    world.later(_BEGINS_AFTER, "outreach_begins", task_id=one["id"])
    return one


@area.answers("outreach cancel")
def cancel(world: World, args: CancelOutreach) -> dict[str, Any]:
    one = world.need("outreach_task", args.task_id)
    if one["status"] == "cancelled":
        return one
    if one["status"] in ("completed", "failed"):
        raise Refusal(status=409, message=f"The task has ended: its status is {one['status']}.")
    one = _save(world, one | {"status": "cancelled"})
    for attempt in one["attempts"]:
        if attempt["status"] == "in_progress":
            attempt |= {"status": "cancelled", "completed_at": world.now()}
            if call_id := attempt.get("call_id"):
                reach.hang_up(world, call_id)
    return _save(world, one)


def _save(world: World, one: dict[str, Any]) -> dict[str, Any]:
    one |= {"updated_at": world.now()}
    world.save("outreach_task", one)
    return one


@area.event("outreach_begins")
def begins(world: World, data: dict[str, Any]) -> None:
    one = world.get("outreach_task", data["task_id"])
    if one is None or one["status"] != "pending":
        return
    channel = one["selected_channel"]
    attempt = {"channel": channel, "status": "in_progress", "started_at": world.now(), "completed_at": None}
    one["attempts"].append(attempt)
    one = _save(world, one | {"status": "in_progress"})
    try:
        _contact(world, one, attempt)
    except Refusal as refusal:
        _end(world, one, "failed", refusal.message)


def _contact(world: World, one: dict[str, Any], attempt: dict[str, Any]) -> None:
    target, goal, name = one["recipient_identifier"], one["goal"], one["recipient_name"]
    match attempt["channel"]:
        case "call":
            wanted = reach.order(target, goal, whom=name, is_urgent=one["urgency"] == "high" or None)
            attempt["call_id"] = reach.place(world, wanted, then="outreach_call_over")
        case "email":
            greeting = f"Hello {name}" if name else "Hello"
            mail = postbox.approve(world, postbox.draft(world, target, goal[:80], f"{greeting},\n\n{goal}"))
            attempt["email_id"] = mail["id"]
            world.later(_SEEN_AFTER + postbox.BOUNCED_AFTER, "outreach_seen", task_id=one["id"])
        case channel:
            world.charge(MESSAGE_PRICE, type="message", description=f"Message by {channel}")
            world.later(_SEEN_AFTER, "outreach_seen", task_id=one["id"])
    _save(world, one)


@area.event("outreach_call_over")
def call_over(world: World, data: dict[str, Any]) -> None:
    call = world.need("call", data["call_id"])
    for one in world.all("outreach_task", status="in_progress"):
        if one["attempts"][-1].get("call_id") == call["id"]:
            good = call["status"] == "success"
            summary = call["highlights"] if good else reach.NOT_REACHED[call["status"]]
            _end(world, one, call["status"], summary)


@area.event("outreach_seen")
def seen(world: World, data: dict[str, Any]) -> None:
    one = world.get("outreach_task", data["task_id"])
    if one is None or one["status"] != "in_progress":
        return
    attempt = one["attempts"][-1]
    mail = world.get("outbox_email", attempt.get("email_id") or "")
    if mail is not None and mail["status"] == "failed":
        _end(world, one, "failed", mail["failure_reason"])
    elif mail is not None:
        _end(world, one, "success", "The mail is delivered.")
    elif triggers.outcome("task", one["goal"]) == "fails":
        _end(world, one, "failed", "The recipient cannot be reached there.")
    else:
        _end(world, one, "success", "The message was read and answered: agreed.")


def _end(world: World, one: dict[str, Any], result: str, summary: str) -> None:
    attempt = one["attempts"][-1]
    attempt |= {"status": result, "completed_at": world.now()}
    one["completion_summary"] = summary
    if result == "success":
        done = {"status": "completed", "completed_via_channel": attempt["channel"], "completed_at": world.now()}
        _save(world, one | done)
    else:
        _save(world, one | {"status": "failed"})


_SEEDED: tuple[tuple[float, str, str, str, str, str, str | None], ...] = (
    (
        30,
        "Ask the landlord about the heating",
        "+12125550134",
        "Ms Ortiz",
        "call",
        "success",
        "Engineer comes on Monday",
    ),
    (
        8,
        "Ask the framer whether the picture is ready",
        "+12025550102",
        "Frame Shop",
        "call",
        "no_answer",
        "Nobody answered.",
    ),
    (1, "Tell the book club that Thursday is off", "club@books.example", "Book club", "email", "pending", None),
)
"""Hours ago, what about, recipient, name, channel, result of the attempt, summary."""


@area.seeds
def seed(world: World) -> None:
    now = world.clock.now()
    for hours, goal, target, name, channel, result, summary in _SEEDED:
        with world.clock.showing(now - timedelta(hours=hours)):
            begun = world.now()
        with world.clock.showing(now - timedelta(hours=hours) + timedelta(minutes=4)):
            ended = world.now()
        attempted, good = result != "pending", result == "success"
        attempts = [{"channel": channel, "status": result, "started_at": begun, "completed_at": ended}]
        world.add(
            "outreach_task",
            {
                "goal": goal,
                "recipient_identifier": target,
                "recipient_name": name,
                "status": "completed" if good else "failed" if attempted else "pending",
                "urgency": "normal",
                "selected_channel": channel,
                "completed_via_channel": channel if good else None,
                "completion_summary": summary,
                "created_at": begun,
                "updated_at": ended if attempted else begun,
                "completed_at": ended if good else None,
                "auto_execute": attempted,
                "coordination_message_id": None,
                "attempts": attempts if attempted else [],
            },
        )

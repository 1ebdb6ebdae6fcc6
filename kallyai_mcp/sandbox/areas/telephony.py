"""The life of a call that the assistant places: checked, queued, ringing, talking, over."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import anyio

from kallyai_mcp.model.codes import UPGRADE_PAGE
from kallyai_mcp.sandbox.areas.conversations import Line, Order, converse, results
from kallyai_mcp.sandbox.clock import iso, moment
from kallyai_mcp.sandbox.numbers import Outcome, outcome_of, refused_phrase
from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from kallyai_mcp.sandbox.world import World

BASE_CREDITS = 1.0
CREDITS_PER_MINUTE = 0.1
"""Prices of a call: the base, and every started minute of talk. Nothing is charged where nobody answers."""

WAITING = ("scheduled", "queued")
RUNNING = ("queued", "ringing", "in_progress")

_DIALLING = 1.0
_RINGING = {Outcome.NO_ANSWER: 30.0, Outcome.CALLS_BACK: 30.0, Outcome.BUSY: 2.0, Outcome.FAILED: 2.0}
_STATUS = {
    Outcome.BUSY: "busy",
    Outcome.NO_ANSWER: "no_answer",
    Outcome.CALLS_BACK: "no_answer",
    Outcome.VOICEMAIL: "voicemail",
    Outcome.FAILED: "failed",
    Outcome.DECLINED: "failed",
    Outcome.DISCONNECTED: "failed",
}
_SHOWN = (
    "call_id",
    "status",
    "highlights",
    "next_steps",
    "duration_seconds",
    "credits_used",
    "metadata",
    "submission",
    "to",
    "business_name",
    "result_summary",
    "created_at",
    "scheduled_for",
    "goal_id",
)


def show(call: dict[str, Any]) -> dict[str, Any]:
    """Return a call as the API shows it."""
    return {name: call[name] for name in _SHOWN if call.get(name) is not None}


def check(world: World, order: Order) -> Outcome:
    """Say what will become of a call, if it may be placed at all.

    Raises:
        Refusal: The number, the task, the date or the balance does not allow it.
    """
    if row := refused_phrase(order.task_description):
        raise Refusal(row.code)
    outcome = outcome_of(order.respondent_phone)
    if outcome.refusal is not None:
        raise Refusal(outcome.refusal)
    _check_date(world, order)
    # What a call can cost at least; a talk that outlasts the balance takes what is left.
    if not world.can_pay(BASE_CREDITS + CREDITS_PER_MINUTE):
        raise Refusal("quota_exceeded", details={"upgrade_url": UPGRADE_PAGE})
    return outcome


def place(world: World, order: Order, *, goal_id: str | None = None, then: str | None = None) -> dict[str, Any]:
    """Put a call in the queue; it runs by itself.

    Args:
        world: Where it happens.
        order: What it is to settle.
        goal_id: Goal it is made for, which the charge is entered under.
        then: Event that happens when it is over, with `call_id` and `goal_id`.

    Raises:
        Refusal: See `check`.
    """
    call = create(world, order, check(world, order), goal_id=goal_id, then=then)
    world.later(_DIALLING, "call_rings", call_id=call["id"])
    return call


def create(
    world: World, order: Order, outcome: Outcome, *, goal_id: str | None = None, then: str | None = None
) -> dict[str, Any]:
    """Store a queued call that nothing has been planned for yet."""
    talk = converse(order, outcome, world.clock.now().date())
    call_id = world.new_id("call")
    return world.add(
        "call",
        {
            "call_id": call_id,
            "status": "queued",
            "to": order.respondent_phone,
            "business_name": order.business_name,
            "created_at": world.now(),
            "metadata": {"created_at": world.now()},
            "submission": order.submission(),
            "timezone": order.timezone,
            "goal_id": goal_id,
            "then": then,
            "transcript": [],
            "answered_at": None,
            "plan": {
                "outcome": outcome.value,
                "rings": _RINGING.get(outcome, 4.0 + world.random.randrange(5)),
                "lines": [[line.speaker, line.content, line.second] for line in talk.lines],
                "seconds": talk.seconds,
                "highlights": talk.highlights,
                "next_steps": talk.next_steps,
                "appointment": talk.appointment,
            },
        },
        id=call_id,
    )


def schedule(world: World, call: dict[str, Any], at: datetime) -> dict[str, Any]:
    """Let a call that has not begun be placed by itself at a moment."""
    call |= {"status": "scheduled", "scheduled_for": iso(at)}
    world.save("call", call)
    world.later((at - world.clock.now()).total_seconds(), "call_is_due", call_id=call["id"], at=call["scheduled_for"])
    return call


def begin(world: World, call_id: str, at: str) -> None:
    """Queue a scheduled call, unless it was cancelled or moved since."""
    call = world.get("call", call_id)
    if call and call["status"] == "scheduled" and call["scheduled_for"] == at:
        world.save("call", call | {"status": "queued", "scheduled_for": None})
        world.later(_DIALLING, "call_rings", call_id=call_id)


def ring(world: World, call_id: str) -> None:
    """Let a queued call ring."""
    call = world.get("call", call_id)
    if call and call["status"] == "queued":
        world.save("call", call | {"status": "ringing"})
        answered = bool(call["plan"]["lines"])
        world.later(call["plan"]["rings"], "call_is_answered" if answered else "call_ends", call_id=call_id)


def answer(world: World, call_id: str) -> None:
    """Let a ringing call be answered, and plan the talk."""
    call = world.get("call", call_id)
    if not call or call["status"] != "ringing":
        return
    world.save("call", call | {"status": "in_progress", "answered_at": world.clock.now().isoformat()})
    for number, (_, _, second) in enumerate(call["plan"]["lines"], start=1):
        world.later(second, "call_goes_on", call_id=call_id, lines=number)
    world.later(call["plan"]["seconds"], "call_ends", call_id=call_id)


def go_on(world: World, call_id: str, lines: int) -> None:
    """Let one more line of a running talk be said."""
    call = world.get("call", call_id)
    if call and call["status"] == "in_progress":
        world.save("call", call | {"transcript": _entries(call, lines)})


def end(world: World, call_id: str) -> None:
    """Let a call come to its planned end."""
    call = world.get("call", call_id)
    if not call or call["status"] not in ("ringing", "in_progress"):
        return
    plan = call["plan"]
    outcome = Outcome(plan["outcome"])
    call |= {
        "status": _STATUS.get(outcome, "success"),
        "highlights": plan["highlights"],
        "next_steps": plan["next_steps"],
        "appointment": plan["appointment"],
        "transcript": _entries(call, len(plan["lines"])),
    }
    _close(world, call, plan["seconds"])
    if outcome is Outcome.CALLS_BACK and "incoming_call" in world.events:
        world.later(45, "incoming_call", number=call["to"], name=call["business_name"], call_id=call_id)


def hang_up(world: World, call: dict[str, Any]) -> dict[str, Any]:
    """End a call before its time, or drop one that has not begun; what was talked is charged."""
    highlights, next_steps = results(Order.of(call), "cancelled")
    seconds = 0.0
    if call["answered_at"]:
        seconds = round((world.clock.now() - moment(call["answered_at"])).total_seconds(), 1)
    call |= {"status": "cancelled", "highlights": highlights, "next_steps": next_steps}
    return _close(world, call, seconds)


async def until_over(world: World, call_id: str) -> dict[str, Any]:
    """Wait until a call is no longer under way, however it ended, and return it.

    Raises:
        Refusal: `call_not_found`, when the world was begun anew meanwhile.
    """

    async def watch() -> None:
        # A world that is begun anew has lost the call.
        while (call := world.get("call", call_id)) is not None and call["status"] in RUNNING:
            await world.change()
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        while True:
            # In short steps, so that a clock that jumps does not jump far beyond the end.
            await world.until(1.0)
    return world.need("call", call_id, "call_not_found")


def _close(world: World, call: dict[str, Any], seconds: float) -> dict[str, Any]:
    call["duration_seconds"] = seconds
    call["metadata"] = call["metadata"] | {"ended_at": world.now()}
    call["result_summary"] = f"{call['business_name'] or call['to']}: {call['highlights']}."
    call["credits_used"] = _charge(world, call, seconds)
    world.save("call", call)
    world.act("call", f"Called {call['business_name'] or call['to']}: {call['status']}")
    if call["then"] in world.events:
        world.later(0, call["then"], call_id=call["id"], goal_id=call["goal_id"])
    return call


def _charge(world: World, call: dict[str, Any], seconds: float) -> float:
    if not seconds:
        return 0.0
    on_machine = call["plan"]["outcome"] == Outcome.VOICEMAIL
    price = BASE_CREDITS if on_machine else round(BASE_CREDITS + CREDITS_PER_MINUTE * math.ceil(seconds / 60), 1)
    if not world.can_pay(price):
        account = world.need("account", "me")
        price = max(0.0, round(account["credits_allocated"] - account["credits_used"], 2))
    if price:
        description = f"Call to {call['business_name'] or call['to']}"
        world.charge(price, type="call", description=description, goal_id=call["goal_id"])
    return price


def _entries(call: dict[str, Any], lines: int) -> list[dict[str, str]]:
    return [Line(*line).entry() for line in call["plan"]["lines"][:lines]]


def _check_date(world: World, order: Order) -> None:
    if order.appointment_date is None:
        return
    zone = ZoneInfo(order.timezone)
    now = world.clock.now().astimezone(zone)
    wanted = datetime.fromisoformat(f"{order.appointment_date}T{order.appointment_time or '23:59'}").replace(
        tzinfo=zone
    )
    if wanted < now:
        raise Refusal("scheduling_violation", "The date and time wanted have passed.")
    if wanted > now + timedelta(days=366):
        raise Refusal("scheduling_violation", "The date wanted is more than a year ahead.")

"""Calls that the assistant places."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from kallyai_mcp.sandbox.area import Area, Reply
from kallyai_mcp.sandbox.areas import telephony
from kallyai_mcp.sandbox.areas.calendar_file import calendar_file
from kallyai_mcp.sandbox.areas.conversations import Order
from kallyai_mcp.sandbox.areas.paging import page
from kallyai_mcp.sandbox.areas.recordings import recording_url
from kallyai_mcp.sandbox.clock import iso, moment
from kallyai_mcp.sandbox.numbers import Outcome
from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from kallyai_mcp.commands.calls import (
        CancelCall,
        GetCalendarFile,
        GetRecording,
        ListCalls,
        MakeCall,
        ReadTranscript,
        RescheduleCall,
        ShowCall,
        StopCall,
    )
    from kallyai_mcp.sandbox.world import World

area = Area()


@area.answers("calls make")
async def make(world: World, args: MakeCall) -> Reply:
    """Place a call and answer when it is over."""
    order = Order(
        respondent_phone=args.phone,
        task_description=args.task,
        task_category=args.category,
        language=args.language or "en",
        call_language=args.call_language or args.language or "en",
        user_name=args.name,
        business_name=args.business,
        party_size=args.party_size,
        appointment_date=args.date,
        appointment_time=args.time,
        user_phone=args.user_phone,
        time_preference_text=args.time_preference_text,
        is_urgent=args.is_urgent,
        additional_instructions=tuple(args.additional_instructions or ()),
        timezone=args.timezone or "America/New_York",
    )
    with world.transaction():
        call = telephony.place(world, order)
    return Reply(telephony.show(await telephony.until_over(world, call["id"])), status=201)


@area.answers("calls history")
def history(world: World, args: ListCalls) -> dict[str, Any]:
    calls = sorted(world.all("call"), key=lambda call: str(call["created_at"]))
    calls.reverse()
    return {"items": [telephony.show(call) for call in page(calls, args)], "total": len(calls)}


@area.answers("calls info")
def info(world: World, args: ShowCall) -> dict[str, Any]:
    return telephony.show(_call(world, args.call_id))


@area.answers("calls transcript")
def transcript(world: World, args: ReadTranscript) -> dict[str, Any]:
    call = _call(world, args.call_id)
    if call["status"] in telephony.RUNNING or not call["transcript"]:
        raise Refusal("transcript_not_found")
    return {"entries": call["transcript"]}


@area.answers("calls recording")
def recording(world: World, args: GetRecording) -> dict[str, Any]:
    call = _call(world, args.call_id)
    if call["status"] in telephony.RUNNING or not call.get("duration_seconds"):
        raise Refusal("recording_not_found")
    return {
        "url": recording_url(world, call["id"]),
        "duration_seconds": call["duration_seconds"],
        "format": "wav",
    }


@area.answers("calls calendar")
def calendar(world: World, args: GetCalendarFile) -> Reply:
    call = _call(world, args.call_id)
    if not call.get("appointment"):
        raise Refusal(None, "The call made no appointment.", status=404)
    return Reply(calendar_file(call), media_type="text/calendar")


@area.answers("calls cancel")
def cancel(world: World, args: CancelCall) -> dict[str, Any]:
    call = _waiting(world, args.call_id, "cancelled")
    return telephony.show(telephony.hang_up(world, call | {"scheduled_for": None}))


@area.answers("calls reschedule")
def reschedule(world: World, args: RescheduleCall) -> dict[str, Any]:
    """Move a call; without a date it keeps its day, without both it moves to the next day."""
    call = _waiting(world, args.call_id, "moved")
    zone = ZoneInfo(call["timezone"])
    planned = moment(call.get("scheduled_for") or world.now()).astimezone(zone)
    day, time = args.date or planned.date().isoformat(), args.time or planned.strftime("%H:%M")
    at = datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=zone)
    if not (args.date or args.time):
        at += timedelta(days=1)
    if at <= world.clock.now():
        raise Refusal("scheduling_violation", "The new date and time have passed.")
    return telephony.show(telephony.schedule(world, call, at))


@area.answers("calls stop")
def stop(world: World, args: StopCall) -> dict[str, Any]:
    call = _call(world, args.call_id)
    if call["status"] not in telephony.RUNNING:
        raise Refusal(None, f"The call is not in progress; its status is {call['status']}.", status=409)
    return telephony.show(telephony.hang_up(world, call))


@area.event("call_is_due")
def is_due(world: World, data: dict[str, Any]) -> None:
    telephony.begin(world, data["call_id"], data["at"])


@area.event("call_rings")
def rings(world: World, data: dict[str, Any]) -> None:
    telephony.ring(world, data["call_id"])


@area.event("call_is_answered")
def is_answered(world: World, data: dict[str, Any]) -> None:
    telephony.answer(world, data["call_id"])


@area.event("call_goes_on")
def goes_on(world: World, data: dict[str, Any]) -> None:
    telephony.go_on(world, data["call_id"], data["lines"])


@area.event("call_ends")
def ends(world: World, data: dict[str, Any]) -> None:
    telephony.end(world, data["call_id"])


_PAST: tuple[tuple[float, Outcome, Order], ...] = (
    (
        9.2,
        Outcome.SUCCESS,
        Order("+12025550141", "Ask whether they repair leather bags and what it costs", business_name="Corner Cobbler"),
    ),
    (
        6.1,
        Outcome.NO_ANSWER,
        Order("+12025550142", "Ask whether a birthday cake can be ready by Saturday", business_name="Corner Bakery"),
    ),
    (
        5.9,
        Outcome.VOICEMAIL,
        Order("+12025550143", "Ask when the car can be picked up", business_name="Hillside Garage", user_name="Sam"),
    ),
    (
        3.0,
        Outcome.SUCCESS,
        Order(
            "+447700900144",
            "Cancelar la reserva del hotel para el fin de semana",
            task_category="hotel",
            call_language="es",
            business_name="Hotel Mirador",
            user_name="Sam",
        ),
    ),
    (
        1.3,
        Outcome.APPOINTMENT,
        Order(
            "+12025550145",
            "Book a dental check-up, mornings if possible",
            task_category="clinic",
            business_name="Lakeview Dental",
            user_name="Sam",
            time_preference_text="any morning",
        ),
    ),
    (
        0.4,
        Outcome.BUSY,
        Order(
            "+12025550146",
            "Reserve a table for two by the window",
            task_category="restaurant",
            business_name="Harbor Grill",
            party_size=2,
        ),
    ),
)
_NEXT = Order(
    "+12025550147",
    "Ask whether the ordered glasses have come in",
    business_name="Clear View Opticians",
    user_name="Sam",
)


@area.seeds
def seed(world: World) -> None:
    now = world.clock.now()
    for days, outcome, order in _PAST:
        begun = now - timedelta(days=days)
        with world.clock.showing(begun):
            call = telephony.create(world, order, outcome)
            world.save("call", call | {"status": "ringing", "answered_at": iso(begun)})
        with world.clock.showing(begun + timedelta(seconds=call["plan"]["rings"] + call["plan"]["seconds"])):
            telephony.end(world, call["id"])
    call = telephony.create(world, _NEXT, Outcome.SUCCESS)
    telephony.schedule(world, call, (now + timedelta(days=2)).replace(minute=0, second=0, microsecond=0))


def _call(world: World, call_id: str) -> dict[str, Any]:
    return world.need("call", call_id, "call_not_found")


def _waiting(world: World, call_id: str, done: str) -> dict[str, Any]:
    call = _call(world, call_id)
    if call["status"] not in telephony.WAITING:
        raise Refusal(None, f"Only a call that waits can be {done}; its status is {call['status']}.", status=409)
    return call

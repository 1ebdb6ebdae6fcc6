"""Calls that the receptionist received, and voicemails. Rules and contacts are in `directory`."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox.area import Area
from kallyai_mcp.sandbox.areas import directory, receptionist
from kallyai_mcp.sandbox.areas.callers import CALLERS, CONTACTS
from kallyai_mcp.sandbox.areas.paging import page
from kallyai_mcp.sandbox.areas.phone import need_number
from kallyai_mcp.sandbox.areas.recordings import recording_url
from kallyai_mcp.sandbox.clock import moment
from kallyai_mcp.sandbox.numbers import outcome_of
from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kallyai_mcp.commands.inbound import (
        GetInboundRecording,
        GetVoicemailAudio,
        ListInboundCalls,
        ListVoicemails,
        ReadInboundEvents,
        ReadInboundTranscript,
        RejectInboundCall,
        ShowInboundAnalytics,
        ShowInboundCall,
        ShowInboundTotals,
        ShowVoicemail,
        TakeOverInboundCall,
        TransferInboundCall,
    )
    from kallyai_mcp.sandbox.world import World

area = Area()
area.handlers |= directory.area.handlers
area.events |= directory.area.events

EVERY = 1500.0
"""Sandbox seconds from one call that comes in by itself to the next."""
TALK = 60.0
"""Sandbox seconds that the user talks after taking a call over."""


@area.answers("inbound calls")
def calls(world: World, args: ListInboundCalls) -> dict[str, Any]:
    found = _newest(_between(world.all("inbound_call"), args.date_from, args.date_to))
    if args.status:
        found = [call for call in found if call["status"] == args.status]
    if args.vip_only:
        found = [call for call in found if call["is_vip"]]
    return {"calls": [receptionist.show(call) for call in page(found, args)], "total": len(found)}


@area.answers("inbound call")
def call(world: World, args: ShowInboundCall) -> dict[str, Any]:
    return receptionist.show(_call(world, args.call_id))


@area.answers("inbound transcript")
def transcript(world: World, args: ReadInboundTranscript) -> dict[str, Any]:
    found = _call(world, args.call_id)
    if not found["transcript"]:
        raise Refusal("transcript_not_found")
    return {"call_id": found["id"], "entries": found["transcript"]}


@area.answers("inbound recording")
def recording(world: World, args: GetInboundRecording) -> dict[str, Any]:
    found = _call(world, args.call_id)
    if not found["duration_seconds"]:
        raise Refusal("recording_not_found")
    return {
        "url": recording_url(world, found["id"]),
        "duration_seconds": found["duration_seconds"],
        "format": "wav",
    }


@area.answers("inbound summary")
def summary(world: World, args: ShowInboundTotals) -> dict[str, Any]:
    return _totals(world.all("inbound_call")) | {"voicemails": len(world.all("voicemail"))}


@area.answers("inbound analytics")
def analytics(world: World, args: ShowInboundAnalytics) -> dict[str, Any]:
    found = _between(world.all("inbound_call"), args.date_from, args.date_to)
    days = Counter(str(call["created_at"])[:10] for call in found)
    hours = Counter(int(str(call["created_at"])[11:13]) for call in found)
    callers = Counter((str(call["caller_number"]), call["caller_name"]) for call in found)
    return {
        "date_from": args.date_from,
        "date_to": args.date_to,
        **_totals(found),
        "calls_by_day": [{"date": day, "count": count} for day, count in sorted(days.items())],
        "calls_by_hour": [{"hour": hour, "count": count} for hour, count in sorted(hours.items())],
        "top_callers": [
            {"caller_number": number, "caller_name": name, "count": count}
            for (number, name), count in callers.most_common(5)
        ],
    }


@area.answers("inbound transfer")
def transfer(world: World, args: TransferInboundCall) -> dict[str, Any]:
    active = _active(world, args.call_id)
    if code := outcome_of(args.to).bar:
        raise Refusal(code)
    world.act("inbound_transfer", f"Passed {_who(active)} on to {args.to}")
    return receptionist.show(receptionist.transfer(world, active, args.to))


@area.answers("inbound takeover")
def takeover(world: World, args: TakeOverInboundCall) -> dict[str, Any]:
    active = _active(world, args.call_id)
    if active["handled_by"] == "user":
        raise Refusal(status=409, message="The user is on the line already.")
    active |= {"handled_by": "user", "taken_over_at": world.now()}
    world.save("inbound_call", active)
    receptionist.log(world, "call_taken_over", active)
    world.act("inbound_takeover", f"Put the user through to {_who(active)}")
    world.later(TALK, "incoming_call_ends", call_id=active["id"])
    return receptionist.show(active)


@area.answers("inbound reject")
def reject(world: World, args: RejectInboundCall) -> dict[str, Any]:
    active = _active(world, args.call_id)
    world.act("inbound_reject", f"Turned {_who(active)} away")
    return receptionist.show(receptionist.end(world, active, "rejected", reason=args.reason or "user_rejected"))


@area.answers("inbound voicemails")
def voicemails(world: World, args: ListVoicemails) -> dict[str, Any]:
    found = _newest(world.all("voicemail"))
    return {"voicemails": found, "total": len(found)}


@area.answers("inbound voicemail")
def voicemail(world: World, args: ShowVoicemail) -> dict[str, Any]:
    return world.need("voicemail", args.voicemail_id)


@area.answers("inbound voicemail-playback")
def playback(world: World, args: GetVoicemailAudio) -> dict[str, Any]:
    found = world.need("voicemail", args.voicemail_id)
    return {
        "url": recording_url(world, found["id"]),
        "duration_seconds": found["duration_seconds"],
        "format": "wav",
    }


@area.answers("inbound events")
def events(world: World, args: ReadInboundEvents) -> dict[str, Any]:
    found = _newest(_between(world.all("inbound_event"), args.date_from, args.date_to))
    return {"events": found, "total": len(found)}


@area.event("incoming_call")
def incoming_call(world: World, data: dict[str, Any]) -> None:
    """Let a call come in, from the caller of `number`, or from the next in turn. Without a rented number none comes."""
    number = data.get("number")
    if number is None:
        world.later(EVERY, "incoming_call", turn=data["turn"] + 1)
        caller = CALLERS[int(data["turn"]) % len(CALLERS)]
    else:
        caller = receptionist.caller_of(number, data.get("name"))
    if not world.all("phone_number"):
        return
    received = receptionist.receive(world, caller)
    if received["status"] == "active":
        world.later(received["said"]["seconds"], "incoming_call_ends", call_id=received["id"])


@area.event("incoming_call_ends")
def incoming_call_ends(world: World, data: dict[str, Any]) -> None:
    found = world.get("inbound_call", data["call_id"])
    if found is not None and found["status"] == "active":
        receptionist.end(world, found, "completed")


@area.seeds
def seed(world: World) -> None:
    for name, number, vip, notes in CONTACTS:
        directory.new_contact(world, name, number, vip=vip, notes=notes)
    rules: tuple[tuple[str, str, int, dict[str, Any], dict[str, Any]], ...] = (
        ("Turn the solar survey away", "reject", 10, {"caller_number": CALLERS[4].number}, {}),
        ("VIPs are answered", "answer", 50, {"caller_vip": True}, {}),
    )
    for name, action, priority, conditions, config in rules:
        rule = {"name": name, "action": action, "priority": priority, "conditions": conditions, "is_active": True}
        world.add("rule", rule | {"action_config": config, "created_at": world.now()})
    receptionist.play(world, CALLERS[4], 7.4)
    receptionist.play(world, CALLERS[0], 5.2)
    receptionist.play(world, CALLERS[5], 4.1, missed=True)
    receptionist.play(world, CALLERS[2], 2.3)
    receptionist.play(world, CALLERS[3], 1.2)
    receptionist.play(world, CALLERS[1], 0.3, missed=True)
    # This caller is patient: the call stays active until it is dealt with.
    receptionist.receive(world, CALLERS[0])
    world.later(EVERY, "incoming_call", turn=1)


def _call(world: World, call_id: str) -> dict[str, Any]:
    return world.need("inbound_call", call_id, "call_not_found")


def _active(world: World, call_id: str) -> dict[str, Any]:
    found = _call(world, call_id)
    need_number(world)
    if found["status"] != "active":
        raise Refusal(status=409, message=f"The call is over; its status is {found['status']}.")
    return found


def _who(found: dict[str, Any]) -> str:
    return str(found["caller_name"] or found["caller_number"])


def _totals(found: list[dict[str, Any]]) -> dict[str, Any]:
    states = Counter(str(call["status"]) for call in found)
    talked = [float(call["duration_seconds"]) for call in found if call["status"] == "completed"]
    ended = len(found) - states["active"]
    return {
        "total_calls": len(found),
        **{status: states[status] for status in ("active", "completed", "missed", "rejected")},
        "vip_calls": sum(1 for call in found if call["is_vip"]),
        "unique_callers": len({call["caller_number"] for call in found}),
        "answer_rate": round(states["completed"] / ended, 2) if ended else 0.0,
        "average_duration_seconds": round(sum(talked) / len(talked), 1) if talked else 0.0,
    }


def _newest(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    ordered = sorted(found, key=lambda document: str(document["created_at"]))
    ordered.reverse()
    return ordered


def _between(found: list[dict[str, Any]], date_from: str | None, date_to: str | None) -> list[dict[str, Any]]:
    first, last = _bound("from", date_from), _bound("to", date_to, end=True)
    return [
        document
        for document in found
        if (first is None or moment(document["created_at"]) >= first)
        and (last is None or moment(document["created_at"]) < last)
    ]


def _bound(which: str, text: str | None, *, end: bool = False) -> datetime | None:
    """Return a bound of a period. A day counts whole, in UTC."""
    if text is None:
        return None
    try:
        read = moment(text)
    except ValueError:
        raise Refusal(status=422, message=f"The period's {which} must be a date such as 2026-03-01.") from None
    if len(text) == 10:
        return read.astimezone(UTC) + timedelta(days=1 if end else 0)
    return read + timedelta(seconds=1 if end else 0)

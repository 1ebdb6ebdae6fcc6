"""The receptionist: which rule a caller meets, and the life of a received call."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox.areas.callers import CALLERS, Caller
from kallyai_mcp.sandbox.areas.conversations import ASSISTANT, PERSON, timed
from kallyai_mcp.sandbox.clock import moment

if TYPE_CHECKING:
    from kallyai_mcp.sandbox.world import World

REJECT, TAKE_MESSAGE, TRANSFER = ("reject", "block"), ("voicemail", "take_message"), ("transfer", "forward")
"""Actions of rules that do something else than let the assistant answer, which any other action does."""

_TARGETS = ("target_number", "transfer_to", "forward_to", "phone_number", "number", "to")


def show(call: dict[str, Any]) -> dict[str, Any]:
    """Return a received call as the API shows it; what was said has an address of its own."""
    return {name: value for name, value in call.items() if name not in ("transcript", "said") and value is not None}


def rule_for(world: World, number: str) -> dict[str, Any] | None:
    """Return the active rule that a caller meets: the lowest priority first, the older one of equals."""
    rules = sorted(world.all("rule", is_active=True), key=lambda rule: rule["priority"])
    return next((rule for rule in rules if _applies(world, rule, number)), None)


def target_of(rule: dict[str, Any]) -> str | None:
    """Return the number that a rule transfers to."""
    config: dict[str, Any] = rule.get("action_config") or {}
    return next((str(config[name]) for name in _TARGETS if config.get(name)), None)


def caller_of(number: str, name: str | None) -> Caller:
    """Return what is known of a caller; somebody new calls about the call that was not answered."""
    for caller in CALLERS:
        if caller.number == number:
            return caller
    shown = name or "The caller"
    return Caller(
        number,
        name or "",
        (
            "Hello, you tried to reach us a moment ago.",
            "Thank you for calling back. I am the assistant; I will tell them, and you will be called again.",
            "All right, we are here until six. Goodbye.",
        ),
        f"{shown} called back and can be reached until 18:00.",
        "Call again before 18:00.",
        "You tried to reach us. We are here until six.",
    )


def receive(world: World, caller: Caller) -> dict[str, Any]:
    """Let a call come in, and do with it what the rules say."""
    contact = next(iter(world.all("contact", phone_number=caller.number)), None)
    rule = rule_for(world, caller.number)
    lines, seconds = timed([(ASSISTANT if n % 2 else PERSON, words) for n, words in enumerate(caller.said)])
    call_id = world.new_id("inbound")
    call = world.add(
        "inbound_call",
        {
            "call_id": call_id,
            "caller_number": caller.number,
            "caller_name": contact["name"] if contact else caller.name or None,
            "is_vip": bool(contact and contact["is_vip"]),
            "status": "active",
            "handled_by": "assistant",
            "rule_id": rule["id"] if rule else None,
            "created_at": world.now(),
            "duration_seconds": 0.0,
            "action_items": [],
            "transcript": [],
            "said": {
                "lines": [line.entry() for line in lines],
                "seconds": seconds,
                "summary": caller.summary,
                "to_do": caller.to_do,
                "message": caller.message,
            },
        },
        id=call_id,
    )
    log(world, "call_started", call)
    action = str(rule["action"]).lower() if rule else "answer"
    if action in REJECT:
        return end(world, call, "rejected", reason="rule")
    if action in TAKE_MESSAGE:
        return _to_voicemail(world, call)
    if action in TRANSFER and rule and (target := target_of(rule)):
        return transfer(world, call, target)
    return call


def transfer(world: World, call: dict[str, Any], target: str) -> dict[str, Any]:
    """Connect a running call to another number; for the receptionist it is over then."""
    return end(world, call | {"handled_by": "transfer", "transferred_to": target}, "completed")


def miss(world: World, call: dict[str, Any]) -> dict[str, Any]:
    """Let a caller get no answer and speak to the machine."""
    return _to_voicemail(world, call)


def end(world: World, call: dict[str, Any], status: str, *, reason: str | None = None) -> dict[str, Any]:
    """Let a received call be over."""
    said = call["said"]
    seconds = round((world.clock.now() - moment(call["created_at"])).total_seconds(), 1)
    talked = status == "completed"
    until = min(seconds, said["seconds"]) if talked else 0.0
    heard = [entry for entry in said["lines"] if _second(entry) <= until] if talked else []
    whole = len(heard) == len(said["lines"])
    call |= {
        "status": status,
        "ended_at": world.now(),
        "duration_seconds": seconds if talked else 0.0,
        "transcript": heard,
        "reject_reason": reason,
        "summary": said["summary"] if whole else None,
        "action_items": [{"text": said["to_do"], "status": "open"}] if whole and said["to_do"] else [],
    }
    world.save("inbound_call", call)
    log(world, {"completed": "call_ended", "missed": "call_missed", "rejected": "call_rejected"}[status], call)
    return call


def log(world: World, type: str, call: dict[str, Any]) -> None:  # noqa: A002 - the field's name in the log
    """Enter something in the log of received calls."""
    facts = ("caller_number", "caller_name", "status", "rule_id", "transferred_to", "reject_reason", "handled_by")
    data = {name: call[name] for name in facts if call.get(name) is not None}
    world.add("inbound_event", {"type": type, "call_id": call["id"], "created_at": world.now(), "data": data})


def play(world: World, caller: Caller, days_ago: float, *, missed: bool = False) -> None:
    """Let a call have come in some days ago, for the beginning of a world."""
    begun = world.clock.now() - timedelta(days=days_ago)
    with world.clock.showing(begun):
        call = receive(world, caller)
        if missed and call["status"] == "active":
            call = miss(world, call)
    if call["status"] == "active":
        with world.clock.showing(begun + timedelta(seconds=call["said"]["seconds"])):
            end(world, call, "completed")


def _to_voicemail(world: World, call: dict[str, Any]) -> dict[str, Any]:
    message: str = call["said"]["message"]
    voicemail = world.add(
        "voicemail",
        {
            "call_id": call["id"],
            "caller_number": call["caller_number"],
            "caller_name": call["caller_name"],
            "created_at": world.now(),
            "duration_seconds": round(3.0 + 0.4 * len(message.split()), 1),
            "transcript": message,
        },
    )
    return end(world, call | {"voicemail_id": voicemail["id"]}, "missed")


def _applies(world: World, rule: dict[str, Any], number: str) -> bool:
    contact = next(iter(world.all("contact", phone_number=number)), None)
    conditions: dict[str, Any] = rule.get("conditions") or {}
    for name, wanted in conditions.items():
        match name:
            case "caller_vip" | "is_vip" | "vip":
                met = bool(contact and contact["is_vip"]) == wanted
            case "caller_known" | "known_contact" | "is_contact":
                met = (contact is not None) == wanted
            case "caller_number" | "phone_number" | "number" | "caller_numbers":
                met = number == wanted or (isinstance(wanted, list) and number in wanted)
            case "caller_prefix" | "number_prefix":
                met = number.startswith(str(wanted))
            case _:
                # A condition that is not understood is not met: a rule must not catch more than was meant.
                met = False
        if not met:
            return False
    return True


def _second(entry: dict[str, str]) -> int:
    hours, minutes, seconds = (int(part) for part in entry["timestamp"].split(":"))
    return hours * 3600 + minutes * 60 + seconds

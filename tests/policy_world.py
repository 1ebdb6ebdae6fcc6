"""Commands made up for the rules, and values they are judged by."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from kallyai_mcp.model import Args, Command, Consent, Domain, Effect, arg, optional, parse
from kallyai_mcp.model.records import Mandate, Taint
from kallyai_mcp.model.types import Date, Email, Object, PhoneNumber, Segment, Text, Time
from kallyai_mcp.policy import Destination, destinations

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
"""A Monday: noon in New York, 17:00 in London."""

FRIEND = "+12025550143"
STRANGER = "+12125550199"
TAINT = Taint("email read", NOON.timestamp() + 1800)

made_up = Domain("made", "Made up.", prefix=())
_ACT: dict[str, Any] = {"costs_credits": True, "contacts_people": True}


@made_up.command("ring", "POST /ring", Effect.WRITE, **_ACT, places_call=True)
class Ring(Args):
    """Phone a number for the user. Rings a real person."""

    phone: PhoneNumber = arg("Number.", reaches="contact")
    task: Text = arg("What to say.")
    user_phone: PhoneNumber = optional("Number for calling back.", reaches="callback")
    hints: list[str] = optional("Further words.")
    language: str = optional("Language.", default="en")


@made_up.command("reschedule", "POST /rings/{ring_id}/reschedule", Effect.WRITE, contacts_people=True)
class Move(Args):
    """Move a call."""

    ring_id: Segment = arg("Identifier.")
    date: Date = optional("Day.")
    time: Time = optional("Time.")


@made_up.command("draft", "POST /drafts", Effect.WRITE, costs_credits=True)
class WriteMail(Args):
    """Write a mail, which leaves later."""

    to: Email = arg("Recipient.", reaches="contact")
    cc: Email = optional("Copy.", reaches="contact")
    body: Text = arg("Text.")


@made_up.command("reach", "POST /reach", Effect.WRITE, **_ACT, places_call=True)
class Reach(Args):
    """Contact a person."""

    target: Text = arg("Number, address or handle.", reaches="contact")
    description: Text = arg("What to say.")
    channel: Literal["call", "email", "whatsapp"] = optional("Channel.")
    auto_execute: bool = optional("Whether to begin.")
    people: list[str] = optional("More people.", reaches="contact")


@made_up.command("route", "POST /rules", Effect.WRITE, diverts=True)
class Route(Args):
    """Route calls elsewhere. Changes where they go."""

    name: Text = arg("Label.")
    action_config: Object = optional("Settings.", reaches="contact")


@made_up.command("plead", "POST /plead", Effect.WRITE, **_ACT, delegates=True)
class Plead(Args):
    """Hand over a request."""

    message: Text = arg("The request.")
    conversation_id: str = optional("Conversation.")


@made_up.command("hang-up", "POST /rings/{ring_id}/stop", Effect.DESTROY, idempotent=True)
class HangUp(Args):
    """End a call."""

    ring_id: Segment = arg("Identifier.")


@made_up.command("prove", "POST /prove", Effect.WRITE, costs_money=True)
class Prove(Args):
    """Prove something with a code."""

    code: Text = arg("Code.", sensitive=True)


@made_up.command("look", "POST /look", Effect.READ, costs_credits=True)
class Look(Args):
    """Search, for credits."""

    query: Text = arg("Words.")


COMMANDS = {command.name: command for command in made_up.commands}


def run(name: str, /, **given: Any) -> tuple[Command, Args]:
    command = COMMANDS[name]
    return command, parse(command, given)


def reached(name: str, /, **given: Any) -> tuple[Destination, ...]:
    return destinations(*run(name, **given))


def phone(value: str, role: Literal["contact", "callback", "mentioned"] = "contact") -> Destination:
    return Destination("phone", "phone", value, value, role, "US")


def mail(value: str) -> Destination:
    return Destination("to", "mail", value, value, "contact")


def mandate(*recipients: str, tools: tuple[str, ...] = ("kallyai_ring",), is_trusted: bool = True) -> Mandate:
    return Mandate(
        id="m-1",
        purpose="Find a plumber",
        tools=tools,
        recipients=recipients,
        acts=3,
        credits=10.0,
        until=NOON.timestamp() + 3600,
        is_trusted=is_trusted,
        created=NOON.timestamp(),
        consent=Consent.TERMINAL,
    )

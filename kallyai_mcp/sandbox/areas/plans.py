"""From an understood request to a plan: the steps of a goal, what each does, what it may cost, who must agree."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from kallyai_mcp.sandbox import triggers
from kallyai_mcp.sandbox.areas.understanding import Kind, Request

EXPECTED = {"find_place": 0.5, "call": 2.0, "mail": 0.3, "book": 0.5, "ride": 0.5, "food": 0.5, "errand": 1.0}
"""Credits that a step of each kind is expected to cost; a call depends on its length."""

APPROVAL_FROM = 4.0
"""A goal expected to cost so many credits waits until its budget is approved."""

SOFT_CAP_SHARE = 0.8
"""Part of the credits a user allows at which the goal stops and asks."""

_APPOINTMENT = re.compile(r"appointment|\bcita\b|doctor|dentist|dentista|m[eé]dic|hair|peluquer", re.IGNORECASE)
_LODGING = re.compile(r"hotel|\broom\b|habitaci[oó]n|hostel", re.IGNORECASE)


def booking_type(text: str) -> str:
    """Return the type of booking that a text speaks of."""
    return "hotel" if _LODGING.search(text) else "restaurant"


def plan(request: Request) -> list[dict[str, Any]]:
    """Return the steps by which a request is met; `do` names the work, `consent` that the user must agree first."""
    spanish = request.spanish

    def step(do: str, english: str, spanish_: str, *, consent: bool = False) -> dict[str, Any]:
        return {"description": spanish_ if spanish else english, "do": do, "consent": consent}

    look_up = [] if request.phone else [step("look_up", "Look up the number", "Buscar el número")]
    whom = request.whom and re.sub(r"^my ", "your ", re.sub(r"^mi ", "tu ", request.whom))
    call = step("call", f"Phone {whom or 'the number'}", f"Llamar a {whom}" if whom else "Llamar al número")
    kind = request.kind
    if kind is Kind.BOOKING and (_APPOINTMENT.search(request.text) or request.phone):
        kind = Kind.CALL
    match kind:
        case Kind.CALL:
            steps = [*look_up, call]
        case Kind.NEGOTIATION:
            offer = step("offer", "Settle on the best offer", "Acordar la mejor oferta")
            steps = [*look_up, call, offer]
        case Kind.BOOKING:
            steps = [
                step("find_place", "Look for a place that has room", "Buscar un sitio con disponibilidad"),
                step("book", "Book it", "Reservar", consent=True),
            ]
        case Kind.MAIL:
            find = [] if request.email else [step("find_address", "Look up the address", "Buscar la dirección")]
            steps = [
                *find,
                step("write", "Write the mail", "Redactar el correo"),
                step("mail", "Send the mail", "Enviar el correo", consent=True),
            ]
        case Kind.RIDE:
            steps = [step("ride", "Order the ride", "Pedir el coche", consent=True)]
        case Kind.FOOD:
            steps = [step("food", "Order the food", "Pedir la comida", consent=True)]
        case Kind.ERRAND:
            steps = [step("errand", "Have the errand run", "Encargar el recado", consent=True)]
        case Kind.PLAN:
            steps = [
                step("sub_goal", "Book a place", "Reservar un sitio"),
                step("sub_goal", "Arrange the ride", "Organizar el transporte"),
                step("sub_goal", "Settle the details by phone", "Cerrar los detalles por teléfono"),
                step("sub_goal", "Have supplies brought", "Encargar lo necesario"),
            ]
        case _:
            steps = [step("clarify", "Find out what is wanted", "Averiguar qué se desea")]
    if triggers.outcome("message", request.text) == "asks":
        steps.insert(0, step("confirm", "Ask how to proceed", "Preguntar cómo proceder"))
    return [{"step": number, "status": "pending", **entry} for number, entry in enumerate(steps, start=1)]


SUB_GOALS: tuple[tuple[Kind, str, str], ...] = (
    (Kind.BOOKING, "Book a table", "Reservar una mesa"),
    (Kind.RIDE, "Arrange a ride", "Organizar un taxi"),
    (Kind.CALL, "Phone the venue", "Llamar al local"),
    (Kind.ERRAND, "Bring supplies", "Traer lo necesario"),
)
"""What a plan is made of, in the order of its steps."""


def sub_requests(request: Request) -> list[Request]:
    """Return the parts of a plan as requests of their own."""
    parts: list[Request] = []
    for kind, english, spanish in SUB_GOALS:
        name = spanish if request.spanish else english
        whom = request.whom or ("The venue" if kind is Kind.CALL else None)
        parts.append(replace(request, kind=kind, whom=whom, text=f"{name}: {request.text}", limit=None, email=None))
    return parts


def expected(steps: list[dict[str, Any]]) -> float:
    """Return the credits that steps are expected to cost."""
    return round(sum(EXPECTED.get(str(step["do"]), 0.0) for step in steps), 2)


def budget(request: Request, estimate: float) -> dict[str, Any]:
    """Return what a goal may spend, and whether somebody must agree before it begins."""
    limit = request.limit
    cap = round(limit * SOFT_CAP_SHARE, 2) if limit is not None else None
    state = "approval_required" if estimate >= APPROVAL_FROM else "none"
    match triggers.outcome("message", request.text):
        case "budget":
            state = "approval_required"
        case "soft_cap":
            cap = 0.1
        case "exceeded":
            limit = 0.1
        case _:
            pass
    return {"state": state, "credits_limit": limit, "soft_cap": cap, "enforced": limit is not None}


def title(request: Request) -> str:
    """Return a short name for a goal."""
    first = request.text.strip().partition("\n")[0]
    words = first if len(first) <= 60 else first[:59].rsplit(" ", 1)[0] + "…"
    return words[:1].upper() + words[1:].rstrip(".!")

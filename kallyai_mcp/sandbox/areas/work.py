"""What the steps of a goal do: look up, phone, search, book, write, order, negotiate, ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from kallyai_mcp.sandbox.areas import bookings, plans, postbox, reach, tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from kallyai_mcp.sandbox.world import World

    Goal = dict[str, Any]
    Step = dict[str, Any]
    Begin = Callable[[World, Goal, Step], float]
    Settled = Callable[[World, Step], bool]

LOOK = 5.0
"""Sandbox seconds that looking something up takes, and until something under way is looked at again."""

OFFERS = (10, 15, 18)
"""Discounts in percent that the other side offers, one in each round of a negotiation."""


class Stuck(Exception):
    """A step cannot go on without the user.

    Attributes:
        question: What the user is asked.
        step_status: State of the step meanwhile.
    """

    def __init__(self, question: str, step_status: Literal["needs_input", "failed"] = "needs_input") -> None:
        super().__init__(question)
        self.question = question
        self.step_status = step_status


def _never(world: World, step: Step) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Work:
    """A kind of work.

    Attributes:
        begin: Starts it; returns the seconds until it is looked at.
        check: Looks at it; returns 0 when it is done, else the seconds until it is looked at again. A look may also
            come earlier. Both raise `Stuck` or `Refusal`.
        is_settled: Whether what the step waits to be allowed has been begun or dropped elsewhere, such as a mail.
    """

    begin: Begin
    check: Begin
    is_settled: Settled = _never


def _says(goal: Goal, english: str, spanish: str) -> str:
    return spanish if goal["request"]["spanish"] else english


def _look(world: World, goal: Goal, step: Step) -> float:
    return LOOK


def _done(world: World, goal: Goal, step: Step) -> float:
    return 0


def _find_number(world: World, goal: Goal, step: Step) -> float:
    number = goal["facts"]["phone"] or reach.find_number(world, goal["request"]["whom"])
    if number is None:
        raise Stuck(_says(goal, "I do not know the number. Which one shall I call?", "No sé el número. ¿A cuál llamo?"))
    goal["facts"]["phone"] = step["result"] = number
    return 0


def _find_address(world: World, goal: Goal, step: Step) -> float:
    address = goal["facts"]["email"] or reach.find_address(world, goal["request"]["whom"])
    if address is None:
        raise Stuck(_says(goal, "To which address shall I write?", "¿A qué dirección escribo?"))
    goal["facts"]["email"] = step["result"] = address
    return 0


def _call(world: World, goal: Goal, step: Step) -> float:
    request = goal["request"]
    wanted = reach.order(
        goal["facts"]["phone"],
        request["text"],
        whom=request["whom"],
        spanish=request["spanish"],
        party_size=request["party_size"],
        appointment_date=request["day"],
        appointment_time=request["hour"],
    )
    step["call_id"] = reach.place(world, wanted, then="goal_moves", goal_id=goal["id"])
    return LOOK


def _call_over(world: World, goal: Goal, step: Step) -> float:
    call = reach.result(world, step["call_id"])
    if call is None:
        return LOOK
    if call["status"] != "success":
        why = reach.NOT_REACHED[call["status"]]
        raise Stuck(f"{why} {_says(goal, 'Shall I try again?', '¿Lo intento otra vez?')}", "failed")
    step["result"] = call["highlights"]
    return 0


def _find_place(world: World, goal: Goal, step: Step) -> float:
    request = goal["request"]
    if plans.booking_type(request["text"]) != "restaurant":
        return LOOK
    places = bookings.find_restaurants(
        world,
        request["text"],
        name=request["whom"],
        party_size=request["party_size"],
        day=request["day"],
        hour=request["hour"],
        goal_id=goal["id"],
    )
    free = [place for place in places if place["availability"] != "unavailable"]
    if not free:
        raise Stuck(
            _says(goal, "I found no place with room. Where else shall I look?", "No hay sitio. ¿Dónde más busco?")
        )
    goal["facts"]["restaurant_id"] = free[0]["id"]
    step["result"] = free[0]["name"]
    return LOOK


def _book(world: World, goal: Goal, step: Step) -> float:
    request = goal["request"]
    booking = bookings.book(
        world,
        type_=plans.booking_type(request["text"]),
        restaurant_id=goal["facts"].get("restaurant_id"),
        day=request["day"],
        hour=request["hour"],
        party_size=request["party_size"],
        notes=request["text"],
        goal_id=goal["id"],
    )
    step["booking_id"] = booking["id"]
    return LOOK


def _booked(world: World, goal: Goal, step: Step) -> float:
    booking = world.need("booking", step["booking_id"])
    if booking["status"] == "pending":
        return LOOK
    if booking["status"] != "confirmed":
        raise Stuck(
            _says(goal, "The booking fell through. Shall I try again?", "No salió. ¿Lo intento otra vez?"), "failed"
        )
    step["result"] = f"{booking['restaurant_name'] or booking['type']}: {booking['confirmation_code']}"
    return 0


def _write(world: World, goal: Goal, step: Step) -> float:
    request = goal["request"]
    mail = postbox.draft(world, goal["facts"]["email"], subject=goal["title"], body=request["text"], goal_id=goal["id"])
    step["email_id"] = mail["id"]
    for other in goal["steps"]:
        if other["do"] == "mail":
            other["email_id"] = mail["id"]
    return LOOK


def _send(world: World, goal: Goal, step: Step) -> float:
    mail = world.need("outbox_email", step["email_id"])
    if mail["status"] in ("cancelled", "failed"):
        mail = postbox.draft(world, mail["to"], mail["subject"], mail["body"], cc=mail["cc"], goal_id=goal["id"])
        step["email_id"] = mail["id"]
    if mail["status"] == "pending_approval":
        postbox.approve(world, mail)
    return LOOK


def _mail_out(world: World, goal: Goal, step: Step) -> float:
    mail = world.need("outbox_email", step["email_id"])
    if mail["status"] == "sending":
        return LOOK
    if mail["status"] != "sent":
        raise Stuck(
            _says(goal, "The mail did not go out. Shall I try again?", "El correo no salió. ¿Lo intento otra vez?"),
            "failed",
        )
    step["result"] = _says(goal, f"The mail to {mail['to']} is sent.", f"El correo a {mail['to']} está enviado.")
    return 0


def _mail_settled(world: World, step: Step) -> bool:
    mail = world.get("outbox_email", step.get("email_id") or "")
    return mail is not None and mail["status"] != "pending_approval"


def _order(world: World, goal: Goal, step: Step) -> float:
    action = tasks.order(world, step["do"], goal["request"]["text"], goal_id=goal["id"])
    step["action_id"] = action["id"]
    return LOOK


def _ordered(world: World, goal: Goal, step: Step) -> float:
    action = world.need("action", step["action_id"])
    if action["status"] == "in_progress":
        return LOOK * 4
    if action["status"] != "completed":
        raise Stuck(_says(goal, "It fell through. Shall I try again?", "No salió. ¿Lo intento otra vez?"), "failed")
    step["result"] = action["stage"]
    return 0


def _offer(world: World, goal: Goal, step: Step) -> float:
    rounds: int = goal["facts"].get("rounds", 0)
    percent = OFFERS[min(rounds, len(OFFERS) - 1)]
    goal["outcome"] = {"summary": _says(goal, f"{percent} % off", f"{percent} % de descuento"), "round": rounds + 1}
    last = rounds + 1 >= len(OFFERS)
    question = _says(
        goal,
        f"They offer {percent} % off{', their last word' if last else ''}. Accept, or go on negotiating?",
        f"Ofrecen un {percent} % de descuento{', su última oferta' if last else ''}. ¿Acepto o sigo negociando?",
    )
    raise Stuck(question)


def _sub_goal(world: World, goal: Goal, step: Step) -> float:
    world.later(0, "goal_moves", goal_id=step["goal_id"])
    return LOOK * 4


def _sub_goal_over(world: World, goal: Goal, step: Step) -> float:
    sub = world.need("goal", step["goal_id"])
    if sub["status"] not in ("completed", "cancelled", "archived"):
        return LOOK * 4
    step["result"] = f"{sub['title']}: {sub['status']}"
    return 0


def _confirm(world: World, goal: Goal, step: Step) -> float:
    if goal["facts"].get("answer"):
        return LOOK
    raise Stuck(_says(goal, "How do you want me to proceed?", "¿Cómo quieres que proceda?"))


def _clarify(world: World, goal: Goal, step: Step) -> float:
    raise Stuck(
        _says(
            goal,
            "What shall I do: phone somebody, book, write a mail, search, order a ride or food, run an errand?",
            "¿Qué hago: llamar, reservar, escribir un correo, buscar, pedir un taxi o comida, hacer un recado?",
        )
    )


_ORDER = Work(_order, _ordered)
WORK: dict[str, Work] = {
    "look_up": Work(_look, _find_number),
    "find_address": Work(_look, _find_address),
    "call": Work(_call, _call_over),
    "find_place": Work(_find_place, _done),
    "book": Work(_book, _booked),
    "write": Work(_write, _done),
    "mail": Work(_send, _mail_out, _mail_settled),
    "ride": _ORDER,
    "food": _ORDER,
    "errand": _ORDER,
    "offer": Work(_offer, _offer),
    "sub_goal": Work(_sub_goal, _sub_goal_over),
    "confirm": Work(_confirm, _done),
    "clarify": Work(_clarify, _clarify),
}
"""By the name that a plan gives them."""

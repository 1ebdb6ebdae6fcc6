"""What the coordinator makes of a message: an answer, a new goal, or the word that a goal was waiting for."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox.areas import findings, goals, plans, postbox, reach, steering, telephony
from kallyai_mcp.sandbox.areas.understanding import Kind, Request, understand

if TYPE_CHECKING:
    from kallyai_mcp.sandbox.world import World

_YES = re.compile(
    r"^\W*(?:yes|ok(?:ay)?|sure|go ahead|approved?|accept|do it|try again|s[ií]|vale|adelante|acepto)\b", re.IGNORECASE
)
_NO = re.compile(r"^\W*(?:no|cancel|stop|forget it|cancela|d[eé]jalo)\b", re.IGNORECASE)
_MORE = re.compile(r"negotiat|better|more|lower|negocia|mejor|m[aá]s", re.IGNORECASE)
_BEGUN = {
    "call": "call_initiated",
    "look_up": "lookup_started",
    "find_address": "lookup_started",
    "find_place": "search_started",
    "write": "email_drafted",
    "sub_goal": "sub_goals_created",
}


def hear(world: World, text: str, conversation_id: str | None) -> dict[str, Any]:
    """Answer a message, in whichever documented form fits.

    Raises:
        Refusal: 404 for an unknown conversation; what forbids a call to the number in it; `email_not_connected` for a
            mail; `quota_exceeded`.
    """
    request = understand(text, world.clock.now().date())
    conversation = _conversation(world, conversation_id, request)
    heard = note(world, conversation["id"], "user", text)
    answer = _answer(world, conversation["id"], request)
    if "goal_id" in answer:
        said = world.need("coordinator_message", heard)
        world.save("coordinator_message", said | {"goal_id": answer["goal_id"]})
    return answer


def _answer(world: World, conversation_id: str, request: Request) -> dict[str, Any]:
    waiting = next((goal for goal in _waiting(world, conversation_id) if _is_answer(goal, request)), None)
    if waiting is not None:
        goal, taken = _go_on(world, waiting, request)
        return _about(world, goal, taken, request.spanish)
    if request.kind is Kind.HELP:
        return _explain(world, conversation_id, request.spanish)
    if request.kind is Kind.SEARCH:
        return _search(world, conversation_id, request)
    return _begin(world, conversation_id, request)


def note(world: World, conversation_id: str, role: str, content: str, goal_id: str | None = None) -> str:
    """Keep what was said and return its identifier."""
    said = {"conversation_id": conversation_id, "role": role, "content": content, "goal_id": goal_id}
    return world.add("coordinator_message", said | {"created_at": world.now()})["id"]


def _conversation(world: World, conversation_id: str | None, request: Request) -> dict[str, Any]:
    title = plans.title(request)
    if conversation_id is None:
        return world.add("conversation", {"title": title, "created_at": world.now()})
    conversation = world.need("conversation", conversation_id)
    if not conversation["title"]:
        world.save("conversation", conversation | {"title": title})
    return conversation


def _waiting(world: World, conversation_id: str) -> list[dict[str, Any]]:
    """Return the goals of a conversation that wait for the user, the youngest first."""
    return [
        goal
        for goal in reversed(world.all("goal", conversation_id=conversation_id))
        if goal["status"] == "needs_input" or (goal["status"] == "pending" and steering.waiting_step(goal) is not None)
    ]


def _is_answer(goal: dict[str, Any], request: Request) -> bool:
    """Whether a message says what a goal waits for, and is not a request of its own."""
    if request.kind is Kind.HELP:
        return False
    if request.kind is Kind.UNCLEAR or _YES.search(request.text) or _NO.search(request.text):
        return True
    if goal["outcome"] is not None and _MORE.search(request.text):
        return True
    step = next((s for s in goal["steps"] if s["status"] in ("needs_input", "failed")), None)
    match step["do"] if step else None:
        case "clarify" | "confirm":
            return True
        case "look_up" | "call":
            return request.phone is not None
        case "find_address":
            return request.email is not None
        case _:
            return False


def _begin(world: World, conversation_id: str, request: Request) -> dict[str, Any]:
    if request.phone:
        telephony.check(world, reach.order(request.phone, request.text))
    if request.kind is Kind.MAIL:
        postbox.connected_account(world)
    goal = goals.create(world, request, conversation_id)
    goals.move(world, {"goal_id": goal["id"]})
    goal = goals.need(world, goal["id"])
    taken = ["goal_created"]
    first = goal["steps"][0]
    if goal["budget"]["state"] in goals.BUDGET_CODES:
        taken.append("budget_requested")
    elif goal["status"] == "needs_input":
        taken.append("input_requested")
    elif first["status"] == "waiting_for_approval":
        taken.append("approval_requested")
    else:
        taken.append(_BEGUN[first["do"]])
    return _about(world, goal, taken, request.spanish)


def _go_on(world: World, goal: dict[str, Any], request: Request) -> tuple[dict[str, Any], list[str]]:
    if _NO.search(request.text):
        return goals.cancel(world, goal), ["goal_cancelled"]
    if goal["status"] == "pending":
        if _YES.search(request.text):
            return steering.release(world, goal), ["step_approved"]
        return goal, []
    if goal["outcome"] is not None and not goal["outcome"].get("accepted"):
        if _MORE.search(request.text):
            return steering.negotiate_on(world, goal), ["negotiation_continued"]
        if _YES.search(request.text):
            return goals.complete(world, goal, accepted=True), ["outcome_accepted"]
        return goal, []
    if goal["steps"][0]["do"] == "clarify":
        return _replan(world, goal, request)
    if request.phone:
        telephony.check(world, reach.order(request.phone, request.text))
    facts = {"phone": request.phone, "email": request.email, "answer": request.text}
    goal["facts"] |= {name: value for name, value in facts.items() if value}
    return goals.resume(world, goal), ["answer_noted"]


def _replan(world: World, goal: dict[str, Any], request: Request) -> tuple[dict[str, Any], list[str]]:
    """Give a goal that was not understood the plan of its explanation."""
    if request.kind in (Kind.UNCLEAR, Kind.SEARCH, Kind.PLAN):
        return goal, ["input_requested"]
    whole = replace(request, text=f"{goal['description']} {request.text}")
    steps = plans.plan(whole)
    goal |= {
        "steps": steps,
        "credits_estimated": plans.expected(steps),
        "request": goal["request"] | {n: getattr(whole, n) for n in Request.__slots__},
        "facts": {"phone": whole.phone, "email": whole.email},
        "description": whole.text,
    }
    return goals.resume(world, goal), ["goal_planned"]


def _about(world: World, goal: dict[str, Any], taken: list[str], spanish: bool) -> dict[str, Any]:
    response = sentence(goal, spanish)
    note(world, goal["conversation_id"], "assistant", response, goal["id"])
    return {
        "response": response,
        "goal_id": goal["id"],
        "conversation_id": goal["conversation_id"],
        "actions_taken": taken,
    }


def sentence(goal: dict[str, Any], spanish: bool) -> str:
    """Say how a goal stands, or what it waits for."""
    if goal["status"] == "completed":
        return f"Hecho: {goal['outcome']['summary']}." if spanish else f"Done: {goal['outcome']['summary']}."
    if goal["status"] == "cancelled":
        return "De acuerdo, lo he cancelado." if spanish else "All right, I have called it off."
    if goal["question"]:
        return goal["question"]
    if goal["budget"]["state"] in goals.BUDGET_CODES:
        cost = goal["credits_estimated"]
        if spanish:
            return f"Costará unos {cost} créditos. Aprueba el presupuesto y empiezo."
        return f"This will take about {cost} credits. Approve the budget and I begin."
    step = next((s for s in goal["steps"] if s["status"] not in ("completed", "skipped")), goal["steps"][-1])
    if step["status"] == "waiting_for_approval":
        return f"¿Lo apruebas? {step['description']}." if spanish else f"Do you approve? {step['description']}."
    return f"Entendido. Ahora: {step['description']}." if spanish else f"Understood. Now: {step['description']}."


def _explain(world: World, conversation_id: str, spanish: bool) -> dict[str, Any]:
    account = world.need("account", "me")
    left = round(account["credits_allocated"] - account["credits_used"], 2)
    if spanish:
        message = (
            "Llamo por teléfono, reservo, escribo correos, busco, pido taxis y comida, hago recados y negocio. "
            f"Quedan {left} créditos."
        )
        suggestions = ["Reserva una mesa para dos mañana a las 20:00", "Busca un fontanero"]
    else:
        message = (
            "I phone, book, write mails, search, order rides and food, have errands run, and negotiate. "
            f"{left} credits are left."
        )
        suggestions = ["Book a table for two tomorrow at 19:30", "Find a plumber"]
    return _second_form(world, conversation_id, message, "help", suggestions=suggestions)


def _search(world: World, conversation_id: str, request: Request) -> dict[str, Any]:
    done = findings.run(world, request.text, depth="quick")
    names = [one["title"] for one in done["results"]]
    if not names:
        message = "No he encontrado nada." if request.spanish else "I found nothing."
        return _second_form(world, conversation_id, message, "search", ["search"], cost=done["credits_used"])
    message = f"{'He encontrado' if request.spanish else 'I found'} {', '.join(names)}."
    suggestions = (
        [f"Llama a {names[0]}", "Compara precios"] if request.spanish else [f"Call {names[0]}", "Compare prices"]
    )
    return _second_form(
        world,
        conversation_id,
        message,
        "search",
        ["search"],
        suggestions=suggestions,
        cost=done["credits_used"],
        finished=True,
    )


def _second_form(
    world: World,
    conversation_id: str,
    message: str,
    intent: str,
    triggered: list[str] | None = None,
    *,
    suggestions: list[str] | None = None,
    cost: float = 0,
    finished: bool = False,
) -> dict[str, Any]:
    return {
        "message": message,
        "intent": intent,
        "triggered_actions": triggered or [],
        "suggestions": suggestions or [],
        "credits_used": f"{cost:.2f}",
        "conversation_id": conversation_id,
        "message_id": note(world, conversation_id, "assistant", message),
        "goal_completed": finished,
    }

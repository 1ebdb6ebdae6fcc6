"""What goals may spend: estimates, consent to a budget, and what it went to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kallyai_mcp.model.acts import USUAL_CALL, price
from kallyai_mcp.sandbox.area import Area
from kallyai_mcp.sandbox.areas import goals
from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kallyai_mcp.commands.budget import ApproveBudget, EstimateCost, ExceedSoftLimit, ShowGoalCosts
    from kallyai_mcp.sandbox.world import World

area = Area()

_KINDS = {"email": "email_send"}
_UNIT = {
    kind: price(_KINDS.get(kind, kind), minutes=USUAL_CALL)
    for kind in ("call", "search", "email", "booking", "ride", "food", "errand")
}
_MENTIONS = {
    "search": re.compile(r"\b(?:find|search|compare|look for|busca|encuentra|compara)", re.IGNORECASE),
    "call": re.compile(r"\b(?:call|phone|ring|llama)", re.IGNORECASE),
    "email": re.compile(r"\b(?:e-?mail|write|correo|escribe)", re.IGNORECASE),
    "booking": re.compile(r"\b(?:book|reserve|reserva)", re.IGNORECASE),
}
_NUMBERS = {word: n for n, word in enumerate("two three four five six seven eight nine ten".split(), start=2)}  # noqa: SIM905 - one line
_SEVERAL = re.compile(rf"\b(\d{{1,2}}|{'|'.join(_NUMBERS)})\b", re.IGNORECASE)
_COUNTED = re.compile(
    rf"{_SEVERAL.pattern}\s+(?:\w+\s+)?(?:calls|restaurants|hotels|clinics|places|shops|garages|plumbers|people|e?mails)",
    re.IGNORECASE,
)


@area.answers("budget estimate")
def estimate(world: World, args: EstimateCost) -> dict[str, Any]:
    """Price the kind of work and whatever else the description speaks of; each of several is counted."""
    times = 1
    if found := _COUNTED.search(args.description):
        said = found.group(1).lower()
        times = max(1, _NUMBERS.get(said) or int(said))
    further = [kind for kind, words in _MENTIONS.items() if kind != args.type and words.search(args.description)]
    breakdown = {kind: _UNIT[kind] for kind in further} | {args.type: round(_UNIT[args.type] * times, 2)}
    return {
        "estimated_credits": round(sum(breakdown.values()), 2),
        "breakdown": breakdown,
        "confidence": _confidence(args.type, further),
    }


@area.answers("budget approve")
def approve(world: World, args: ApproveBudget) -> dict[str, Any]:
    """Agree to what a goal is expected to cost; it goes on."""
    goal = goals.need_open(world, args.goal_id)
    state = goal["budget"]["state"]
    if state == "soft_cap":
        raise Refusal("soft_cap_reached", "The goal waits at its soft limit; let it go on with budget ack-cap.")
    if state != "approved":
        _settle(world, goal, "budget_approve", f"Approved the budget of {goal['title']}")
    return _state(world, args.goal_id) | {"approved": True}


@area.answers("budget breakdown")
def breakdown(world: World, args: ShowGoalCosts) -> dict[str, Any]:
    """List what a goal and its sub-goals were charged; calls are numbered in their order."""
    goal = goals.need(world, args.goal_id)
    charged = sorted(_charges(world, goal["id"]), key=lambda entry: str(entry["timestamp"]))
    items: list[dict[str, Any]] = []
    calls = 0
    for entry in charged:
        action = str(entry["type"])
        if action == "call":
            calls += 1
            action = f"call_{calls}"
        items.append({"action": action, "credits": entry["credits"], "timestamp": entry["timestamp"]})
    return {"goal_id": goal["id"], "total_credits": round(sum(i["credits"] for i in items), 2), "items": items}


@area.answers("budget ack-cap")
def acknowledge_cap(world: World, args: ExceedSoftLimit) -> dict[str, Any]:
    """Let a goal go on beyond its soft limit."""
    goal = goals.need_open(world, args.goal_id)
    if goal["budget"]["state"] != "soft_cap":
        raise Refusal(status=409, message="The goal is not at its soft limit.")
    _settle(world, goal, "budget_ack_cap", f"Let {goal['title']} go on beyond its soft limit")
    return _state(world, args.goal_id) | {"acknowledged": True}


def _settle(world: World, goal: dict[str, Any], type_: str, said: str) -> None:
    limits = goal["budget"] | {"state": "approved", "enforced": False}
    if limits["credits_limit"] is not None:
        limits["credits_limit"] = max(limits["credits_limit"], goal["credits_estimated"])
    goals.save(world, goal | {"budget": limits})
    world.act(type_, said)
    world.later(0, "goal_moves", goal_id=goal["id"])


def _state(world: World, goal_id: str) -> dict[str, Any]:
    goal = goals.need(world, goal_id)
    return {
        "goal_id": goal["id"],
        "status": goal["status"],
        "budget_state": goal["budget"]["state"],
        "credits_estimated": goal["credits_estimated"],
        "credits_used": goal["credits_used"],
    }


def _charges(world: World, goal_id: str) -> Iterator[dict[str, Any]]:
    yield from world.all("ledger", goal_id=goal_id)
    for child in goals.children(world, goal_id):
        yield from _charges(world, child["id"])


def _confidence(kind: str, further: list[str]) -> str:
    if further:
        return "low" if len(further) > 1 else "medium"
    # The length of a call is not known beforehand; everything else has a fixed price.
    return "medium" if kind == "call" else "high"

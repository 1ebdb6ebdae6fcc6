"""Goals and conversations that a world begins with, one for each state that a client should know."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox.areas import goals, talk
from kallyai_mcp.sandbox.areas.understanding import understand

if TYPE_CHECKING:
    from kallyai_mcp.sandbox.world import World

_COSTS = {"find_place": 0.5, "book": 0.5, "ride": 0.5, "call": 1.3, "errand": 1.0}
_MOST_MOVES = 8
_TYPES = {"find_place": "search", "book": "booking"}


def seed(world: World) -> None:
    """Open the goals, oldest first."""
    dinner = _open(world, 76, "Plan a birthday dinner for six at Casa Luna")
    for part in goals.children(world, dinner["id"]):
        _finish(world, part, 75)
    _finish(world, goals.need(world, dinner["id"]), 74)

    shop = _open(world, 52, "Call Corner Books and ask whether the order has arrived")
    goals.cancel(world, goals.need(world, shop["id"]))

    old = _open(world, 150, "Buy a birthday card and post it")
    _finish(world, old, 149)
    goals.save(world, goals.need(world, old["id"]) | {"status": "archived", "archived_from": "completed"})

    movers = _open(world, 6, "Negotiate the price of the move with Atlas Movers, at most 2 credits")
    movers = goals.need(world, movers["id"])
    look_up, call, _ = movers["steps"]
    look_up |= {"status": "completed", "result": "+12125550148"}
    call |= {"status": "completed", "result": "They want to know the number of boxes before they name a price"}
    with world.clock.showing(world.clock.now() - timedelta(hours=5)):
        world.charge(1.7, type="call", description="Call to Atlas Movers", goal_id=movers["id"])
    movers["facts"]["phone"] = look_up["result"]
    stopped = movers["budget"] | {"state": "soft_cap", "soft_cap": None}
    goals.save(world, movers | {"status": "pending", "budget": stopped, "turn": movers["turn"] + 1})

    _open(world, 4, "Plan a farewell party for ten on Saturday", ends="pending")
    _open(world, 3, "Call my plumber about the leak in the kitchen", ends="needs_input")
    _open(world, 1, "Book a table for two at Trattoria Verde on Friday at 19:30", ends="pending")


def _open(world: World, hours_ago: float, text: str, *, ends: str | None = None) -> dict[str, Any]:
    """Open a goal as a message would have; with `ends`, let it come to that state at once."""
    then = world.clock.now() - timedelta(hours=hours_ago)
    with world.clock.showing(then):
        request = understand(text, then.date())
        conversation = world.add("conversation", {"title": goals.plans.title(request), "created_at": world.now()})
        talk.note(world, conversation["id"], "user", text)
        goal = goals.create(world, request, conversation["id"])
        for _ in range(_MOST_MOVES if ends else 0):
            goals.move(world, {"goal_id": goal["id"]})
            goal = goals.need(world, goal["id"])
            if goal["status"] == ends:
                break
        talk.note(world, conversation["id"], "assistant", talk.sentence(goal, request.spanish), goal["id"])
    return goal


def _finish(world: World, goal: dict[str, Any], hours_ago: float) -> None:
    with world.clock.showing(world.clock.now() - timedelta(hours=hours_ago)):
        for step in goal["steps"]:
            step |= {"status": "completed", "result": step["description"]}
            if step["do"] in _COSTS:
                kind = _TYPES.get(step["do"]) or str(step["do"])
                world.charge(_COSTS[step["do"]], type=kind, description=goal["title"], goal_id=goal["id"])
        settled = {"state": "approved"} if goal["parent_goal_id"] is None else {}
        ended = {"status": "completed", "completed_at": world.now(), "question": None, "turn": goal["turn"] + 1}
        outcome = {"summary": f"{goal['title']}: settled", "accepted": True}
        goals.save(world, goal | ended | {"outcome": outcome, "budget": goal["budget"] | settled})

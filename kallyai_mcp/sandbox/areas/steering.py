"""What the user may do with a goal that has not ended: release a step, take or refuse an offer, hand it over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox.areas import goals
from kallyai_mcp.sandbox.areas.work import OFFERS
from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from kallyai_mcp.sandbox.world import World


def waiting_step(goal: dict[str, Any]) -> dict[str, Any] | None:
    """Return the step that waits for consent."""
    return next((step for step in goal["steps"] if step["status"] == "waiting_for_approval"), None)


def release(world: World, goal: dict[str, Any]) -> dict[str, Any]:
    """Agree to the step that waits, else to the next one that will; of a plan, to that of the sub-goal at work.

    Raises:
        Refusal: The code of an unsettled budget; 409 when there is no step to agree to.
    """
    goals.check_budget(goal)
    step = waiting_step(goal)
    if step is None:
        for entry in goal["steps"]:
            if entry["do"] == "sub_goal" and entry["status"] == "in_progress":
                release(world, goals.need_open(world, entry["goal_id"]))
                return goals.need(world, goal["id"])
        ahead = (s for s in goal["steps"] if s["consent"] and s["status"] == "pending" and not s.get("released"))
        step = next(ahead, None)
    if step is None:
        raise Refusal(status=409, message="No step of the goal waits for approval.")
    step["released"] = True
    if goal["status"] == "needs_input":
        return goals.resume(world, goal)
    goals.save(world, goal)
    if step["status"] == "waiting_for_approval":
        goals.move(world, {"goal_id": goal["id"]})
    return goals.need(world, goal["id"])


def accept(world: World, goal: dict[str, Any]) -> dict[str, Any]:
    """Take what was reached as good enough, which ends the goal.

    Raises:
        Refusal: `goal_already_completed` when it was taken before; 409 when nothing has been reached.
    """
    if goal["status"] == "completed" and not goal["outcome"].get("accepted"):
        return goals.save(world, goal | {"outcome": goal["outcome"] | {"accepted": True}})
    goals.need_open(world, goal["id"])
    if goal["outcome"] is None:
        raise Refusal(status=409, message="The goal has no outcome yet.")
    return goals.complete(world, goal, accepted=True)


def go_on(world: World, goal: dict[str, Any]) -> dict[str, Any]:
    """Let a stopped goal go on: negotiate for more, try again what failed, take back what was handed over.

    Raises:
        Refusal: The code of an unsettled budget; 409 when the goal does not wait to go on.
    """
    goals.check_budget(goal)
    if goal["status"] != "needs_input":
        raise Refusal(status=409, message=f"The goal does not wait to go on: its status is {goal['status']}.")
    if goal["outcome"] is not None:
        return negotiate_on(world, goal)
    return goals.resume(world, goal)


def negotiate_on(world: World, goal: dict[str, Any]) -> dict[str, Any]:
    """Phone the other side again for a better offer.

    Raises:
        Refusal: 409 after their last word; what forbids the call.
    """
    rounds = goal["facts"].get("rounds", 0) + 1
    if rounds >= len(OFFERS):
        raise Refusal(status=409, message="The other side has said its last word.")
    goal["facts"]["rounds"] = rounds
    for step in goal["steps"]:
        if step["do"] in ("call", "offer"):
            step["status"] = "pending"
    return goals.resume(world, goal)


def escalate(world: World, goal: dict[str, Any]) -> dict[str, Any]:
    """Hand a goal to the user; nothing is begun until it is taken up again."""
    goals.ask(world, goal, "You have taken this over. How shall I go on?")
    return goals.need(world, goal["id"])
